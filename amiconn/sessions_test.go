package amiconn

import (
	"errors"
	"fmt"
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
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// sessionOf returns the session's token in an ActionID.
func sessionOf(id string) string { return strings.Split(id, ".")[2] }

// ends collects Results by the session that they were asked on.
type ends struct {
	mu  sync.Mutex
	all map[string][]*correlation.Result
}

func (e *ends) add(r *correlation.Result) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.all == nil {
		e.all = make(map[string][]*correlation.Result)
	}
	e.all[r.Session] = append(e.all[r.Session], r)
	r.Release()
}

// slowest returns how many ended and the longest that one took.
func (e *ends) slowest() (n int, took time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, results := range e.all {
		for _, r := range results {
			n, took = n+1, max(took, r.Duration)
		}
	}
	return n, took
}

// flood sends n Actions without waiting and returns how many went by each
// session.
func (b *bench) flood(n int, a Action) map[string]int {
	b.t.Helper()
	by := make(map[string]int)
	for range n {
		id, err := b.link.Do(a)
		if err != nil {
			b.t.Fatal(err)
		}
		by[sessionOf(id)]++
	}
	return by
}

// losses returns the sessions that were lost after they were up, as
// name:reason.
func (b *bench) losses() (all []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.changes {
		if c.From == StateUp && c.To == StateWaiting {
			all = append(all, c.Name+":"+string(c.Reason))
		}
	}
	return all
}

func actionSessions(n int) func(*Config, *Deps) {
	return func(c *Config, _ *Deps) { c.ActionSessions, c.ActionTimeout = n, 5*time.Minute }
}

func TestSessions_TakeTurns(t *testing.T) {
	inBubble(t, amisim.Config{}, actionSessions(3), func(b *bench) {
		b.up()
		var names []string
		for _, s := range b.link.Status().Sessions {
			names = append(names, s.Name)
		}
		if diff := cmp.Diff([]string{"event", "action", "action2", "action3"}, names); diff != "" {
			t.Error("sessions (-want +got):", diff)
		}
		by := make(map[string]int)
		for range 30 {
			by[sessionOf(b.do(Action{Name: "CoreStatus"}).ActionID)]++
		}
		for session, n := range by {
			if len(by) != 3 || n != 10 {
				t.Errorf("%d of 30 actions on %s of %d sessions, want 10 on each of 3", n, session, len(by))
			}
		}
	})
}

// A sync Originate holds up its own session for a minute, whether its caller
// waits for it or not. Others go elsewhere: those that come one by one to an
// idle session, and those that come in crowds to one that is not stuck.
func TestSessions_SlowActionDelaysItsOwnOnly(t *testing.T) {
	for _, timeout := range []time.Duration{0, time.Second} {
		t.Run(fmt.Sprint("timeout ", timeout), func(t *testing.T) {
			inBubble(t, amisim.Config{}, actionSessions(3), func(b *bench) {
				b.up()
				// All sessions are answering something when the slow one comes.
				b.sim.Next("CoreSettings", slices.Repeat([]amisim.Fault{amisim.Delay(50 * time.Millisecond)}, 3)...)
				b.sim.Next("Originate", amisim.Delay(time.Minute))
				var slow, quick ends
				b.flood(3, Action{Name: "CoreSettings", Done: func(r *correlation.Result) { r.Release() }})
				b.flood(1, Action{Name: "Originate", Timeout: timeout, Done: slow.add, Headers: []frames.Header{
					header("Channel", "Local/1@x"), header("Exten", "1"), header("Context", "x"), header("Priority", "1"),
				}})
				for range 50 {
					if r := b.do(Action{Name: "CoreStatus"}); r.Duration > time.Second {
						t.Fatalf("one at a time: %v", r.Duration)
					}
				}
				for range 5 {
					time.Sleep(5 * time.Second)
					b.flood(60, Action{Name: "CoreStatus", Done: quick.add})
					synctest.Wait()
				}
				time.Sleep(time.Minute)
				if n, took := quick.slowest(); n != 300 || took > time.Second {
					t.Errorf("%d of 300 beside a slow one ended, the slowest after %v", n, took)
				}
				if n, took := slow.slowest(); n != 1 || timeout == 0 && took < time.Minute {
					t.Errorf("%d slow ones ended after %v", n, took)
				}
				if by := b.flood(60, Action{Name: "CoreStatus", Done: quick.add}); len(by) != 3 {
					t.Errorf("after it was done, 60 went to %d sessions of 3", len(by))
				}
			})
		})
	}
}

