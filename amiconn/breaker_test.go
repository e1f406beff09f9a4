package amiconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
)

// transitions returns the breaker's changes as from>to:reason.
func (b *bench) transitions() (all []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.breaker {
		all = append(all, fmt.Sprintf("%s>%s:%s", c.From, c.To, c.Reason))
	}
	return all
}

// tellings are the transitions as a log line each should tell them: with the
// reason, the failures and, while nobody is let through, the next try.
func (b *bench) tellings() (all []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.breaker[1:] { // the first is the state that it begins in
		line := fmt.Sprintf("%s>%s:%s after %d", c.From, c.To, c.Reason, c.Failures)
		if c.To == BreakerOpen {
			line += fmt.Sprintf(", again in %v: %v", c.RetryIn, c.Err)
		}
		all = append(all, line)
	}
	return all
}

// breakerLines are the log lines that speak of the breaker.
func (b *bench) breakerLines() (all []string) {
	for _, entry := range b.logs.All() {
		if !strings.Contains(entry.Message, "breaker") {
			continue
		}
		f := entry.ContextMap()
		line := fmt.Sprintf("%v>%v:%v after %v", f["from"], f["to"], f["reason"], f["failures"])
		if f["delay"] != nil {
			line += fmt.Sprintf(", again in %v: %v", f["delay"], f["error"])
		}
		all = append(all, line)
	}
	return all
}

// dials counts the connects and when they were.
type dials struct {
	mu sync.Mutex
	at []time.Time
}

// count wraps the dial of d.
func (n *dials) count(d *Deps) {
	dial := d.Dial
	d.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		n.mu.Lock()
		n.at = append(n.at, time.Now())
		n.mu.Unlock()
		return dial(ctx, network, addr)
	}
}

// since counts the connects after t.
func (n *dials) since(t time.Time) (count int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, at := range n.at {
		if at.After(t) {
			count++
		}
	}
	return count
}

func TestBreaker_OpensHalfOpensAndCloses(t *testing.T) {
	inBubble(t, amisim.Config{}, nil, func(b *bench) {
		b.up()
		time.Sleep(11 * time.Second) // stable
		b.sim.Always(amisim.Accept, amisim.Refuse)
		b.sim.Kick()
		for b.link.Status().Breaker.State != BreakerOpen {
			time.Sleep(time.Millisecond)
		}
		if s := b.link.Status().Breaker; s.Failures != 5 || s.RetryIn < shortWait/2-time.Millisecond || s.RetryIn > shortWait {
			t.Errorf("open after %d failures for %v, want 5 and %v at most", s.Failures, s.RetryIn, shortWait)
		}
		_, err := b.link.Do(Action{Name: "Ping", Done: func(*correlation.Result) { t.Error("Done was called") }})
		if !errors.Is(err, ErrBreakerOpen) || !strings.Contains(err.Error(), "banner: closed before the banner") {
			t.Errorf("Do = %v, want it refused with what opened the breaker", err)
		}
		if in := b.link.RetryIn(); in != b.link.Status().Breaker.RetryIn {
			t.Errorf("retry in %v, the breaker is open for %v", in, b.link.Status().Breaker.RetryIn)
		}
		time.Sleep(b.link.RetryIn())
		synctest.Wait() // one probe, which fails: open again
		b.sim.Always(amisim.Accept, nil)
		b.up()
		if s := b.link.Status().Breaker.State; s != BreakerHalfOpen {
			t.Errorf("%s right after the login, want half-open until it is stable", s)
		}
		if r := b.do(Action{Name: "Ping"}); r.Outcome != correlation.Answered {
			t.Errorf("an action while half open and up: %v", r.Outcome)
		}
		time.Sleep(11 * time.Second)
		want := []string{
			"closed>closed:start", "closed>open:banner", "open>half-open:cooldown", "half-open>open:banner",
			"open>half-open:cooldown", "half-open>closed:stable",
		}
		if diff := cmp.Diff(want, b.transitions()); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(b.tellings(), b.breakerLines()); diff != "" {
			t.Errorf("(-transitions +log lines):\n%s", diff)
		}
		if s := b.link.Status().Breaker; s.Failures != 0 || s.Transitions[BreakerOpen] != 2 {
			t.Errorf("at the end: %+v", s)
		}
	})
}

