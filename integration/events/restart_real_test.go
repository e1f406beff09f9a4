package events

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/realasterisk"
)

// greeting waits until addr no longer greets, and then until it does again.
func greeting(ctx context.Context, t *testing.T, addr string) time.Time {
	t.Helper()
	for gone := false; ctx.Err() == nil; <-time.After(5 * time.Millisecond) {
		c, err := realasterisk.Dial(ctx, addr)
		if err == nil {
			c.Close()
		}
		if gone && err == nil {
			return time.Now()
		}
		gone = gone || err != nil
	}
	t.Fatal("it does not greet")
	return time.Time{}
}

// booted waits until a can be told to stop: one that still boots has nobody to do it.
func booted(ctx context.Context, t *testing.T, a *realasterisk.Instance) {
	t.Helper()
	if err := a.Booted(ctx); err != nil {
		t.Fatal(err)
	}
}

// A real Asterisk that restarts, with all settings as they are by default, is
// served again within a second of its greeting, also the third time in a row, and
// within three after a minute of downtime. Its Gap says that it was restarted.
func TestReal_ARestartIsServedWithinASecond(t *testing.T) {
	realasterisk.Each(t, func(t *testing.T, a *realasterisk.Instance) {
		if !a.OwnConfiguration() {
			t.Skip("an Asterisk given by its address is not ours to restart")
		}
		r := harness.Bridge(t, harness.NATS(t), nil, harness.Server("pbx1", a.Addr(), a.User().Name, a.User().Secret))
		states, gaps := r.Subscribe("ami.status.pbx1.connection"), r.Subscribe("ami.status.pbx1.gap")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		served := func(what string, most time.Duration) {
			t.Helper()
			greeted := greeting(ctx, t, a.Addr())
			r.AwaitText(states, `"to":"waiting"`)
			r.AwaitText(states, `"sessions":{"action":"up","event":"up"}`)
			took := time.Since(greeted)
			t.Logf("%s restart: served %v after the greeting", what, took.Round(time.Millisecond))
			if took > most {
				t.Errorf("%s restart: served after %v, want %v at most", what, took, most)
			}
			if gap := r.Next(gaps); !strings.Contains(string(gap.Data), `"restarted":true`) {
				t.Errorf("%s restart: %s", what, gap.Data)
			}
		}
		for _, what := range []string{"first", "second", "third"} {
			booted(ctx, t, a)
			console, err := a.Actions(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := console.Send("Action: Command", "Command: core restart now"); err != nil {
				t.Fatal(err)
			}
			served(what, time.Second)
			console.Close()
		}
		booted(ctx, t, a)
		down := make(chan error, 1)
		go func() { down <- a.RestartAfter(ctx, time.Minute) }()
		served("a minute's", 3*time.Second)
		if err := harness.Within(t, "the start", down); err != nil {
			t.Fatal(err)
		}
	})
}