// One session stops reading in the middle of its Actions and is given up. What
// the others have pending goes on, and they get what is new.
func TestSessions_LosingOneFailsItsOwnOnly(t *testing.T) {
	inBubble(t, amisim.Config{}, actionSessions(3), func(b *bench) {
		b.up()
		b.sim.Always("Getvar", amisim.Ignore)
		b.sim.Next("QueueStatus", amisim.Stall)
		var ended ends
		long := []frames.Header{header("Variable", strings.Repeat("x", 900))}
		stuck := ""
		for session := range b.flood(1, Action{Name: "QueueStatus", Done: ended.add}) {
			stuck = session
		}
		synctest.Wait()
		thaw := b.sim.FreezeReads()
		by := b.flood(900, Action{Name: "Getvar", Headers: long, Done: ended.add})
		synctest.Wait() // the writers have stopped
		status := b.link.Status()
		if bytes, pending := b.link.Pressure(); bytes != status.WriteBytes || bytes < 500_000 || pending != 901 {
			t.Errorf("%d bytes of %d actions wait in all, by Status %d", bytes, pending, status.WriteBytes)
		}
		thaw()
		b.sim.Always(amisim.Accept, amisim.Refuse)
		time.Sleep(32 * time.Second)
		if got := b.losses(); len(got) != 1 || !strings.HasSuffix(got[0], ":write_timeout") {
			t.Fatalf("lost %q, want the one that does not read", got)
		}
		sent := map[correlation.SentState]int{}
		ended.mu.Lock()
		for session, results := range ended.all {
			if session != stuck {
				t.Errorf("%d actions of another session failed too", len(results))
			}
			for _, r := range results {
				sent[r.Sent]++
			}
		}
		ended.mu.Unlock()
		if sent[correlation.SentNo] == 0 || sent[correlation.SentUnknown] == 0 || sent[correlation.SentYes] != 0 ||
			sent[correlation.SentNo]+sent[correlation.SentUnknown] != by[stuck]+1 {
			t.Errorf("of %d actions on the lost session: %v", by[stuck]+1, sent)
		}
		if n := b.link.Status().Calls.Pending; n != 900-by[stuck] {
			t.Errorf("%d pending, want the %d of the others", n, 900-by[stuck])
		}
		for range 10 {
			if r := b.do(Action{Name: "CoreStatus"}); r.Outcome != correlation.Answered {
				t.Errorf("an action beside a lost session: %v", r.Outcome)
			}
		}
		if !b.link.Takes() || !b.link.Acts() || b.link.Ready() || b.link.RetryIn() != 0 {
			t.Errorf("takes actions: %v, acts: %v, ready: %v, retry in %v", b.link.Takes(), b.link.Acts(), b.link.Ready(), b.link.RetryIn())
		}
	})
}

// A busy session answers no Ping, and is kept; one that is silent without an
// Action to excuse it is not.
func TestSessions_EachIsKeptAliveByItself(t *testing.T) {
	inBubble(t, amisim.Config{}, actionSessions(2), func(b *bench) {
		b.up()
		b.sim.Next("Originate", amisim.Delay(80*time.Second))
		var slow ends
		b.flood(1, Action{Name: "Originate", Done: slow.add, Headers: []frames.Header{
			header("Channel", "Local/1@x"), header("Exten", "1"), header("Context", "x"), header("Priority", "1"),
		}})
		synctest.Wait()
		b.sim.Next("Ping", amisim.Stall)
		time.Sleep(90 * time.Second)
		if got := b.losses(); len(got) != 1 || !strings.HasSuffix(got[0], ":read_timeout") {
			t.Errorf("lost %q, want the silent one only", got)
		}
		slow.mu.Lock()
		defer slow.mu.Unlock()
		for _, results := range slow.all {
			if r := results[0]; r.Outcome != correlation.Answered {
				t.Errorf("the busy session's action: %v (%v)", r.Outcome, r.Cause)
			}
		}
		if len(slow.all) != 1 {
			t.Error("the busy session's action did not end")
		}
	})
}

