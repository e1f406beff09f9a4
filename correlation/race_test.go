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

// raced are the Actions that race: single, list, awaited Originate, raw text,
// and a reply without Response.
var raced = []string{"Ping", "QueueStatus", "Originate", "Queues", "DataGet", "Command"}

// TestInvariant_EveryPendingActionEndsExactlyOnce lets readers, timers, writers
// and failing sessions race for the same Calls, half of them streams. No Part
// overlaps another of its Call, and none comes once Done has begun.
func TestInvariant_EveryPendingActionEndsExactlyOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		calls := rapid.IntRange(1, 60).Draw(rt, "calls")
		workers := rapid.IntRange(2, 6).Draw(rt, "workers")
		seed := rapid.Uint64().Draw(rt, "seed")
		tab := &raceTable{Table: NewTable(Limits{Pending: calls, ReplyBytes: 400, TotalBytes: 2000}, frames.UTF8)}
		done, parts, inside := make([]atomic.Int32, calls), make([]atomic.Int32, calls), make([]atomic.Int32, calls)
		var all, run sync.WaitGroup
		for i := range calls {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			c := Call{ActionID: fmt.Sprint(i), Action: raced[i%len(raced)], Session: actions}
			c.WaitComplete, c.WaitSession = c.Action == "Originate", events
			c.Timeout = time.Duration(r.IntN(3000)) * time.Microsecond
			if r.IntN(2) == 0 {
				c.Part = func(p Part) bool {
					if inside[i].Add(1) != 1 || done[i].Load() != 0 || (p.Event == nil) == (p.Output == nil) {
						t.Errorf("call %d: a part overlaps another, comes after Done, or is none", i)
					}
					defer inside[i].Add(-1)
					taken := parts[i].Load() < 5
					if taken {
						parts[i].Add(1)
					}
					return taken
				}
			}
			c.Done = func(res *Result) {
				done[i].Add(1)
				if inside[i].Load() != 0 || res.Part != nil && res.Parts != int(parts[i].Load()) {
					t.Errorf("call %d: done with %d parts, %d were taken", i, res.Parts, parts[i].Load())
				}
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
		if s := tab.Stats(); s.Pending != 0 || s.Held != 0 || s.Bytes != 0 || len(tab.running) != 0 || len(tab.busy) != 0 {
			rt.Fatalf("left over: %+v, %d running, %v busy", s, len(tab.running), tab.busy)
		}
	})
}

// raceTable delivers the frames of one session one at a time, as a reader does.
type raceTable struct {
	*Table
	readers [2]sync.Mutex
}

func (t *raceTable) Deliver(session string, f *frames.Frame) bool {
	reader := &t.readers[0]
	if session == events {
		reader = &t.readers[1]
	}
	reader.Lock()
	defer reader.Unlock()
	return t.Table.Deliver(session, f)
}

// race does one random thing to a random Call.
func race(tab *raceTable, r *rand.Rand, calls int) {
	id := fmt.Sprint(r.IntN(calls))
	frame := func(session string, kv ...string) {
		f := &frames.Frame{Size: 100, Raw: []byte("raw: text\r\nof two lines\r\n\r\n"), Truncated: r.IntN(50) == 0}
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
	switch r.IntN(60) {
	case 3:
		frame(actions, "Response", "Error", "ActionID", id)
	case 4:
		tab.Stats()
		tab.OldestDeadline(actions)
		tab.Pending(actions)
	case 0, 1, 2, 5, 6, 7, 8, 9, 10, 11:
		frame(actions, "Event", "QueueMember", "ActionID", id, "Name", "a name of some length to fill the reply")
	case 12, 13, 14, 15:
		frame(actions, "Event", "QueueStatusComplete", "ActionID", id, "EventList", "Complete")
	case 16, 17, 18, 19:
		frame(events, "Event", "OriginateResponse", "Privilege", "call,all", "ActionID", id, "Response", "Success")
	case 20, 21, 22, 23, 24, 25, 26:
		frame(actions, "Response", "Success", "ActionID", id, "EventList", "start")
	case 40, 41, 42, 43:
		frame(actions, "Response", "Success", "ActionID", id, "Ping", "Pong")
	case 44, 45, 46:
		frame(actions, "raw", "text")
	case 47, 48:
		frame(actions, "Response", "Success", "ActionID", id, "Output", "one", "Output", "two")
	case 49, 50:
		frame(actions, "Event", "DataGet Tree", "ActionID", id)
	default:
		tab.Sent(id)
	}
}
