package amiconn

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// Whatever a peer stops at, the timeout of that phase ends the session, and no
// other: each has a length of its own here.
func TestLink_EachSilenceEndsInItsOwnTimeout(t *testing.T) {
	const connect, login, read, action = 3 * time.Second, 5 * time.Second, 7 * time.Second, 60 * time.Second
	never := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	drip := func(s *amisim.Session, _ *amisim.Action) {
		for range 200 { // a banner without its end is over the limit in the end
			s.Write([]byte("A"))
			s.Sleep(100 * time.Millisecond)
		}
	}
	for _, test := range []struct {
		name   string
		point  string
		fault  amisim.Fault
		break_ func(*bench)
		want   Reason
		least  time.Duration
		most   time.Duration
	}{
		{"a connect that hangs", "", nil, func(*bench) {}, ReasonDial, connect, connect},
		{"a peer that accepts and says nothing", amisim.Accept, amisim.Stall, nil, ReasonBanner, login, login},
		{"a banner that never ends", amisim.Accept, drip, nil, ReasonBanner, login, login},
		{"a challenge that hangs", "Challenge", amisim.Stall, nil, ReasonLogin, login, login},
		{"a login that hangs", "Login", amisim.Stall, nil, ReasonLogin, login, login},
		// The last byte was that of a Pong, up to a PingInterval ago.
		{"a half-open connection", "", nil, func(b *bench) { b.sim.FreezeWrites(); b.sim.FreezeReads() }, ReasonReadTimeout, read - time.Second, read},
		{"a Ping that is not answered", "Ping", amisim.Ignore, nil, ReasonPing, read, read + 2*time.Second},
		{"a server that reads nothing", "", nil, readsNothing, ReasonWriteTimeout, read - time.Second, read + time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			var hung struct {
				sync.Mutex
				yes bool
			}
			inBubble(t, amisim.Config{NotBooted: true}, func(c *Config, d *Deps) {
				c.Sessions, c.PingInterval = 1, time.Second
				c.ConnectTimeout, c.LoginTimeout, c.ReadTimeout, c.ActionTimeout = connect, login, read, action
				dial := d.Dial
				d.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
					hung.Lock()
					defer hung.Unlock()
					if hung.yes {
						return never(ctx, network, addr)
					}
					return dial(ctx, network, addr)
				}
			}, func(b *bench) {
				b.up()
				time.Sleep(500 * time.Millisecond)
				from := time.Now()
				switch {
				case test.want == ReasonDial:
					hung.Lock()
					hung.yes = true
					hung.Unlock()
					b.sim.Kick()
				case test.want == ReasonPing:
					b.sim.Always(test.point, test.fault)
				case test.fault != nil:
					b.sim.Always(test.point, test.fault)
					b.sim.Kick()
				default:
					test.break_(b)
				}
				change := b.loss(test.want)
				if connecting, _ := b.last(RoleBoth, StateConnecting); connecting.At.After(from) {
					from = connecting.At
				}
				if took := change.At.Sub(from); took < test.least || took > test.most {
					t.Errorf("%s came after %v, want %v to %v", test.want, took, test.least, test.most)
				}
			})
		})
	}
}

// loss waits for the session to be lost for that reason, with events coming
// meanwhile from a peer that can still write.
func (b *bench) loss(want Reason) Change {
	b.t.Helper()
	for range 600 {
		b.sim.Emit("Event", "Tick")
		synctest.Wait()
		if c, n := b.last(RoleBoth, StateWaiting); n > 0 && c.Reason == want {
			return c
		}
		time.Sleep(100 * time.Millisecond)
	}
	c, n := b.last(RoleBoth, StateWaiting)
	b.t.Fatalf("a minute ended no session by %s: %d were lost, the last by %q", want, n, c.Reason)
	return c
}

// readsNothing has the server read nothing while Actions fill its socket.
func readsNothing(b *bench) {
	b.sim.FreezeReads()
	value := header("Variable", strings.Repeat("x", 1000))
	for range 1000 {
		_, err := b.link.Do(Action{
			Name: "Getvar", Headers: []frames.Header{value}, Done: func(r *correlation.Result) { r.Release() },
		})
		if err != nil {
			b.t.Fatal(err)
		}
	}
}

// Asterisk runs one Action of a session after another, the Ping among them: one
// that takes its time is no reason to give up a session that has events.
func TestLink_APingBehindALongActionIsNotMissed(t *testing.T) {
	inBubble(t, amisim.Config{NotBooted: true}, func(c *Config, _ *Deps) {
		c.Sessions, c.PingInterval, c.ReadTimeout, c.ActionTimeout = 1, time.Second, 5*time.Second, time.Minute
	}, func(b *bench) {
		b.up()
		b.sim.Next("CoreStatus", func(s *amisim.Session, a *amisim.Action) {
			for range 30 { // its events come, and it reads nothing
				s.Write([]byte("Event: Tick\r\nPrivilege: call,all\r\n\r\n"))
				s.Sleep(time.Second)
			}
			s.Serve(a)
		})
		r := b.do(Action{Name: "CoreStatus"})
		if r.Outcome != correlation.Answered || r.Duration < 30*time.Second {
			t.Errorf("%v after %v", r.Outcome, r.Duration)
		}
		if c, n := b.last(RoleBoth, StateWaiting); n > 0 {
			t.Errorf("the session ended by %s", c.Reason)
		}
	})
}

