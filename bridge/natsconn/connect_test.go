package natsconn

import (
	"strings"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// What is no URL is not quoted: there is a password in it.
func TestConnect_QuotesNoURL(t *testing.T) {
	for _, url := range []string{"nats://u:c4n4ry%zz@h:4222", "nats://h,nats://u:c4n4ry@h:port", "nats://c4n4ry\x01@h"} {
		cfg := config.DefaultConfig()
		cfg.NATS.URL = url
		_, err := Connect(cfg, "test")
		if err == nil || strings.Contains(err.Error(), "c4n4ry") || !strings.Contains(err.Error(), "NATS_URL") {
			t.Errorf("%v", err)
		}
	}
}

// The bridge comes back from whatever NATS does, for ever, and asks each 0.25 to
// 2 s.
func TestConnect_RetriesForEver(t *testing.T) {
	s := natstest.Start(t, t.TempDir(), 0)
	cfg := config.DefaultConfig()
	cfg.NATS.URL = s.ClientURL()
	nc, err := Connect(cfg, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if o := nc.Opts; o.MaxReconnect != -1 || !o.IgnoreAuthErrorAbort || !o.AllowReconnect {
		t.Errorf("at most %d reconnects, refused logins end it: %v", o.MaxReconnect, !o.IgnoreAuthErrorAbort)
	}
	for attempts, want := range map[int]time.Duration{0: 250 * time.Millisecond, 1: 500 * time.Millisecond, 2: time.Second, 3: 2 * time.Second, 1000: 2 * time.Second} {
		if wait := nc.Opts.CustomReconnectDelayCB(attempts); wait != want {
			t.Errorf("after %d attempts it waits %v", attempts, wait)
		}
	}
}