func TestSessions_AllLogOff(t *testing.T) {
	var sim *amisim.Server
	inBubble(t, amisim.Config{}, actionSessions(5), func(b *bench) { b.up(); sim = b.sim })
	if got := sim.Received("Logoff"); got != 6 {
		t.Errorf("%d Logoffs, want one of each of 6 sessions", got)
	}
}

// A restart ends all sessions at once. That is one failure of the server, not
// nine.
func TestSessions_LostTogetherDoNotOpenTheBreaker(t *testing.T) {
	inBubble(t, amisim.Config{}, actionSessions(8), func(b *bench) {
		b.up()
		time.Sleep(11 * time.Second)
		b.sim.Kick()
		time.Sleep(time.Second)
		if got := b.transitions(); len(got) != 1 || !b.link.Ready() {
			t.Errorf("a second after all were lost: %q, %+v", got, b.link.Status().Sessions)
		}
	})
}

func TestSessions_BreakerIsOneForAll(t *testing.T) {
	var connects dials
	change := func(c *Config, d *Deps) { c.ActionSessions = 3; connects.count(d) }
	inBubble(t, amisim.Config{}, change, func(b *bench) {
		b.up()
		time.Sleep(11 * time.Second)
		b.sim.Always(amisim.Accept, amisim.Refuse)
		b.sim.Kick()
		synctest.Wait()
		if in := b.link.RetryIn(); b.link.Takes() || b.link.Acts() || in <= 0 || in > 100*time.Millisecond {
			t.Errorf("all down: takes actions: %v, retry in %v", b.link.Takes(), in)
		}
		for b.link.Status().Breaker.State != BreakerOpen {
			time.Sleep(time.Millisecond)
		}
		opened := time.Now()
		_, err := b.link.Do(Action{Name: "Ping", Done: func(*correlation.Result) { t.Error("Done was called") }})
		in := b.link.RetryIn()
		if !errors.Is(err, ErrBreakerOpen) || b.link.Takes() || in <= 0 || in > shortWait {
			t.Errorf("Do = %v, takes actions: %v, retry in %v", err, b.link.Takes(), in)
		}
		// Four sessions are down, and one tries for all.
		if n := connects.since(opened.Add(-in)); n > 4 {
			t.Errorf("%d connects of four failures", n)
		}
		time.Sleep(in - time.Millisecond)
		if n := connects.since(opened); n != 0 {
			t.Errorf("%d connects while the breaker was open", n)
		}
		b.sim.Always(amisim.Accept, nil)
		b.up()
		time.Sleep(21 * time.Second)
		want := []string{"closed>closed:start", "closed>open:banner", "open>half-open:cooldown", "half-open>closed:stable"}
		if diff := cmp.Diff(want, b.transitions()); diff != "" || !b.link.Takes() {
			t.Error("transitions (-want +got):", diff)
		}
	})
}