// Half-open lets so many probes through at a time: while they are stuck nobody
// else connects, once one has logged in the other session follows at once.
func TestBreaker_LetsSoManyProbesThrough(t *testing.T) {
	for _, probes := range []int{1, 2} {
		t.Run(fmt.Sprint(probes), func(t *testing.T) {
			var connects dials
			inBubble(t, amisim.Config{}, func(c *Config, d *Deps) {
				c.BreakerFailures, c.BreakerProbes = 1, probes
				connects.count(d)
			}, func(b *bench) {
				b.up()
				b.sim.Next("Login", amisim.Delay(4*time.Second), amisim.Delay(4*time.Second))
				b.sim.Kick()
				synctest.Wait()
				lost := time.Now()
				time.Sleep(4 * time.Second)
				if n := connects.since(lost); n != probes {
					t.Errorf("%d connects beside probes that log in, want %d", n, probes)
				}
				time.Sleep(6 * time.Second)
				if !b.link.Ready() {
					t.Errorf("after the probes' logins: %+v", b.link.Status().Sessions)
				}
			})
		})
	}
}

// Nobody's retry mends a refused login, and a ban daemon counts them: whatever
// else is set, and with a refusal for each session's login, no more than two fall
// within ten minutes.
func TestBreaker_AuthRefusedOpensAtOnce(t *testing.T) {
	for _, sessions := range []int{1, 4} {
		var connects dials
		inBubble(t, amisim.Config{Users: map[string]string{"bridge": "other"}}, func(c *Config, d *Deps) {
			c.BreakerCooldown, c.BackoffMax, c.ActionSessions = time.Second, time.Second, sessions
			connects.count(d)
		}, func(b *bench) {
			b.start()
			time.Sleep(time.Hour)
			b.stopLink()
			if n := len(connects.at); n < 6 || n > 8 {
				t.Errorf("%d logins with a wrong secret in an hour", n)
			}
			for i := 2; i < len(connects.at); i++ {
				if within := connects.at[i].Sub(connects.at[i-2]); within <= 10*time.Minute {
					t.Errorf("three logins within %v", within)
				}
			}
			if got := b.transitions(); len(got) < 2 || got[1] != "closed>open:auth" {
				t.Errorf("transitions %q", got)
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			if c := b.breaker[1]; c.Failures != 1 || c.RetryIn != time.Minute {
				t.Errorf("opened after %d failures for %v, want the first and a minute", c.Failures, c.RetryIn)
			}
		})
	}
}

// Half open, it closes once as many sessions as may probe have stayed up, and one
// failure opens it again, however few there were before.
func TestBreaker_HalfOpenCloseOrOpenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := DefaultConfig()
		cfg.BreakerProbes = 3
		b := newBreaker(&cfg, func(BreakerChange) {})
		enter(t, b).failed(&SessionError{ReasonAuth, errors.New("refused")})
		b.retry()
		probe := enter(t, b)
		if s := b.status(); s.State != BreakerHalfOpen || s.Failures != 1 {
			t.Fatalf("%+v", s)
		}
		probe.failed(errGone)
		if s := b.status(); s.State != BreakerOpen || s.Failures != 2 {
			t.Errorf("a probe failed: %+v, want it open after 2", s)
		}
		probe = enter(t, b)
		probe.up()
		for n := 1; n <= 3; n++ {
			if s := b.status(); s.State != BreakerHalfOpen {
				t.Errorf("%+v after %d that stayed up", s, n-1)
			}
			probe.stable()
		}
		if s := b.status(); s.State != BreakerClosed || s.Failures != 0 {
			t.Errorf("%+v after all have stayed up", s)
		}
	})
}

// A session that was let in before the last failure proves nothing of what came
// after it: once it is up, so many as may probe are let in beside it, not all.
func TestBreaker_ProofIsNewerThanTheFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := DefaultConfig()
		cfg.BreakerProbes = 2
		b := newBreaker(&cfg, func(BreakerChange) {})
		older, failed := enter(t, b), enter(t, b)
		failed.failed(errGone)
		older.up()
		first, _ := enter(t, b), enter(t, b)
		if b.free(false) {
			t.Error("a third is let in beside a session that is older than the failure")
		}
		first.up()
		if !b.free(false) {
			t.Error("nobody is let in though one has logged in since")
		}
		enter(t, b)
		enter(t, b)
		if !b.free(false) {
			t.Error("not all are let in though one has logged in since")
		}
	})
}

