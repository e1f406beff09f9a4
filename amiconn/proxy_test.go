package amiconn

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// odd are the servers that stand before Asterisk, or are none.
var odd = map[string]amisim.Config{
	"proxy":              {Proxy: "10.0.0.1"},
	"old proxy":          {Proxy: "10.0.0.1", Version: "1.28"},
	"without ActionID":   {NoActionID: true},
	"proxy without them": {Proxy: "10.0.0.1", NoActionID: true},
	"before FullyBooted": {NoActionID: true, NotBooted: true},
}

// The session comes up, stays up though only Pings are exchanged, brings events
// and lists.
func TestLink_ServesProxiesAndServersThatNameNoActionID(t *testing.T) {
	for name, sim := range odd {
		for _, auth := range []Auth{AuthMD5, AuthPlain} {
			t.Run(fmt.Sprint(name, " ", auth), func(t *testing.T) {
				inBubble(t, sim, func(c *Config, _ *Deps) { c.Auth = auth }, func(b *bench) {
					b.up()
					time.Sleep(10 * time.Minute)
					if s := b.link.Status(); !b.link.Ready() || s.Calls.Unmatched != 0 || s.Calls.Late != 0 {
						t.Fatalf("after ten minutes: %+v", s)
					}
					if _, ups := b.last(RoleEvents, StateUp); ups != 1 {
						t.Errorf("the event session was up %d times", ups)
					}
					b.sim.Emit("Event", "Newchannel", "Channel", "x")
					if r := b.do(Action{Name: "QueueStatus"}); r.Outcome != correlation.Answered || r.EventCount < 3 {
						t.Errorf("QueueStatus: %v, %d events", r.Outcome, r.EventCount)
					}
					if r := b.do(Action{Name: "Command", Headers: []frames.Header{header("Command", "long 3")}}); r.Outcome != correlation.Answered || r.OutputLines != 3 {
						t.Errorf("Command: %v, %d lines", r.Outcome, r.OutputLines)
					}
					if r := b.do(Action{Name: "Hangup"}); r.Outcome != correlation.AsteriskError {
						t.Errorf("Hangup of nothing: %v", r.Outcome)
					}
					synctest.Wait()
					b.mu.Lock()
					defer b.mu.Unlock()
					if !slices.Contains(b.events, "Newchannel") || slices.Contains(b.events, "") {
						t.Errorf("events %q", b.events)
					}
				})
			})
		}
	}
}

// A refusal without ActionID is one all the same.
func TestLink_TakesARefusalWithoutActionID(t *testing.T) {
	for _, point := range []string{"Challenge", "Login"} {
		t.Run(point, func(t *testing.T) {
			inBubble(t, amisim.Config{NoActionID: true}, nil, func(b *bench) {
				b.sim.Always(point, amisim.Say("Response: Error\r\nMessage: Authentication failed\r\n\r\n"))
				b.start()
				time.Sleep(time.Second)
				if failed := b.link.Status().Failed; failed[ReasonAuth] == 0 || failed[ReasonLogin] != 0 {
					t.Errorf("failures: %v", failed)
				}
			})
		})
	}
}

// What no action of ours caused logs nobody in, and refuses nobody.
func TestLink_TakesNoStrayResponseForTheAnswerToItsLogin(t *testing.T) {
	stray := "Response: Error\r\nMessage: Missing action in request\r\n\r\n" +
		"Response: Error\r\nActionID: other\r\nMessage: Authentication failed\r\n\r\n" +
		"Response: Success\r\nActionID: other\r\nMessage: Authentication accepted\r\n\r\n"
	inBubble(t, amisim.Config{}, nil, func(b *bench) {
		b.up() // and of a Link that comes up now the first two
		b.sim.Always("Challenge", amisim.Before(stray+"Response: Success\r\nMessage: x\r\n\r\n"))
		b.sim.Always("Login", amisim.Before(stray))
		b.sim.Next("Ping", func(s *amisim.Session, _ *amisim.Action) { s.Close() }, func(s *amisim.Session, _ *amisim.Action) { s.Close() })
		time.Sleep(time.Minute)
		b.up()
		if failed := b.link.Status().Failed; failed[ReasonAuth]+failed[ReasonLogin] != 0 || b.sim.Received("Login") < 4 {
			t.Errorf("%d logins, failures: %v", b.sim.Received("Login"), failed)
		}
	})
}

