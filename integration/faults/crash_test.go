//go:build unix

package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/longtest"
)

// processRig is a bridge in a process of its own, under load until stop is
// called.
func processRig(t *testing.T, servers int) (r *rig, p *process, stop func()) {
	t.Helper()
	r = &rig{t: t, nodes: []*node{newNode(t, buildNATS(t), "n1")}}
	r.nodes[0].start()
	r.nc = client(t, "reader", r.nodes...)
	r.js = jetStream(t, r.nc)
	for i := range servers {
		r.asterisks = append(r.asterisks, startAsterisk(t, fmt.Sprintf("pbx%d", i+1)))
	}
	p = newProcess(t, r.nodes[0], r.asterisks)
	p.Start()
	r.awaitSessions()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { load(ctx, r.asterisks, 1<<30, rate) })
	stop = sync.OnceFunc(func() { cancel(); group.Wait() })
	t.Cleanup(stop)
	return r, p, stop
}

// awaitSessions waits until the bridge hears every Asterisk.
func (r *rig) awaitSessions() {
	r.t.Helper()
	for _, a := range r.asterisks {
		ctx, cancel := context.WithTimeout(r.t.Context(), harness.Patience)
		defer cancel()
		if err := a.sim.WaitEventSessions(ctx, 1); err != nil {
			r.t.Fatalf("%s: no session: %v", a.name, err)
		}
	}
}

// awaitSilence waits until no session is left.
func (r *rig) awaitSilence() {
	r.t.Helper()
	harness.Eventually(r.t, "every session has ended", func() bool {
		for _, a := range r.asterisks {
			if a.sim.Sessions() > 0 {
				return false
			}
		}
		return true
	})
}

// awaitStored waits until as much is stored of each Asterisk as was sent.
func (r *rig) awaitStored() {
	r.t.Helper()
	for _, a := range r.asterisks {
		harness.Eventually(r.t, "the last event of "+a.name+" is stored", func() bool {
			msg, err := r.stream().GetLastMsgForSubject(r.t.Context(), "ami.events."+a.name+".>")
			var last struct{ N string }
			return err == nil && json.Unmarshal(msg.Data, &last) == nil && last.N == fmt.Sprint(a.sent)
		})
	}
}

// awaitHeard waits until the last event stored of each Asterisk is of a session
// that heard does not have, and notes that one there.
func (r *rig) awaitHeard(heard map[string]string) {
	r.t.Helper()
	for _, a := range r.asterisks {
		harness.Eventually(r.t, "an event of a new session of "+a.name+" is stored", func() bool {
			msg, err := r.stream().GetLastMsgForSubject(r.t.Context(), "ami.events."+a.name+".>")
			if err != nil || strings.HasSuffix(msg.Subject, ".Gap") {
				return false
			}
			session, _, _ := strings.Cut(msg.Header.Get("Ami-Seq"), ":")
			if session == heard[a.name] {
				return false
			}
			heard[a.name] = session
			return true
		})
	}
}

// callers ask for Actions until ctx ends, note each ActionID that Asterisk got
// and count them in answered.
func callers(ctx context.Context, nc *nats.Conn, all []*asterisk, answered *atomic.Int64) (ids []string) {
	for n := 0; ctx.Err() == nil; n++ {
		one, cancel := context.WithTimeout(ctx, time.Second)
		msg, err := nc.RequestWithContext(one, "ami.actions."+all[n%len(all)].name+".CoreStatus", nil)
		cancel()
		var answer struct {
			ActionID string `json:"action_id"`
		}
		if err == nil && json.Unmarshal(msg.Data, &answer) == nil && answer.ActionID != "" {
			ids = append(ids, answer.ActionID)
			answered.Add(1)
		}
		wait(ctx, 10*time.Millisecond)
	}
	return ids
}

// TestCrash kills the bridge at random moments under load and starts it again.
func TestCrash(t *testing.T) {
	longtest.Mark(t, "the bridge is killed again and again, for half a minute")
	times := 3
	if *full {
		times = 6
	}
	r, p, stop := processRig(t, 2)
	ctx, cancel := context.WithCancel(t.Context())
	var ids []string
	var group sync.WaitGroup
	var answered atomic.Int64
	group.Go(func() { ids = callers(ctx, r.nc, r.asterisks, &answered) })
	works := func(since int64) { // the first answer may be one of before
		harness.Eventually(t, "Actions are answered", func() bool { return answered.Load() >= since+2 })
	}
	heard, since := map[string]string{}, int64(0)
	defer group.Wait()
	defer cancel()
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	for range times {
		r.awaitHeard(heard)
		works(since)
		pause(t, 500*time.Millisecond+time.Duration(rng.IntN(1500))*time.Millisecond)
		p.Kill()
		r.awaitSilence()
		since = answered.Load()
		p.Start()
		r.awaitSessions()
	}
	r.awaitHeard(heard)
	works(since)
	stop()
	r.awaitStored()
	cancel()
	group.Wait()

	all := readBack(t, r.js)
	for _, a := range r.asterisks {
		// Within a session nothing may be missing, so that what is, is between two.
		got := verify(t, all, a, 0)
		if got.twice+got.disorder+got.wrong > 0 {
			t.Errorf("%s: %v", a.name, got)
		}
		found := continuous(t, all, a)
		if len(found) != times+1 || got.gaps != times {
			t.Errorf("%s: %d sessions and %d Gaps after %d crashes", a.name, len(found), got.gaps, times)
		}
		t.Logf("%s: %v", a.name, got)
	}
	seen := map[string]bool{}
	tokens := map[string]bool{}
	for _, id := range ids {
		if seen[id] {
			t.Errorf("the ActionID %s was used twice", id)
		}
		seen[id] = true
		tokens[strings.Join(strings.Split(id, ".")[1:3], ".")] = true
	}
	t.Logf("%d Actions by %d sessions", len(ids), len(tokens))
	if len(tokens) < len(r.asterisks)+1 {
		t.Errorf("Actions by %d sessions: none survived a crash", len(tokens))
	}
}

