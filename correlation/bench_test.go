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

// BenchmarkPending prints what 5,000 pending Actions hold.
func BenchmarkPending(b *testing.B) {
	const pending = 5000
	var bytes, goroutines float64
	for b.Loop() {
		var before, after runtime.MemStats
		running := runtime.NumGoroutine()
		runtime.GC()
		runtime.ReadMemStats(&before)
		tab := NewTable(Limits{Pending: pending, ReplyBytes: 1 << 20, TotalBytes: 1 << 20}, frames.UTF8)
		for i := range pending {
			id := fmt.Sprintf("node-1.pbx-1.mh8k2j4rx0.%d", i)
			if err := tab.Register(Call{ActionID: id, Action: "Setvar", Session: actions, Timeout: time.Minute, Done: (*Result).Release}); err != nil {
				b.Fatal(err)
			}
			tab.Sent(id)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		// The runtime drops the stopped timers of the round before only now, so
		// that a later round looks cheaper than it is.
		bytes = max(bytes, float64(after.HeapAlloc)-float64(before.HeapAlloc))
		goroutines = max(goroutines, float64(runtime.NumGoroutine()-running))
		tab.FailAll(ShuttingDown, nil)
	}
	b.ReportMetric(bytes/pending, "B/pending")
	b.ReportMetric(goroutines, "goroutines")
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