// A Pong without ActionID is that of the Ping which is due, and of nothing else: a
// caller's Ping, and what is written between two, is refused there.
func TestLink_APongWithoutActionIDIsOurs(t *testing.T) {
	for _, sessions := range []int{1, 2} {
		inBubble(t, amisim.Config{NoActionID: true}, func(c *Config, _ *Deps) { c.Sessions = sessions }, func(b *bench) {
			b.up()
			time.Sleep(time.Second) // the Pings of the beginning are answered
			asked := b.sim.Received("Ping")
			for _, name := range []string{"Ping", "pInG", "FAXSession", "IAXnetstats", "Queues"} {
				done := func(*correlation.Result) { t.Errorf("%s was taken", name) }
				if _, err := b.link.Do(Action{Name: name, Done: done}); !errors.Is(err, ErrNoActionID) {
					t.Errorf("a caller's %s: %v", name, err)
				}
			}
			if s := b.link.Status().Calls; s.Unmatched != 0 || s.Pending != 0 || b.sim.Received("Ping") != asked {
				t.Errorf("%+v, and %d Pings more", s, b.sim.Received("Ping")-asked)
			}
			if r := b.do(Action{Name: "CoreStatus"}); r.Outcome != correlation.Answered {
				t.Errorf("another Action: %v", r.Outcome)
			}
		})
	}
}

// A caller's Ping that was written before any Pong has come is not answered by
// ours.
func TestLink_APingBeforeThePongIsNotAnsweredByOurs(t *testing.T) {
	inBubble(t, amisim.Config{NoActionID: true}, func(c *Config, d *Deps) {
		c.Sessions = 1
	}, func(b *bench) {
		b.sim.Always("Ping", amisim.Delay(time.Second))
		b.up()
		r := b.do(Action{Name: "Ping"})
		if r.Outcome != correlation.TimedOut || !errors.Is(r.Cause, correlation.ErrUnnamed) || r.Duration > 5*time.Second {
			t.Errorf("%v after %v, %v", r.Outcome, r.Duration, r.Cause)
		}
	})
}

// An answer without ActionID to an Action, of a server that leaves them out, ends
// at once in an error whose it must be. It answers nobody, and what else waits
// gets its own.
func TestLink_AnAnswerWithoutActionIDAnswersNobody(t *testing.T) {
	for name, message := range map[string]string{
		"success": "Response: Success\r\nMessage: ok\r\n\r\n", "error": "Response: Error\r\nMessage: No such queue\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, amisim.Config{NoActionID: true}, nil, func(b *bench) {
				b.up()
				time.Sleep(time.Second)
				b.sim.Next("CoreSettings", amisim.Say(message))
				results := make(chan *correlation.Result, 8)
				for _, name := range []string{"CoreSettings", "CoreStatus", "QueueStatus"} {
					if _, err := b.link.Do(Action{Name: name, Done: func(r *correlation.Result) { results <- r }}); err != nil {
						t.Fatal(err)
					}
				}
				for range 3 {
					r := <-results
					switch {
					case r.Action == "CoreSettings" && (r.Outcome != correlation.TimedOut || !errors.Is(r.Cause, correlation.ErrUnnamed) || r.Sent == correlation.SentNo),
						r.Action != "CoreSettings" && r.Outcome != correlation.Answered, r.Duration > time.Second:
						t.Errorf("%s: %v after %v, sent %v, %v", r.Action, r.Outcome, r.Duration, r.Sent, r.Cause)
					}
					r.Release()
				}
				// What Asterisk says to an empty line answers nobody either.
				b.sim.Next("CoreStatus", amisim.Before("Response: Error\r\nMessage: Missing action in request\r\n\r\n"))
				if r := b.do(Action{Name: "CoreStatus"}); r.Outcome != correlation.Answered {
					t.Errorf("behind a stray line: %v", r.Outcome)
				}
			})
		})
	}
}

