package amiconn

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
)

// outage is a server that is away: nobody listens, or packets vanish.
type outage struct {
	away   atomic.Bool
	silent bool
	trying atomic.Int64 // connects under way while it is away
	worst  atomic.Int64
}

// put has the dials of d fail while o is away.
func (o *outage) put(d *Deps) {
	dial := d.Dial
	d.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if !o.away.Load() {
			return dial(ctx, network, addr)
		}
		o.worst.Store(max(o.worst.Load(), o.trying.Add(1)))
		defer o.trying.Add(-1)
		if o.silent {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		time.Sleep(time.Millisecond) // so that two at a time are seen
		return nil, os.NewSyscallError("connect", syscall.ECONNREFUSED)
	}
}

// restart takes the server away for so long, and returns how long after it was
// back both sessions were up.
func (o *outage) restart(b *bench, down time.Duration) time.Duration {
	o.away.Store(true)
	b.sim.Kick()
	time.Sleep(down)
	o.away.Store(false)
	greeted := time.Now()
	for !b.link.Ready() && time.Since(greeted) < time.Hour {
		time.Sleep(time.Millisecond)
	}
	return time.Since(greeted)
}

// A server that restarts is served again within a second of its greeting, also
// the third time in a row, and within three of a minute's downtime; however its
// greeting lies to the waits.
func TestOutage_ARestartIsServedWithinASecond(t *testing.T) {
	for _, sessions := range []int{1, 4} {
		for down := 100 * time.Millisecond; down < 8*time.Second; down += 370 * time.Millisecond {
			var o outage
			inBubble(t, amisim.Config{}, func(c *Config, d *Deps) { c.ActionSessions = sessions; o.put(d) }, func(b *bench) {
				b.up()
				for range 4 {
					if took := o.restart(b, down); took > time.Second {
						t.Errorf("%v after the greeting of a restart of %v", took, down)
					}
					time.Sleep(time.Second) // it is not stable by then
				}
				time.Sleep(11 * time.Second)
				if took := o.restart(b, time.Minute+down); took > 3*time.Second {
					t.Errorf("%v after the greeting of a restart of a minute", took)
				}
			})
		}
	}
}

// In the first two minutes no wait is over two seconds, then they grow to
// BackoffMax and BreakerCooldown. One session tries for all.
func TestOutage_WaitsAreShortForTwoMinutesAndThenGrow(t *testing.T) {
	for _, silent := range []bool{false, true} {
		o := outage{silent: silent}
		var connects dials
		inBubble(t, amisim.Config{}, func(c *Config, d *Deps) {
			c.ActionSessions, c.BreakerCooldown = 3, 50*time.Second
			o.put(d)
			connects.count(d)
		}, func(b *bench) {
			b.up()
			o.away.Store(true)
			b.sim.Kick()
			began := time.Now()
			time.Sleep(10 * time.Minute)
			b.stopLink()
			longest := time.Duration(0)
			b.mu.Lock()
			defer b.mu.Unlock()
			for i, c := range b.changes {
				if c.To != StateWaiting || c.Name != "event" || i == len(b.changes)-1 {
					continue
				}
				if age := c.At.Sub(began); age < 2*time.Minute && c.RetryIn > 2*time.Second {
					t.Errorf("a wait of %v after %v", c.RetryIn, age)
				}
				longest = max(longest, c.RetryIn)
				// V3: a state tells when it will be tried again.
				if next := b.changes[i+1]; next.Name == "event" && next.To == StateConnecting && next.At.Sub(c.At) != c.RetryIn {
					t.Errorf("tried again after %v, told %v", next.At.Sub(c.At), c.RetryIn)
				}
			}
			if longest < 30*time.Second || longest > 50*time.Second {
				t.Errorf("the longest wait of ten minutes is %v, want it grown to 50 s less up to half", longest)
			}
			if n := o.worst.Load(); n != 1 {
				t.Errorf("%d connects at a time while the server is down", n)
			}
			if n := len(connects.at) - connects.since(began.Add(2*time.Minute)); silent && n < 25 {
				t.Errorf("%d connects in two minutes that swallow packets", n)
			}
			if n := len(connects.at); !silent && (n < 150 || n > 350) {
				t.Errorf("%d connects", n)
			}
		})
	}
}