// A server has room for an event session and one for Actions, and the bridge
// wants three of those. The two that find no room do not keep the others from their work for longer than it takes
// these to be stable, and ask less and less often.
func TestSessions_OneTooManyIsItsOwnAffair(t *testing.T) {
	for name, fault := range map[string]amisim.Fault{
		"refused": amisim.Deny("Login Already In Use"),
		"closed":  amisim.Refuse,
	} {
		t.Run(name, func(t *testing.T) {
			var connects dials
			change := func(c *Config, d *Deps) {
				c.ActionSessions = 3
				connects.count(d)
			}
			inBubble(t, amisim.Config{LoginPenalty: time.Second}, change, func(b *bench) {
				var logins atomic.Int64
				b.sim.Always("Login", func(s *amisim.Session, a *amisim.Action) {
					if a.Get("Events") == "off" && logins.Add(1) > 1 {
						fault(s, a)
						return
					}
					s.Serve(a)
				})
				b.start()
				time.Sleep(45 * time.Second) // those that are up have been so for long enough
				began := time.Now()
				// Of the two that are up one at least takes Actions.
				for range 100 {
					time.Sleep(6 * time.Second)
					if r := b.do(Action{Name: "CoreStatus"}); r.Outcome != correlation.Answered {
						t.Fatalf("an action: %v", r.Outcome)
					}
				}
				if n := connects.since(began); n < 8 || n > 80 {
					t.Errorf("%d connects of two sessions in 10 minutes, want one each 30 s to 2 minutes", n)
				}
				if got := b.transitions(); got[len(got)-1] != "half-open>closed:stable" || strings.Count(strings.Join(got, " "), "closed>open") != 1 {
					t.Errorf("transitions %q, want it closed for good once those that are up stand", got)
				}
				b.mu.Lock()
				defer b.mu.Unlock()
				for _, c := range b.changes {
					if c.Reason == ReasonAuth && c.RetryIn < 5*time.Second {
						t.Errorf("%s was refused and asks again in %v", c.Name, c.RetryIn)
					}
				}
				if n := b.logs.FilterMessageSnippet("login refused").Len(); n != map[string]int{"refused": 2}[name] {
					t.Errorf("%d Error lines of refused logins", n)
				}
			})
		})
	}
}

// An action session whose login is refused beside others that stand is its own
// affair, and a ban daemon counts it all the same: no more than two of its logins
// fall within ten minutes.
func TestSessions_ARefusalBesideOthersIsNotAskedForAgainSoon(t *testing.T) {
	var connects dials
	inBubble(t, amisim.Config{}, func(c *Config, d *Deps) {
		c.ActionSessions = 2
		connects.count(d)
	}, func(b *bench) {
		b.up()
		time.Sleep(11 * time.Second) // stable
		b.sim.Always("Login", amisim.Deny("Authentication failed"))
		b.sim.Next("CoreStatus", amisim.Refuse)
		began := time.Now()
		b.do(Action{Name: "CoreStatus"})
		time.Sleep(time.Hour)
		if s := b.link.Status().Breaker; s.State != BreakerClosed {
			t.Errorf("the breaker is %s", s.State)
		}
		connects.mu.Lock()
		defer connects.mu.Unlock()
		var after []time.Time
		for _, at := range connects.at {
			if !at.Before(began) {
				after = append(after, at)
			}
		}
		if len(after) < 5 || len(after) > 8 {
			t.Errorf("%d logins in an hour", len(after))
		}
		for i := 2; i < len(after); i++ {
			if within := after[i].Sub(after[i-2]); within <= 10*time.Minute {
				t.Errorf("three logins within %v", within)
			}
		}
	})
}

// The only session of its role always counts: an event session that stands does
// not keep the breaker from hearing of an action session that fails for ever.
func TestSessions_AnOnlyActionSessionFeedsTheBreaker(t *testing.T) {
	inBubble(t, amisim.Config{}, nil, func(b *bench) {
		b.up()
		time.Sleep(11 * time.Second) // stable
		b.sim.Always("Login", func(s *amisim.Session, a *amisim.Action) {
			if a.Get("Events") == "off" {
				s.Close()
				return
			}
			s.Serve(a)
		})
		b.sim.Next("CoreStatus", amisim.Refuse)
		if r := b.do(Action{Name: "CoreStatus"}); r.Outcome != correlation.ConnectionLost {
			t.Fatalf("the action ended %v", r.Outcome)
		}
		time.Sleep(5 * time.Second)
		if s := b.link.Status(); s.Breaker.State != BreakerOpen || s.Sessions[0].State != StateUp {
			t.Errorf("the breaker is %s after %d failures, the event session %s", s.Breaker.State, s.Breaker.Failures, s.Sessions[0].State)
		}
	})
}