// A session that dies young counts however it dies, and so does one that
// never came up: each kind of failure opens the breaker.
func TestBreaker_EveryKindOfFailureFeedsIt(t *testing.T) {
	stop := func(s *amisim.Session, _ *amisim.Action) { s.Stall() }
	for _, test := range []struct {
		want   Reason
		point  string
		fault  amisim.Fault
		change func(*Config, *Deps)
	}{
		{ReasonDial, "", nil, func(c *Config, _ *Deps) { c.Addr = "nobody:5038" }},
		{ReasonTLS, "", nil, func(c *Config, _ *Deps) { c.TLS = true }}, // with a server that speaks none
		{ReasonBanner, amisim.Accept, amisim.Refuse, nil},
		{ReasonLogin, "Login", stop, nil},
		{ReasonAuth, "Login", amisim.Deny("Authentication failed"), nil},
		{ReasonClosed, "Ping", amisim.Refuse, nil},
		{ReasonRead, "Ping", amisim.Reset, nil},
		{ReasonReadTimeout, "Ping", stop, func(c *Config, _ *Deps) { c.StableAfter = time.Hour }},
		{ReasonPing, "Ping", amisim.Ignore, func(c *Config, _ *Deps) { c.StableAfter = time.Hour }},
		{ReasonWrite, "", nil, func(_ *Config, d *Deps) { brittle(d, errBrittle) }},
		{ReasonWriteTimeout, "", nil, func(_ *Config, d *Deps) { brittle(d, os.ErrDeadlineExceeded) }},
	} {
		t.Run(string(test.want), func(t *testing.T) {
			inBubble(t, amisim.Config{NotBooted: true}, func(c *Config, d *Deps) {
				c.Sessions, c.BreakerFailures, c.BreakerCooldown = 1, 2, time.Hour
				if test.change != nil {
					test.change(c, d)
				}
			}, func(b *bench) {
				if test.fault != nil {
					b.sim.Always(test.point, test.fault)
				}
				b.start()
				until := time.Now().Add(5 * time.Minute)
				for b.link.Status().Breaker.State != BreakerOpen && time.Now().Before(until) {
					b.sim.Emit("Event", "Tick") // a peer that answers no Ping is not silent
					if test.want == ReasonReadTimeout {
						time.Sleep(time.Minute)
					}
					time.Sleep(time.Second)
				}
				got := b.transitions()
				if want := "closed>open:" + string(test.want); !slices.Contains(got, want) {
					t.Errorf("transitions %q, want %s", got, want)
				}
				if n := b.link.Status().Failed[test.want]; n == 0 {
					t.Errorf("the failure was not counted")
				}
			})
		})
	}
}

// brittle has every connection take the login and fail what is written next.
func brittle(d *Deps, err error) {
	dial := d.Dial
	d.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, dialErr := dial(ctx, network, addr)
		return &brittleConn{Conn: conn, left: 2, err: err}, dialErr // Challenge and Login
	}
}

type brittleConn struct {
	net.Conn

	left int
	err  error
}

var errBrittle = errors.New("brittle")

func (c *brittleConn) Write(p []byte) (int, error) {
	if c.left--; c.left < 0 {
		return 0, c.err
	}
	return c.Conn.Write(p)
}

// A breaker that opens while a session waits at the gate keeps it from
// connecting.
func TestBreaker_HasTheLastWordAtTheGate(t *testing.T) {
	var connects dials
	var hold, both chan struct{} // of the bubble
	var atGate atomic.Int64
	inBubble(t, amisim.Config{}, func(c *Config, d *Deps) {
		hold, both = make(chan struct{}), make(chan struct{})
		c.BreakerFailures, c.ActionSessions = 1, 2
		connects.count(d)
		d.Gate = func(context.Context, time.Time) (func(), error) {
			switch atGate.Add(1) {
			case 2: // behind the event session
				<-both
			case 3:
				close(both)
				<-hold
			}
			return func() {}, nil
		}
	}, func(b *bench) {
		actionFails(b, amisim.Refuse)
		b.start()
		for b.link.Status().Breaker.State != BreakerOpen {
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		start := time.Now().Add(-1)
		close(hold)
		synctest.Wait()
		if n := connects.since(start); n != 0 {
			t.Errorf("%d connects while the breaker was open", n)
		}
		if n := b.link.Status().Failed[ReasonLogin]; n != 1 {
			t.Errorf("%d failures to connect, want the one that opened the breaker", n)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		c := b.changes[len(b.changes)-1]
		if c.To != StateWaiting || c.Reason != ReasonLogin || !errors.Is(c.Err, ErrBreakerOpen) || c.RetryIn <= 0 {
			t.Errorf("kept from connecting: %+v", c)
		}
	})
}