// TestRestart ends the bridge in order under load and starts it again: what was
// sent between Logoff and login is missing, no more, and is announced.
func TestRestart(t *testing.T) {
	t.Parallel()
	r, p, stop := processRig(t, 2)
	logoffs := make(map[string]time.Time)
	var mu sync.Mutex
	for _, a := range r.asterisks {
		a.sim.Always("Logoff", func(s *amisim.Session, action *amisim.Action) {
			mu.Lock()
			if _, was := logoffs[a.name]; !was {
				logoffs[a.name] = time.Now()
			}
			mu.Unlock()
			s.Serve(action)
		})
	}
	heard := map[string]string{}
	r.awaitHeard(heard)
	pause(t, time.Second)
	p.stop()
	r.awaitSilence()
	received := map[string]uint64{}
	for _, a := range r.asterisks {
		harness.Eventually(t, "a last status that has nothing left", func() bool {
			n, published := r.lastReceived(a.name)
			received[a.name] = n
			return n > 0 && n == published
		})
	}
	p.Start()
	r.awaitSessions()
	r.awaitHeard(heard)
	pause(t, time.Second)
	stop()
	r.awaitStored()
	all := readBack(t, r.js)
	mu.Lock()
	defer mu.Unlock()
	for _, a := range r.asterisks {
		got, found := verify(t, all, a, 0), continuous(t, all, a)
		if got.twice+got.disorder+got.wrong > 0 || len(found) != 2 {
			t.Fatalf("%s: %v, in %d sessions", a.name, got, len(found))
		}
		before, behind := found[0], found[1]
		if n := uint64(before.last - before.first + 1); n != received[a.name] {
			t.Errorf("%s: %d events are stored of the %d that were read before the end", a.name, n, received[a.name])
		}
		if got.missing != behind.first-before.last-1 || behind.last != a.sent || before.first != 1 {
			t.Errorf("%s: %v, but %+v", a.name, got, found)
		}
		// What Asterisk had not written when the Logoff came is lost as well.
		if first := a.at[before.last]; got.missing > 0 && first.Before(logoffs[a.name].Add(-time.Second)) {
			t.Errorf("%s: number %d is missing, which was sent at %v, long before the Logoff at %v", a.name, before.last+1, first, logoffs[a.name])
		}
		t.Logf("%s: %v", a.name, got)
	}
}

// TestCrash_WithoutJetStreamAtTheStart: a bridge that comes up before JetStream
// does reads on, and has its Gap before all that it read.
func TestCrash_WithoutJetStreamAtTheStart(t *testing.T) {
	t.Parallel()
	r, p, stop := processRig(t, 1)
	heard := map[string]string{}
	r.awaitHeard(heard)
	p.Kill()
	r.awaitSilence()
	r.restartNATS(true)
	p.Start()
	r.awaitSessions()
	pause(t, time.Second)
	r.restartNATS(false)
	r.awaitHeard(heard)
	stop()
	r.awaitStored()
	all, a := readBack(t, r.js), r.asterisks[0]
	got, found := verify(t, all, a, 0), continuous(t, all, a)
	if got.twice+got.disorder+got.wrong > 0 || got.gaps != 1 || len(found) != 2 || got.missing != found[1].first-found[0].last-1 {
		t.Errorf("%v, and %+v", got, found)
	}
}

// restartNATS ends the only server in the middle of things and starts it again,
// without JetStream or with it.
func (r *rig) restartNATS(plain bool) {
	r.nodes[0].Kill()
	r.nodes[0].plain = plain
	r.nodes[0].start()
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	when, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

func countsOf(t *testing.T, data []byte) (received, published uint64) {
	t.Helper()
	var counts struct{ Received, Published uint64 }
	if err := json.Unmarshal(data, &counts); err != nil {
		t.Fatal(err)
	}
	return counts.Received, counts.Published
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