// The list that is only announced in words gets a Ping behind it, whose Pong is
// its end, long before the next that is due.
func TestLink_AsksForTheEndOfAListThatIsOnlyAnnounced(t *testing.T) {
	for name, sim := range map[string]amisim.Config{"Asterisk": {}, "proxy": {Proxy: "x", NoActionID: true}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, sim, nil, func(b *bench) {
				b.up()
				time.Sleep(time.Second)
				for items := range 3 {
					b.sim.Next("XDevices", func(s *amisim.Session, a *amisim.Action) {
						id := "ActionID: " + a.ActionID + "\r\n"
						s.Write([]byte("Response: Success\r\n" + id + "Message: Device list will follow\r\n\r\n" +
							strings.Repeat("Event: XDevice\r\n"+id+"\r\n", items)))
					})
					r := b.do(Action{Name: "XDevices"})
					if r.Outcome != correlation.Answered || r.EventCount != items || r.Duration > 100*time.Millisecond {
						t.Errorf("%v with %d events of %d after %v", r.Outcome, r.EventCount, items, r.Duration)
					}
				}
				if s := b.link.Status().Calls; s.Late+s.Unmatched != 0 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// What came in the place of an event and is none is numbered like one.
func TestLink_NumbersWhatIsNoEvent(t *testing.T) {
	for _, sessions := range []int{1, 2} {
		var kinds []frames.Kind
		var corrupt atomic.Int64 // of all sessions, each with a reader
		inBubble(t, amisim.Config{NotBooted: true}, func(c *Config, d *Deps) {
			c.Sessions = sessions
			next := d.Hooks.Event
			d.Hooks.Event = func(e Event) { kinds = append(kinds, e.Frame.Kind()); next(e) }
			d.Hooks.Corrupt = func(int) { corrupt.Add(1) }
		}, func(b *bench) {
			b.up()
			b.sim.Emit("Event", "A")
			b.sim.EmitRaw([]byte("stray: text\r\n\r\n"))
			b.sim.Emit("Event", "B")
			// On an action session of its own there is no event to lose.
			b.sim.Next("CoreStatus", amisim.Before("stray text\r\n\r\n"))
			b.do(Action{Name: "CoreStatus"})
			synctest.Wait()
			want := []frames.Kind{frames.KindEvent, frames.KindOther, frames.KindEvent}
			if sessions == 1 {
				want = append(want, frames.KindOther)
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			if !slices.Equal(kinds, want) || b.seqs[len(b.seqs)-1] != uint64(len(want)) || corrupt.Load() != 2 {
				t.Errorf("%d sessions: kinds %v, numbers %v, %d corrupt", sessions, kinds, b.seqs, corrupt.Load())
			}
		})
	}
}

// Output over the limit of a frame reaches a stream, in both formats.
func TestLink_StreamsOutputOverTheFrameLimit(t *testing.T) {
	const lines = 40_000
	for name, sim := range map[string]amisim.Config{"new": {}, "old": {Version: "2.10.6"}, "proxy": {Proxy: "x", Version: "2.10.6"}, "without ActionID": {NoActionID: true}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, sim, func(c *Config, _ *Deps) { c.MaxFrameBytes = 64 * setting.KiB }, func(b *bench) {
				b.up()
				command := Action{Name: "Command", Headers: []frames.Header{header("Command", fmt.Sprint("long ", lines))}}
				if r := b.do(command); r.Outcome != correlation.TooLarge || r.Cause == nil {
					t.Errorf("a plain request: %v, %v", r.Outcome, r.Cause)
				}
				got := 0
				command.Part = func(p correlation.Part) bool { got += p.OutputLines; return true }
				if r := b.do(command); r.Outcome != correlation.Answered || r.OutputLines != lines || got != lines || r.Parts < lines/200 {
					t.Errorf("a stream: %v, %d lines in %d parts, %v", r.Outcome, got, r.Parts, r.Cause)
				}
				if r := b.do(Action{Name: "LoggerRotate"}); r.Outcome != correlation.Answered {
					t.Errorf("the action behind it: %v", r.Outcome)
				}
			})
		})
	}
}

// The pieces of a long answer, of which only the first names the ActionID, are not
// taken for answers without one.
func TestLink_PiecesOfAnAnswerAreNotUnnamed(t *testing.T) {
	inBubble(t, amisim.Config{NoActionID: true}, func(c *Config, _ *Deps) { c.MaxFrameBytes = 64 * setting.KiB }, func(b *bench) {
		b.up()
		time.Sleep(time.Second)
		results := make(chan *correlation.Result, 2)
		done := func(r *correlation.Result) { results <- r }
		long := Action{Name: "Command", Headers: []frames.Header{header("Command", "long 40000")}, Done: done}
		long.Part = func(correlation.Part) bool { return true }
		for _, a := range []Action{long, {Name: "CoreStatus", Done: done}} {
			if _, err := b.link.Do(a); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			r := <-results
			if r.Outcome != correlation.Answered {
				t.Errorf("%s: %v, %v", r.Action, r.Outcome, r.Cause)
			}
			r.Release()
		}
	})
}
