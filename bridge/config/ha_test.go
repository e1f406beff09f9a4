package config

import (
	"strings"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
)

// What bridges cannot share is refused, with the setting that is to change; without HA
// nothing of it is.
func TestHA_RefusesWhatCannotBeShared(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"":               func(*Config) {},
		"DELIVERY":       func(c *Config) { c.Delivery = DeliverCore },
		"NATS_LEAF_URL":  func(c *Config) { c.Stream.Forwarded = true },
		"NATS_URL":       func(c *Config) { c.NATS.URL = "" },
		"STREAM_MAX_AGE": func(c *Config) { c.Stream.MaxAge = time.Minute },
		"SESSIONS":       func(c *Config) { c.Servers[0].Sessions = 1 },
		"SHED_FIRST":     func(c *Config) { c.Servers[0].ShedFirst = setting.Globs{"RTCP*"} },
	} {
		t.Run(want, func(t *testing.T) {
			c := DefaultConfig()
			s := DefaultServerConfig()
			s.Name = "pbx1"
			c.Node, c.NATS.URL, c.Servers = "b1", "nats://n:4222", []ServerConfig{s}
			change(&c)
			if err := c.Validate(); err != nil {
				t.Errorf("without HA: %v", err)
			}
			c.HA = true
			if err := c.Validate(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("with HA: %v, want one of %q", err, want)
			}
		})
	}
	for _, silence := range []time.Duration{0, time.Hour} {
		c := DefaultConfig()
		c.Node, c.HASilence, c.HAWeight, c.HACopies = "b1", silence, 0, 0
		for _, want := range []string{"HA_SILENCE", "HA_WEIGHT", "HA_COPIES"} {
			if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("silence %v: %v, want one of %s", silence, err, want)
			}
		}
	}
}

// A server's own number of copies goes before that of all.
func TestHA_Copies(t *testing.T) {
	c, own := DefaultConfig(), DefaultServerConfig()
	if n := c.CopiesOf(&own); n != 2 {
		t.Errorf("%d copies", n)
	}
	for copies, ok := range map[int]bool{-1: false, 1: true, 3: true, 8: true, 9: false} {
		own.HACopies = copies
		if err := own.Validate(); (err == nil || !strings.Contains(err.Error(), "HA_COPIES")) != ok {
			t.Errorf("%d copies: %v", copies, err)
		}
		if n := c.CopiesOf(&own); n != copies {
			t.Errorf("%d copies, want %d", n, copies)
		}
	}
}