// A server that is down for two minutes is tried four times a second or so. The
// log says at its usual level what is new, and not each try.
func TestOutage_TheLogTellsWhatIsNew(t *testing.T) {
	var o outage
	inBubble(t, amisim.Config{}, func(_ *Config, d *Deps) { o.put(d) }, func(b *bench) {
		b.up()
		o.away.Store(true)
		b.sim.Kick()
		time.Sleep(110 * time.Second)
		b.mu.Lock()
		tries := len(b.changes)
		b.mu.Unlock()
		lines := 0
		for _, entry := range b.logs.All() {
			if entry.Level >= zapcore.InfoLevel {
				lines++
			}
		}
		// Two that came up and were lost, one that is refused, the breaker.
		if lines < 6 || lines > 12 || tries < 200 {
			t.Errorf("%d lines of %d changes", lines, tries)
		}
		if n := b.logs.FilterMessage("breaker opened").FilterLevelExact(zapcore.WarnLevel).Len(); n != 1 {
			t.Errorf("%d warnings of the breaker", n)
		}
		time.Sleep(10 * time.Minute)
		if n := b.logs.FilterMessage("session lost").FilterLevelExact(zapcore.WarnLevel).Len(); n != 3 {
			t.Errorf("%d warnings in ten minutes, want those of the loss and the first refusal", n)
		}
	})
}

// Both sessions lost at once are one failure, and so are those that a round has
// let in together.
func TestOutage_CountsRoundsAndNotSessions(t *testing.T) {
	var o outage
	inBubble(t, amisim.Config{}, func(c *Config, d *Deps) {
		c.ActionSessions, c.BreakerFailures = 5, 1000
		o.put(d)
	}, func(b *bench) {
		b.up()
		time.Sleep(11 * time.Second)
		o.away.Store(true)
		b.sim.Kick()
		synctest.Wait()
		if n := b.link.Status().Breaker.Failures; n != 1 {
			t.Errorf("%d failures after one fall of six sessions", n)
		}
		time.Sleep(5 * time.Second)
		rounds := 1
		b.mu.Lock()
		for _, c := range b.changes {
			if c.From == StateConnecting && c.To == StateWaiting {
				rounds++
			}
		}
		b.mu.Unlock()
		if n := b.link.Status().Breaker.Failures; n != rounds || n < 6 || n > 20 {
			t.Errorf("%d failures of %d rounds", n, rounds)
		}
		o.away.Store(false)
		b.up()
		// The event session stands, and the five others fall together and fail
		// together.
		time.Sleep(11 * time.Second)
		b.sim.Always("Login", amisim.Refuse)
		// None has fallen while the next is chosen, so that each has one.
		b.sim.Always("CoreStatus", func(s *amisim.Session, _ *amisim.Action) { s.Sleep(time.Second); s.Close() })
		for range 5 {
			if _, err := b.link.Do(Action{Name: "CoreStatus", Done: func(r *correlation.Result) { r.Release() }}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := b.link.Status().Breaker.Failures; n != 1 {
			t.Errorf("%d failures after the action sessions' fall", n)
		}
		time.Sleep(100 * time.Millisecond)
		if n := b.link.Status().Breaker.Failures; n != 2 {
			t.Errorf("%d failures after the round behind it", n)
		}
	})
	// Five that are let in together, behind the first event session, fail together.
	inBubble(t, amisim.Config{}, func(c *Config, d *Deps) {
		c.ActionSessions = 5
	}, func(b *bench) {
		actionFails(b, func(s *amisim.Session, _ *amisim.Action) { s.Sleep(time.Second); s.Close() })
		b.start()
		time.Sleep(1010 * time.Millisecond)
		if s := b.link.Status(); s.Breaker.Failures != 1 || s.Failed[ReasonLogin] != 5 {
			t.Errorf("%d failures of one round of %d sessions", s.Breaker.Failures, s.Failed[ReasonLogin])
		}
	})
}

// A session that logs in and dies, five times, opens the breaker, and is no
// restart: its waits grow.
func TestOutage_FiveFallsOpenTheBreaker(t *testing.T) {
	inBubble(t, amisim.Config{}, nil, func(b *bench) {
		b.sim.Always("Ping", amisim.Refuse)
		b.start()
		for b.link.Status().Breaker.State != BreakerOpen {
			time.Sleep(time.Millisecond)
		}
		b.mu.Lock()
		falls := 0
		for _, c := range b.changes {
			if c.From == StateUp && c.Name == "event" {
				falls++
			}
		}
		b.mu.Unlock()
		if falls != 5 {
			t.Errorf("it opened after %d falls", falls)
		}
		time.Sleep(time.Minute)
		if c, _ := b.last(RoleEvents, StateWaiting); c.RetryIn < 5*time.Second {
			t.Errorf("after a minute it is tried again each %v", c.RetryIn)
		}
	})
}

// An Asterisk that shuts down refuses every Action, the login too. That is no
// refused login: it is about to restart.
func TestOutage_AShutdownRefusesNoLogin(t *testing.T) {
	for _, point := range []string{"Login", "Challenge"} {
		inBubble(t, amisim.Config{}, nil, func(b *bench) {
			b.up()
			b.sim.Always(point, amisim.Deny("Asterisk is shutting down"))
			b.sim.Kick()
			time.Sleep(2 * time.Second)
			if c, n := b.last(RoleEvents, StateWaiting); n < 3 || c.Reason != ReasonLogin || c.RetryIn > time.Second || strings.Contains(fmt.Sprint(c.Err), "AUTH") {
				t.Errorf("%s: %d tries, the last %+v", point, n, c)
			}
			b.sim.Always(point, nil)
			time.Sleep(time.Second)
			if !b.link.Ready() {
				t.Errorf("%s: not back a second after it", point)
			}
			if n := b.logs.FilterLevelExact(zapcore.ErrorLevel).Len(); n != 0 {
				t.Errorf("%s: %d Error lines", point, n)
			}
		})
	}
}

// A Retry counts for every try that began before it, also if it comes between that
// one's failure and the wait behind it.
func TestOutage_RetryCountsFromTheLastTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := DefaultConfig()
		b := newBreaker(&cfg, func(BreakerChange) {})
		before, err := b.enter(t.Context(), time.Time{}, 0, true)
		if err != nil {
			t.Fatal(err)
		}
		before.failed(&SessionError{ReasonAuth, errInUse})
		b.retry()
		began := time.Now()
		if _, err := b.enter(t.Context(), began.Add(time.Hour), before.retries, true); err != nil || time.Since(began) > 0 {
			t.Errorf("let in after %v: %v", time.Since(began), err)
		}
	})
}

