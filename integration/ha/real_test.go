//go:build unix

package ha

import (
	"context"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/realasterisk"
)

// storm has an Asterisk make calls until it is told to end, and an AMI session of nobody's
// bridge read what comes of them.
type storm struct {
	t   *testing.T
	ctx context.Context
	a   *realasterisk.Instance

	group   sync.WaitGroup
	calling chan struct{} // closed: no call begins any more

	mu   sync.Mutex
	seen []realasterisk.Frame // from the mark begin on
}

func begin(t *testing.T, ctx context.Context, a *realasterisk.Instance) *storm {
	t.Helper()
	s := &storm{t: t, ctx: ctx, a: a, calling: make(chan struct{})}
	session, err := a.Events(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	t.Cleanup(func() { session.Close(); reading.Wait() })
	reading.Go(func() {
		for begun := false; ; {
			frame, err := session.Next(ctx)
			if err != nil {
				return
			}
			if begun && frame.Event() != "" && !loginsOwn(frame.Event()) {
				s.mu.Lock()
				s.seen = append(s.seen, frame)
				s.mu.Unlock()
			}
			begun = begun || isEdge(frame)
		}
	})
	// At rest nothing changes places with the edge.
	if err := a.Calls(ctx, "quick"); err != nil {
		t.Fatal(err)
	}
	actions, err := a.Actions(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer actions.Close()
	if _, err := actions.Do(ctx, "Action: UserEvent", "UserEvent: "+edge); err != nil {
		t.Fatal(err)
	}
	s.group.Go(func() {
		for {
			select {
			case <-s.calling:
				return
			default:
			}
			if err := a.Calls(ctx, "call", "chain", "busy", "fork", "quick", "latin1", "lamp", "dtmf", "conf"); err != nil {
				t.Error(err)
				return
			}
		}
	})
	return s
}

// edge is the UserEvent behind which what is stored is compared.
const edge = "Edge"

func isEdge(f realasterisk.Frame) bool { return f.Event() == "UserEvent" && f.Get("UserEvent") == edge }

// now is what the session has read behind the edge.
func (s *storm) now() []realasterisk.Frame {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// end lets the calls end, and returns what the session has read from the edge to a mark behind
// them.
func (s *storm) end() (all []realasterisk.Frame) {
	s.t.Helper()
	close(s.calling)
	s.group.Wait()
	if err := s.a.Mark(s.ctx, "end"); err != nil {
		s.t.Fatal(err)
	}
	harness.Eventually(s.t, "the mark of the end", func() bool {
		all = s.now()
		return slices.ContainsFunc(all, realasterisk.IsMark("end"))
	})
	return all
}

// loginsOwn reports whether an event comes to the session alone that has logged in.
func loginsOwn(event string) bool { return event == "FullyBooted" }

// Two bridges on a real Asterisk under load: each is killed in turn while it leads, and what
// is stored is what a session of nobody's has seen, in its order; at 22.11, where each session
// has an order of its own, in that of a bridge which led. The present is what is up.
func TestReal_EachIsKilledInTurn(t *testing.T) {
	realasterisk.EachAndNext(t, func(t *testing.T, a *realasterisk.Instance) {
		a.NeedsOwn(t)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		f := newFleet(t, shape{addr: a.Addr(), records: true, more: []string{"BRIDGE_HA_SILENCE=2s"}}, "b1", "b2")
		board := harness.WatchState(t, f.nc)
		s := begin(t, ctx, a)
		var leader, standby *node
		led := []session{f.bridges["b1"].toPBX.session()}
		for range 2 {
			harness.Eventually(t, "one leads, the other is in sync", func() (ok bool) {
				leader, standby, ok = f.stand()
				return ok
			})
			leader.away = true
			leader.Kill()
			harness.Eventually(t, "the other one leads", func() bool { return f.leads(standby.name) })
			led = append(led, standby.toPBX.session())
			f.start(leader.name)
		}
		seen := s.end()
		if len(seen) < 3000 {
			t.Errorf("only %d events to compare", len(seen))
		}
		if ordersDiffer(a) {
			f.holdsAsASet(s, led)
		} else {
			f.holds(seen)
		}
		t.Logf("%d events", len(seen))
		f.stateIsRight(board)
	})
}

// holds wants the stream to have these events, in this order, from a mark on, and no Gap.
func (f *fleet) holds(seen []realasterisk.Frame) {
	f.t.Helper()
	consumer, err := harness.JetStream(f.t, f.nc).OrderedConsumer(f.t.Context(), streams.EventStream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{"ami.events.>"}})
	if err != nil {
		f.t.Fatal(err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		f.t.Fatal(err)
	}
	defer messages.Stop()
	next := func() jetstream.Msg {
		for {
			m, err := messages.Next(jetstream.NextMaxWait(harness.Patience))
			if err != nil {
				f.t.Fatal(err)
			}
			if !loginsOwn(m.Subject()[strings.LastIndexByte(m.Subject(), '.')+1:]) {
				return m
			}
		}
	}
	for !strings.Contains(string(next().Data()), `"UserEvent":"`+edge+`"`) {
		continue
	}
	for i, frame := range seen {
		m := next()
		if diff := cmp.Diff(harness.FramePairs(frame), harness.PayloadPairs(f.t, m.Data())); diff != "" {
			f.t.Fatalf("event %d of %d, %s %s (-seen +stored): %s", i, len(seen), m.Subject(), m.Headers().Get("Ami-Seq"), diff)
		}
	}
}

// While a session that does not read holds events up, Asterisk greets nobody: the thread
// that takes connections first looks through all sessions (manager.c, purge_sessions), and
// waits for the lock of each, which a session holds until all is written that is for it
// (process_events). So a bridge that comes in the middle of a storm gets its banner, and
// its first event, only when the slowest session of all is through.
func TestReal_ASessionThatDoesNotReadHoldsUpLogins(t *testing.T) {
	realasterisk.Each(t, func(t *testing.T, a *realasterisk.Instance) {
		a.NeedsOwn(t)
		ctx, cancel := context.WithTimeout(t.Context(), 2*harness.Patience)
		defer cancel()
		slow, err := a.Events(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer slow.Close()
		var group sync.WaitGroup
		calls, over := context.WithCancel(ctx)
		defer group.Wait()
		defer over()
		group.Go(func() {
			for calls.Err() == nil {
				_ = a.Calls(calls, "call", "chain", "fork", "call", "chain", "fork", "call", "chain", "fork", "call", "chain", "fork")
			}
		})
		greets := func(patience time.Duration) bool {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			c, err := realasterisk.Dial(ctx, a.Addr())
			if err == nil {
				c.Close()
			}
			return err == nil
		}
		harness.Eventually(t, "nobody is greeted", func() bool { return !greets(2 * time.Second) })
		slow.Close()
		if !greets(harness.Patience) {
			t.Error("nobody is greeted when it has gone")
		}
	})
}

// check asks a real Asterisk what two users may read.
func TestReal_CheckComparesTwoUsers(t *testing.T) {
	realasterisk.Each(t, func(t *testing.T, a *realasterisk.Instance) {
		a.NeedsOwn(t)
		program := harness.BuildBridge(t)
		check := process(t, program, "b1", "nats://127.0.0.1:1", a.Addr())
		for user, want := range map[string]string{
			"single": "ok    user single of another bridge may read the same classes",
			"reader": "FAIL  user reader of another bridge does not read what bridge does: read= of reader lacks log,verbose,",
			"nobody": "FAIL  user nobody of another bridge",
		} {
			cmd := exec.CommandContext(t.Context(), program, "check", "--server", server, "--other-user", user)
			cmd.Env = check.Env
			out, err := cmd.CombinedOutput()
			if !strings.Contains(string(out), want) || (err == nil) != (user == "single") {
				t.Errorf("of %s, not %q (%v):\n%s", user, want, err, out)
			}
		}
	})
}
