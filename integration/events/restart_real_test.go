package events

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/realasterisk"
)

// restarting is a bridge of an Asterisk that restarts.
type restarting struct {
	t            *testing.T
	ctx          context.Context
	a            *realasterisk.Instance
	r            *harness.Running
	states, gaps *nats.Subscription
}

func startRestarting(ctx context.Context, t *testing.T, a *realasterisk.Instance) *restarting {
	t.Helper()
	a.NeedsOwn(t)
	r := harness.Bridge(t, harness.NATS(t), nil, harness.Server("pbx1", a.Addr(), a.User().Name, a.User().Secret))
	return &restarting{t: t, ctx: ctx, a: a, r: r, states: r.Subscribe("ami.status.pbx1.connection"), gaps: r.Subscribe("ami.status.pbx1.gap")}
}

// greeting waits until Asterisk greets, and then until it has booted for a session of the test's own: how
// long that takes is what Asterisk and the machine make of it.
func (r *restarting) greeting() (greeted time.Time, direct time.Duration) {
	r.t.Helper()
	for greeted.IsZero() {
		c, err := realasterisk.Dial(r.ctx, r.a.Addr())
		switch {
		case err == nil:
			c.Close()
			greeted = time.Now()
		case r.ctx.Err() != nil:
			r.t.Fatalf("it does not greet: %v", err)
		default:
			<-time.After(5 * time.Millisecond)
		}
	}
	if err := r.a.Booted(r.ctx); err != nil {
		r.t.Fatal(err)
	}
	return greeted, time.Since(greeted)
}

// served wants the bridge's two sessions up within most of the greeting, and what three direct ones take:
// the machine may be slow, and others may have it first. Asterisk has been told to end.
func (r *restarting) served(what string, most time.Duration) {
	r.t.Helper()
	r.r.AwaitText(r.states, `"to":"waiting"`) // it has ended
	greeted, direct := r.greeting()
	var up struct{ At time.Time }
	if err := json.Unmarshal(r.r.AwaitText(r.states, `"sessions":{"action":"up","event":"up"}`).Data, &up); err != nil {
		r.t.Fatal(err)
	}
	took := up.At.Sub(greeted)
	r.t.Logf("%s restart: served %v after the greeting, a direct session %v", what, took.Round(time.Millisecond), direct.Round(time.Millisecond))
	if most += 3 * direct; up.At.IsZero() || took > most {
		r.t.Errorf("%s restart: served after %v, want %v at most", what, took, most)
	}
	gap := string(r.r.Next(r.gaps).Data)
	// Events wait three seconds at most for what tells (bridge/ingest); one that was killed may take longer to boot.
	if !strings.Contains(gap, `"restarted":true`) && (direct < 2*time.Second || !strings.Contains(gap, `"restarted":null`)) {
		r.t.Errorf("%s restart: %s", what, gap)
	}
}

// A real Asterisk that restarts, with all settings as they are by default, is
// served again within a second of its greeting, also the third time in a row, and
// within three after a minute of downtime. Its Gap says that it was restarted.
func TestReal_ARestartIsServedWithinASecond(t *testing.T) {
	realasterisk.Each(t, func(t *testing.T, a *realasterisk.Instance) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		r := startRestarting(ctx, t, a)
		for _, what := range []string{"first", "second", "third"} {
			if err := a.RestartNow(ctx); err != nil {
				t.Fatal(err)
			}
			r.served(what, time.Second)
		}
		// Who is killed says nothing: what the session had heard until then must tell, FullyBooted and a Pong.
		marks := r.r.Subscribe("ami.events.pbx1.UserEvent")
		if err := a.Mark(ctx, "heard"); err != nil {
			t.Fatal(err)
		}
		r.r.AwaitText(marks, `"Mark":"heard"`)
		down := make(chan error, 1)
		go func() { down <- a.RestartAfter(ctx, time.Minute) }()
		r.served("a minute's", 3*time.Second)
		if err := harness.Within(t, "the start", down); err != nil {
			t.Fatal(err)
		}
	})
}
