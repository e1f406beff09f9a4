package amiconn

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
)

// actionFails has each login of an action session fail by fault.
func actionFails(b *bench, fault amisim.Fault) {
	b.sim.Always("Login", func(s *amisim.Session, a *amisim.Action) {
		if a.Get("Events") == "off" {
			fault(s, a)
			return
		}
		s.Serve(a)
	})
}

// An event session that stands says nothing of an action session that fails:
// the breaker, open or half open, is closed by one that has logged in since.
func TestStanding_DoesNotCloseTheBreaker(t *testing.T) {
	for name, fault := range map[string]amisim.Fault{
		"never up":            amisim.Refuse,
		"up for five seconds": func(s *amisim.Session, a *amisim.Action) { s.Serve(a); s.Sleep(5 * time.Second); s.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, amisim.Config{}, nil, func(b *bench) {
				b.up()
				time.Sleep(11 * time.Second) // stable
				actionFails(b, fault)
				b.sim.Next("CoreStatus", amisim.Refuse)
				b.do(Action{Name: "CoreStatus"})
				time.Sleep(10 * time.Minute)
				if got := b.transitions(); len(got) < 4 || strings.Contains(strings.Join(got, " "), ">closed:stable") {
					t.Errorf("transitions %q, want it never closed", got)
				}
				if _, n := b.last(RoleEvents, StateUp); n != 1 {
					t.Errorf("the event session came up %d times", n)
				}
				b.sim.Always("Login", nil)
				time.Sleep(2 * time.Minute)
				if s := b.link.Status().Breaker; s.State != BreakerClosed || s.Failures != 0 {
					t.Errorf("once the action session is well: %+v", s)
				}
			})
		})
	}
}

// A standing session that is lost while every probe's place is taken counts, and
// opens the breaker again; the probe that is still under way does not close it.
func TestStanding_IsLostWhileAProbeIsUnderWay(t *testing.T) {
	inBubble(t, amisim.Config{}, func(c *Config, _ *Deps) { c.StableAfter, c.PingInterval = 300*time.Millisecond, time.Second }, func(b *bench) {
		b.up()
		time.Sleep(time.Second)
		actionFails(b, amisim.Refuse)
		b.sim.Next("CoreStatus", amisim.Refuse)
		b.do(Action{Name: "CoreStatus"})
		for b.link.Status().Breaker.State != BreakerOpen {
			time.Sleep(time.Millisecond)
		}
		actionFails(b, amisim.Delay(3*time.Second))
		for b.link.Status().Breaker.State != BreakerHalfOpen {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second) // the probe's login hangs
		before := b.link.Status().Breaker.Failures
		b.sim.Next("Ping", amisim.Refuse) // the event session's
		for b.link.Status().Sessions[0].State == StateUp {
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		if s := b.link.Status().Breaker; s.State != BreakerOpen || s.Failures != before+1 {
			t.Errorf("%+v, want it open after %d", s, before+1)
		}
		if got := b.transitions(); got[len(got)-1] != "half-open>open:closed" {
			t.Errorf("transitions %q", got)
		}
	})
}

// Fifty links that lose their servers together wait for fifty different times.
func TestStanding_FiftyLinksWaitEachItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := amisim.NewNetwork()
		var mu sync.Mutex
		waits := make(map[string][]time.Duration)
		var group sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		for i := range 50 {
			cfg := DefaultConfig()
			cfg.Name, cfg.Addr = fmt.Sprint("pbx", i), "nobody:5038"
			cfg.Username, cfg.Secret = "bridge", testSecret
			deps := Deps{Node: "b1", ReplyBytes: 1 << 20, HeldBytes: 1 << 20, Dial: network.DialContext}
			deps.Hooks.State = func(c Change) {
				if c.To == StateWaiting {
					mu.Lock()
					defer mu.Unlock()
					waits[cfg.Name] = append(waits[cfg.Name], c.RetryIn)
				}
			}
			link := NewLink(cfg, deps)
			group.Go(func() { _ = link.Run(ctx) })
		}
		time.Sleep(5 * time.Minute)
		cancel()
		group.Wait()
		for _, n := range []int{0, 4, 20, len(waits["pbx0"]) / 2} {
			different := make(map[time.Duration]bool)
			for _, of := range waits {
				different[of[n]] = true
			}
			if len(different) < 45 {
				t.Errorf("wait %d: %d different ones of 50 links", n, len(different))
			}
		}
	})
}

// An Action that finds the breaker open is told what opened it.
func TestStanding_ActionsAreToldWhatOpenedTheBreaker(t *testing.T) {
	inBubble(t, amisim.Config{}, nil, func(b *bench) {
		b.up()
		b.sim.Always("Login", amisim.Deny("Authentication failed"))
		b.sim.Kick()
		time.Sleep(time.Second)
		_, err := b.link.Do(Action{Name: "Ping", Done: func(*correlation.Result) { t.Error("Done was called") }})
		if text := fmt.Sprint(err); text != `breaker open: auth: Login refused: "Authentication failed"` {
			t.Errorf("%s", text)
		}
	})
}
