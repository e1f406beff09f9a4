package amiconn

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// TestLink_OddActionsEnd asks a simulated Asterisk for what no Response ends,
// or not the first, with another Action right behind each.
func TestLink_OddActionsEnd(t *testing.T) {
	jabber := []frames.Header{header("Jabber", "a"), header("ScreenName", "b@c"), header("Message", "d")}
	nobody := []frames.Header{header("Jabber", "a"), header("ScreenName", "b"), header("Message", "d")}
	for name, tc := range map[string]struct {
		version, action string
		headers         []frames.Header
		want            correlation.Outcome
		events          int
		lines           int
	}{
		"Queues":              {"2.10.6", "Queues", nil, correlation.Answered, 0, 12},
		"Queues, spelled low": {"3.2.2", "queues", nil, correlation.Answered, 0, 12},
		"Queues, gone":        {"4.0.3", "Queues", nil, correlation.AsteriskError, 0, 0},
		"IAX":                 {"", "IAXnetstats", nil, correlation.Answered, 0, 1},
		"data":                {"1.1", "DataGet", []frames.Header{header("Path", "x")}, correlation.Answered, 1, 0},
		"jabber":              {"", "JabberSend", jabber, correlation.Answered, 0, 0},
		"jabber to nobody":    {"", "JabberSend", nobody, correlation.AsteriskError, 0, 0},
		"module":              {"", "ModuleLoad", nil, correlation.AsteriskError, 0, 0},
		"fax":                 {"", "FAXSession", []frames.Header{header("SessionNumber", "1")}, correlation.Answered, 1, 0},
		"fax without event":   {"", "FAXSession", []frames.Header{header("SessionNumber", "0")}, correlation.Answered, 0, 0},
		"rules":               {"", "QueueRule", nil, correlation.Answered, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			corrupt := 0
			sim := amisim.Config{Version: tc.version, Channels: []string{"IAX2/trunk-1"}}
			inBubble(t, sim, func(_ *Config, d *Deps) { d.Hooks.Corrupt = func(int) { corrupt++ } }, func(b *bench) {
				b.up()
				r := b.do(Action{Name: tc.action, Headers: tc.headers})
				if r.Outcome != tc.want || r.EventCount != tc.events || r.OutputLines != tc.lines || r.Duration != 0 {
					t.Errorf("%v after %v with %d events, %d lines; want %v with %d, %d", r.Outcome, r.Duration,
						r.EventCount, r.OutputLines, tc.want, tc.events, tc.lines)
				}
				if r := b.do(Action{Name: "LoggerRotate"}); r.Outcome != correlation.Answered || !strings.HasPrefix(r.Message, "Reloaded the logger") {
					t.Errorf("the action behind it ended %v: %s", r.Outcome, r.Message)
				}
				time.Sleep(time.Second)
				if s := b.link.Status().Calls; s.Pending != 0 || s.Late != 0 || s.Unmatched != 0 || corrupt != 0 {
					t.Errorf("%d corrupt frames, calls %+v", corrupt, s)
				}
			})
		})
	}
}

// Raw text that no Action asked for is still a corrupt frame.
func TestLink_RawTextWithoutAnActionIsCorrupt(t *testing.T) {
	var sizes []int
	inBubble(t, amisim.Config{}, func(_ *Config, d *Deps) {
		d.Hooks.Corrupt = func(size int) { sizes = append(sizes, size) }
	}, func(b *bench) {
		b.up()
		b.sim.Next("CoreStatus", amisim.Before("stray text\r\n\r\n"))
		if r := b.do(Action{Name: "CoreStatus"}); r.Outcome != correlation.Answered {
			t.Errorf("CoreStatus: %v", r.Outcome)
		}
		if !slices.Equal(sizes, []int{len("stray text\r\n\r\n")}) {
			t.Errorf("corrupt frames of %d bytes", sizes)
		}
	})
}
