package correlation

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

func responseTo(actionID string) *frames.Frame {
	return &frames.Frame{Size: 80, Headers: []frames.Header{
		{Key: []byte("Response"), Value: []byte("Success")},
		{Key: []byte("ActionID"), Value: []byte(actionID)},
		{Key: []byte("Message"), Value: []byte("Variable Set")},
	}}
}

// BenchmarkAction is the whole life of one Action in the Table.
func BenchmarkAction(b *testing.B) {
	tab := NewTable(Limits{Pending: 10, ReplyBytes: 1 << 20, TotalBytes: 1 << 20}, frames.UTF8)
	const id = "node-1.pbx-1.mh8k2j4rx0.42"
	f := responseTo(id)
	done := func(r *Result) { r.Release() }
	b.ReportAllocs()
	for b.Loop() {
		if err := tab.Register(Call{ActionID: id, Action: "Setvar", Session: actions, Timeout: time.Minute, Done: done}); err != nil {
			b.Fatal(err)
		}
		tab.Sent(id)
		tab.Deliver(actions, f)
	}
}

// BenchmarkForeignEvent is what an event that is no reply costs the reader.
func BenchmarkForeignEvent(b *testing.B) {
	tab := NewTable(Limits{Pending: 10}, frames.UTF8)
	f := &frames.Frame{Headers: []frames.Header{
		{Key: []byte("Event"), Value: []byte("Newexten")},
		{Key: []byte("Privilege"), Value: []byte("dialplan,all")},
		{Key: []byte("Uniqueid"), Value: []byte("1795422104.7")},
	}}
	b.ReportAllocs()
	for b.Loop() {
		tab.Deliver(events, f)
	}
}

// TestTable_APendingActionCostsLittleMemoryAndNoGoroutine registers 5,000, each
// with the closures of a caller.
func TestTable_APendingActionCostsLittleMemoryAndNoGoroutine(t *testing.T) {
	const pending = 5000
	tab := NewTable(Limits{Pending: pending, ReplyBytes: 1 << 20, TotalBytes: 1 << 20}, frames.UTF8)
	running := runtime.NumGoroutine()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	ended := 0
	for i := range pending {
		id := fmt.Sprintf("node-1.pbx-1.mh8k2j4rx0.%d", i)
		inbox := fmt.Sprintf("_INBOX.a1b2c3d4e5f6g7h8i9j0kl.%d", i)
		err := tab.Register(Call{
			ActionID: id, Action: "QueueStatus", Session: actions, Timeout: time.Hour,
			Part: func(Part) bool { return inbox != "" },
			Done: func(r *Result) { ended += min(1, len(inbox)); r.Release() },
		})
		if err != nil {
			t.Fatal(err)
		}
		tab.Sent(id)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := float64(int64(after.HeapAlloc)-int64(before.HeapAlloc)) / pending
	t.Logf("%.0f bytes a pending action", each)
	if each > 4<<10 {
		t.Errorf("%.0f bytes a pending action, want 4 KiB at most", each)
	}
	if got := runtime.NumGoroutine(); got > running {
		t.Errorf("%d goroutines were started", got-running)
	}
	if got := tab.Pending(actions); got != pending {
		t.Errorf("%d pending", got)
	}
	tab.FailAll(ShuttingDown, nil)
	if s := tab.Stats(); ended != pending || s.Pending != 0 || s.Held != 0 || tab.Pending(actions) != 0 {
		t.Errorf("%d ended, left over: %+v", ended, s)
	}
}

func TestDeliver_AForeignEventCostsNoAllocation(t *testing.T) {
	tab := NewTable(roomy, frames.UTF8)
	f := &frames.Frame{Headers: []frames.Header{
		{Key: []byte("Event"), Value: []byte("OriginateResponse")},
		{Key: []byte("Privilege"), Value: []byte("call,all")},
		{Key: []byte("ActionID"), Value: []byte("someone.else.entirely.with.a.long.action.id.77")},
	}}
	if n := testing.AllocsPerRun(100, func() { tab.Deliver(events, f) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
