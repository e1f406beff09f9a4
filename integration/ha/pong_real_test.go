//go:build unix

package ha

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/realasterisk"
)

// What a standby joins by (package standby, bounds.go): whoever has a Pong has read at least as
// much as any session had when the Ping was asked. From 22.11 on each session has a queue of
// its own, and a few events may come a moment later to one: to so few that four Pongs in a row
// tell the truth.
func TestReal_APongComesBehindWhatWasSaid(t *testing.T) {
	realasterisk.EachAndNext(t, func(t *testing.T, a *realasterisk.Instance) {
		a.NeedsOwn(t)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		other, asks := logIn(t, ctx, a), logIn(t, ctx, a)
		if err := a.Mark(ctx, "begin"); err != nil {
			t.Fatal(err)
		}
		for _, c := range []*realasterisk.Client{other, asks} {
			if _, err := c.Until(ctx, realasterisk.IsMark("begin")); err != nil {
				t.Fatal(err)
			}
			// What else that call raises may come to one behind the mark, and to the other before it.
			for last := time.Now(); time.Since(last) < time.Second; {
				if pong(t, ctx, c) > 0 {
					last = time.Now()
				}
			}
		}
		var read atomic.Int64
		var group sync.WaitGroup
		defer group.Wait()
		calling, stop := context.WithCancel(ctx)
		defer stop()
		group.Go(func() { // it ends when the session does
			for {
				f, err := other.Next(ctx)
				if err != nil {
					return
				}
				if f.Event() != "" {
					read.Add(1)
				}
			}
		})
		defer other.Close()
		group.Go(func() {
			for calling.Err() == nil {
				if err := a.Calls(ctx, "call", "chain", "busy", "fork", "quick", "dtmf", "conf"); err != nil {
					t.Error(err)
					return
				}
			}
		})
		pongs, late, own := 0, 0, int64(0)
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); pongs++ {
			before := read.Load()
			if own += pong(t, ctx, asks); own < before {
				late++
			}
		}
		stop()
		t.Logf("%d events, %d Pongs, %d of them before an event that another session had", own, pongs, late)
		if pongs < 100 || own < 500 {
			t.Error("too little was tried")
		}
		if most := pongs / 100; late > 0 && (a.Version() < "22.11" || late > most) {
			t.Errorf("%d Pongs of %d come too soon", late, pongs)
		}
	})
}

// pong asks for a Pong and returns how many events came before it.
func pong(t *testing.T, ctx context.Context, c *realasterisk.Client) (events int64) {
	t.Helper()
	id, err := c.Send("Action: Ping")
	if err != nil {
		t.Fatal(err)
	}
	for {
		f, err := c.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if f.Event() == "" && f.Get("ActionID") == id {
			return events
		}
		events++
	}
}

// logIn returns a session that reads events.
func logIn(t *testing.T, ctx context.Context, a *realasterisk.Instance) *realasterisk.Client {
	t.Helper()
	c, err := a.Events(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