// A user who may log in once is refused while an old session is half dead. That
// ends by itself, and no ban daemon counts it: it is asked for again after five
// seconds, and less and less often.
func TestOutage_ALoginInUseIsWaitedFor(t *testing.T) {
	inBubble(t, amisim.Config{}, func(c *Config, _ *Deps) { c.Sessions = 1 }, func(b *bench) {
		b.up()
		b.sim.Always("Challenge", amisim.Deny("Login Already In Use"))
		b.sim.Kick()
		time.Sleep(100 * time.Millisecond)
		for _, want := range []time.Duration{5, 10, 20, 40, 80, 120, 120} {
			synctest.Wait()
			c, _ := b.last(RoleBoth, StateWaiting)
			if c.Reason != ReasonAuth || c.RetryIn != want*time.Second || strings.Contains(fmt.Sprint(c.Err), "AUTH=plain") {
				t.Errorf("%s, %v, again in %v; want %v s", c.Reason, c.Err, c.RetryIn, want)
			}
			time.Sleep(c.RetryIn)
		}
		if n := b.logs.FilterMessageSnippet("SESSIONS=1").Len(); n != 1 {
			t.Errorf("%d log lines name the setting", n)
		}
	})
}

// Sixteen action sessions that are lost together, beside an event session that
// stands, do not try a wrong secret sixteen times.
func TestOutage_ManySessionsTryAWrongSecretOnce(t *testing.T) {
	var connects dials
	inBubble(t, amisim.Config{}, func(c *Config, d *Deps) {
		c.ActionSessions, c.BreakerProbes = 16, 2
		connects.count(d)
	}, func(b *bench) {
		b.up()
		time.Sleep(11 * time.Second)
		began := time.Now()
		b.sim.Always("Login", amisim.Deny("Authentication failed"))
		b.sim.Always("CoreStatus", amisim.Refuse)
		for range 16 {
			if _, err := b.link.Do(Action{Name: "CoreStatus", Done: func(r *correlation.Result) { r.Release() }}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(12 * time.Minute)
		if n := connects.since(began); n != 3 { // both probes, and later one
			t.Errorf("%d logins with a wrong secret in 12 minutes", n)
		}
		b.sim.Always("Login", nil)
		b.link.Retry()
		time.Sleep(time.Second)
		if !b.link.Ready() {
			t.Errorf("not up once it is right: %+v", b.link.Status())
		}
	})
}

// Retry ends the wait after a refused login, also if it is called while that is
// being refused.
func TestOutage_RetryEndsTheWait(t *testing.T) {
	for _, during := range []bool{false, true} {
		inBubble(t, amisim.Config{LoginPenalty: time.Second}, nil, func(b *bench) {
			b.up()
			b.sim.Always("Login", func(s *amisim.Session, a *amisim.Action) {
				s.Sleep(time.Second)
				amisim.Deny("Authentication failed")(s, a)
			})
			b.sim.Kick()
			time.Sleep(500 * time.Millisecond)
			if !during {
				time.Sleep(65 * time.Second)
				if b.link.RetryIn() < 5*time.Minute {
					t.Fatalf("retry in %v", b.link.RetryIn())
				}
			}
			b.link.Retry()
			b.sim.Always("Login", nil)
			time.Sleep(1500 * time.Millisecond)
			if !b.link.Ready() {
				t.Errorf("called during the login: %v; not up: %+v", during, b.link.Status())
			}
		})
	}
}

// What is told of a login that went wrong says what it was.
func TestOutage_TellsWhatWentWrong(t *testing.T) {
	for name, test := range map[string]struct {
		point  string
		fault  amisim.Fault
		reason Reason
		text   string
		not    string
	}{
		"accepted, no banner":       {amisim.Accept, amisim.Stall, ReasonBanner, "no banner came: Asterisk hangs or is starting", "not an AMI"},
		"closed":                    {amisim.Accept, amisim.Refuse, ReasonBanner, "closed before the banner", "not an AMI"},
		"another protocol":          {amisim.Accept, amisim.Say("220 smtp ready\r\n"), ReasonBanner, "not an AMI banner", ""},
		"Challenge unknown":         {"Challenge", amisim.Deny("Invalid/unknown command"), ReasonAuth, "AUTH=plain", ""},
		"Challenge without one":     {"Challenge", amisim.Rewrite(func([]byte) []byte { return []byte("Response: Success\r\nActionID: x\r\n\r\n") }), ReasonLogin, "AUTH=plain", ""},
		"Challenge is closed on":    {"Challenge", amisim.Refuse, ReasonLogin, "AUTH=plain", ""},
		"Challenge is not answered": {"Challenge", amisim.Stall, ReasonLogin, "AUTH=plain", ""},
		"login refused":             {"Login", amisim.Deny("Authentication failed"), ReasonAuth, "Authentication failed", "AUTH=plain"},
		"Challenge's is empty": {"Challenge", func(s *amisim.Session, a *amisim.Action) {
			amisim.Say("Response: Success\r\nActionID: "+a.ActionID+"\r\n\r\n")(s, a)
		}, ReasonAuth, "AUTH=plain", ""},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, amisim.Config{}, nil, func(b *bench) {
				b.up()
				b.sim.Always(test.point, test.fault)
				b.sim.Kick()
				time.Sleep(7 * time.Second)
				var told Change
				b.mu.Lock()
				for _, c := range b.changes {
					if c.From == StateConnecting && c.To == StateWaiting {
						told = c
					}
				}
				b.mu.Unlock()
				if text := fmt.Sprint(told.Err); told.Reason != test.reason || !strings.Contains(text, test.text) || test.not != "" && strings.Contains(text, test.not) {
					t.Errorf("%s: %s", told.Reason, text)
				}
			})
		})
	}
}
