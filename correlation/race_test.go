package correlation

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// TestInvariant_EveryPendingActionEndsExactlyOnce lets readers, timers, writers
// and failing sessions race for the same Calls.
func TestInvariant_EveryPendingActionEndsExactlyOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		calls := rapid.IntRange(1, 60).Draw(rt, "calls")
		workers := rapid.IntRange(2, 6).Draw(rt, "workers")
		seed := rapid.Uint64().Draw(rt, "seed")
		tab := NewTable(Limits{Pending: calls, ReplyBytes: 400, TotalBytes: 2000}, frames.UTF8)
		done := make([]atomic.Int32, calls)
		var all, run sync.WaitGroup
		for i := range calls {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			c := Call{ActionID: fmt.Sprint(i), Action: []string{"Ping", "QueueStatus", "Originate"}[i%3], Session: actions}
			c.WaitComplete, c.WaitSession = i%3 == 2, events
			c.Timeout = time.Duration(r.IntN(3000)) * time.Microsecond
			c.Done = func(res *Result) {
				done[i].Add(1)
				res.Release()
				all.Done()
			}
			all.Add(1)
			if err := tab.Register(c); err != nil {
				rt.Fatalf("Register: %v", err)
			}
		}
		for w := range workers {
			r := rand.New(rand.NewPCG(seed, uint64(1000+w)))
			run.Go(func() {
				for range calls * 4 {
					race(tab, r, calls)
				}
			})
		}
		run.Wait()
		all.Wait()
		for i := range done {
			if n := done[i].Load(); n != 1 {
				rt.Fatalf("call %d ended %d times", i, n)
			}
		}
		if s := tab.Stats(); s.Pending != 0 || s.Held != 0 || s.Bytes != 0 {
			rt.Fatalf("left over: %+v", s)
		}
	})
}

// race does one random thing to a random Call.
func race(tab *Table, r *rand.Rand, calls int) {
	id := fmt.Sprint(r.IntN(calls))
	frame := func(session string, kv ...string) {
		f := &frames.Frame{Size: 100, Truncated: r.IntN(50) == 0}
		for i := 0; i < len(kv); i += 2 {
			f.Headers = append(f.Headers, frames.Header{Key: []byte(kv[i]), Value: []byte(kv[i+1])})
		}
		tab.Deliver(session, f)
	}
	if r.IntN(calls*8) == 0 {
		switch r.IntN(3) {
		case 0:
			tab.FailSession(events, errGone)
		case 1:
			tab.FailSession(actions, errGone)
		case 2:
			tab.FailAll(ShuttingDown, errGone)
		}
	}
	switch r.IntN(40) {
	case 3:
		frame(actions, "Response", "Error", "ActionID", id)
	case 4:
		tab.Stats()
		tab.OldestDeadline(actions)
	case 0, 1, 2, 5, 6, 7, 8, 9, 10, 11:
		frame(actions, "Event", "QueueMember", "ActionID", id, "Name", "a name of some length to fill the reply")
	case 12, 13, 14, 15:
		frame(actions, "Event", "QueueStatusComplete", "ActionID", id, "EventList", "Complete")
	case 16, 17, 18, 19:
		frame(events, "Event", "OriginateResponse", "Privilege", "call,all", "ActionID", id, "Response", "Success")
	case 20, 21, 22, 23, 24, 25, 26:
		frame(actions, "Response", "Success", "ActionID", id, "EventList", "start")
	default:
		tab.Sent(id)
	}
}