// A server that says something now and then and answers no Action of ours, nor the Ping behind
// them, is left, however much callers go on asking: each of them would else wait in vain.
func TestLink_CallersKeepNoSessionThatAnswersNobody(t *testing.T) {
	for name, says := range map[string]string{
		"bytes of a frame without end": "x",
		"answers to others":            "Response: Success\r\nActionID: b1.pbx1.other.1\r\n\r\n",
		"events":                       "Event: Tick\r\nPrivilege: call,all\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, amisim.Config{}, func(c *Config, _ *Deps) { c.Sessions = 1 }, func(b *bench) {
				b.up()
				b.sim.Next("CoreStatus", func(s *amisim.Session, _ *amisim.Action) {
					for range 200 {
						s.Write([]byte(says))
						s.Sleep(time.Second)
					}
				})
				for range 100 {
					_, _ = b.link.Do(Action{Name: "CoreStatus", Done: func(r *correlation.Result) { r.Release() }}) // not while it is down
					time.Sleep(time.Second)
				}
				if c, n := b.last(RoleBoth, StateWaiting); n != 1 || c.Reason != ReasonPing {
					t.Errorf("it ended %d times, the last by %q", n, c.Reason)
				}
				if r := b.do(Action{Name: "CoreStatus"}); r.Outcome != correlation.Answered {
					t.Errorf("then %v (%v)", r.Outcome, r.Cause)
				}
			})
		})
	}
}

// A Goodbye that nobody asked for is the server's doing, as a closed connection is.
func TestLink_AGoodbyeUnaskedIsAFailure(t *testing.T) {
	inBubble(t, amisim.Config{}, nil, func(b *bench) {
		b.up()
		b.sim.EmitRaw([]byte("Response: Goodbye\r\nMessage: Thanks for all the fish.\r\n\r\n"))
		time.Sleep(time.Second)
		if c, n := b.last(RoleEvents, StateWaiting); n != 1 || c.Reason != ReasonClosed {
			t.Errorf("the event session ended %d times, by %q", n, c.Reason)
		}
		b.stopLink()
		if c, _ := b.last(RoleActions, StateStopped); c.Reason != ReasonShutdown {
			t.Errorf("who logs off ends by %q", c.Reason)
		}
	})
}

// A server that does not say Goodbye is left after two seconds.
func TestLink_LogsOffWithoutAGoodbye(t *testing.T) {
	inBubble(t, amisim.Config{}, nil, func(b *bench) {
		b.up()
		b.sim.Always("Logoff", amisim.Ignore)
		began := time.Now()
		b.stopLink()
		if took := time.Since(began); took != logoffWait {
			t.Errorf("it took %v", took)
		}
	})
}

// A list that stops half way ends at its Action's own timeout, and costs neither
// the session nor the next Action.
func TestLink_ListThatStopsHalfWay(t *testing.T) {
	inBubble(t, amisim.Config{}, nil, func(b *bench) {
		b.up()
		b.sim.Next("QueueStatus", func(s *amisim.Session, a *amisim.Action) {
			whole := string(s.Reply(a))
			s.Write([]byte(whole[:strings.LastIndex(whole, "Event: QueueStatusComplete")]))
		})
		began := time.Now()
		r := b.do(Action{Name: "QueueStatus", Timeout: 4 * time.Second})
		if r.Outcome != correlation.TimedOut || r.Sent != correlation.SentYes || time.Since(began) != 4*time.Second {
			t.Errorf("%v, sent %v, after %v", r.Outcome, r.Sent, time.Since(began))
		}
		if r := b.do(Action{Name: "QueueStatus"}); r.Outcome != correlation.Answered {
			t.Errorf("the next list: %v", r.Outcome)
		}
		if _, n := b.last(RoleActions, StateUp); n != 1 {
			t.Errorf("the session came up %d times", n)
		}
	})
}

// A session that waits for its turn at the gate is cancelled with the Link.
func TestLink_CanBeStoppedAtTheGate(t *testing.T) {
	inBubble(t, amisim.Config{}, func(_ *Config, d *Deps) {
		d.Gate = func(ctx context.Context, _ time.Time) (func(), error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
	}, func(b *bench) {
		b.start()
		time.Sleep(time.Hour)
		if c, n := b.last(RoleEvents, StateConnecting); n != 1 {
			t.Errorf("%d connects, the last %+v", n, c)
		}
		began := time.Now()
		b.stopLink()
		if took := time.Since(began); took != 0 {
			t.Errorf("a Link whose sessions wait at the gate took %v to stop", took)
		}
		if c, n := b.last(RoleEvents, StateStopped); n != 1 || c.Reason != ReasonShutdown {
			t.Errorf("then %+v", c)
		}
	})
}
