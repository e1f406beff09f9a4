package amiconn

import (
	"strings"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
)

func TestLink_TimeoutIsTheActions(t *testing.T) {
	change := func(c *Config, _ *Deps) { c.ActionTimeouts = Timeouts{{Pattern: "Core*", Value: 2 * time.Second}} }
	inBubble(t, amisim.Config{}, change, func(b *bench) {
		b.up()
		for action, want := range map[string]time.Duration{"CoreStatus": 2 * time.Second, "Getvar": 30 * time.Second} {
			b.sim.Next(action, amisim.Ignore)
			if r := b.do(Action{Name: action}); r.Outcome != correlation.TimedOut || r.Duration != want {
				t.Errorf("%s: %v after %v, want it to time out after %v", action, r.Outcome, r.Duration, want)
			}
		}
	})
}

func TestConfig_ActionSessions(t *testing.T) {
	for _, test := range []struct {
		sessions, actions int
		bad               bool
	}{{2, 1, false}, {2, 16, false}, {1, 1, false}, {2, 0, true}, {2, 17, true}, {1, 2, true}} {
		cfg := DefaultConfig()
		cfg.Addr, cfg.Username, cfg.Secret = testAddr, "bridge", testSecret
		cfg.Sessions, cfg.ActionSessions = test.sessions, test.actions
		err := cfg.Validate()
		if bad := err != nil && strings.Contains(err.Error(), "ACTION_SESSIONS: wants 1"); bad != test.bad || !bad && err != nil {
			t.Errorf("SESSIONS=%d, ACTION_SESSIONS=%d: %v", test.sessions, test.actions, err)
		}
	}
}

func TestTimeouts_FirstMatchReplacesDefaultAndCap(t *testing.T) {
	cfg := DefaultConfig()
	if err := cfg.ActionTimeouts.Decode(" Originate=90s, Queue*=5s ,*Status=1m,"); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		action      string
		asked, want time.Duration
	}{
		{"CoreSettings", 0, 30 * time.Second},
		{"CoreSettings", time.Minute, 30 * time.Second},
		{"Originate", 0, 90 * time.Second},
		{"originate", 0, 90 * time.Second},
		{"Originate", time.Minute, time.Minute},
		{"Originate", time.Hour, 90 * time.Second},
		{"QueueStatus", 0, 5 * time.Second},
		{"QueueStatus", 6 * time.Second, 5 * time.Second},
		{"CoreStatus", 0, time.Minute},
	} {
		if got := cfg.Timeout(test.action, test.asked); got != test.want {
			t.Errorf("%s that asks for %v gets %v, want %v", test.action, test.asked, got, test.want)
		}
	}
}

func TestTimeouts_ReadWhatTheyPrint(t *testing.T) {
	for _, text := range []string{"", "Originate=1m0s", "Originate=1m0s,Queue[AB]*=500ms,*=2h0m0s"} {
		var got Timeouts
		if err := got.Decode(text); err != nil || got.String() != text {
			t.Errorf("%q prints as %q (%v)", text, got, err)
		}
	}
	for _, text := range []string{"10s", "Originate", "Originate=", "=10s", "Originate=10", "Originate=0s", "Originate=-1s", "[=1s", "A=1s;B=2s"} {
		var got Timeouts
		err := got.Decode(text)
		if err == nil || got != nil || !strings.Contains(err.Error(), "wants") {
			t.Errorf("%q is read as %q (%v)", text, got, err)
		}
	}
}

func TestConfig_ReportsEveryProblem(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Addr, cfg.Username, cfg.Sessions, cfg.ReadTimeout = "nowhere", "a\nb", 3, cfg.PingInterval
	err := cfg.Validate()
	for _, setting := range []string{"ADDR", "USERNAME", "SECRET", "SESSIONS", "READ_TIMEOUT"} {
		if err == nil || !strings.Contains(err.Error(), setting+": ") {
			t.Errorf("%s is not in %v", setting, err)
		}
	}
}
