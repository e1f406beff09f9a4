package present

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// The reader of events, who applies lists and who writes call at the same time: run
// with the race detector. A list of 5,000 channels never holds the lock for more
// than a chunk, so events come between its items; what they say stands.
func TestConcurrent_ReaderListsAndWriter(t *testing.T) {
	const n = 5000
	p := newPresent(Options{})
	p.Login("s1", start)
	p.Booted(start)
	var items []string
	for i := range n {
		items = append(items, "Event: CoreShowChannel\n"+block(fmt.Sprintf("1.%d", i), "4")+"\nBridgeId: \nDuration: 00:00:01")
	}
	w := &world{t: t, p: p, now: start}
	r := w.listing(Ask{List: Channels}, items...)
	var all sync.WaitGroup
	stop := make(chan struct{})
	bucket := map[string]string{}
	var one Write
	writeAll := func() {
		for p.Take(&one, start.Add(time.Hour)) {
			if bucket[one.Key] = string(one.Value); one.End {
				delete(bucket, one.Key)
			}
			p.Done(&one, true, start)
		}
	}
	all.Go(func() {
		for i := range n {
			p.Reduce(frame("Event: Newstate\n"+block(fmt.Sprintf("1.%d", i), "6")), start)
			p.Reduce(frame("Event: Newchannel\n"+block(fmt.Sprintf("2.%d", i), "0")), start)
			p.Reduce(frame("Event: Hangup\n"+block(fmt.Sprintf("2.%d", i), "0")), start)
		}
	})
	all.Go(func() {
		p.Apply(r, start)
		close(stop)
	})
	all.Go(func() {
		for done := false; ; {
			writeAll()
			if done {
				return
			}
			select {
			case <-stop:
				done = true
			default:
				p.Counts()
				p.AppendServer(nil, "n", true, start)
			}
		}
	})
	all.Wait()
	writeAll()
	if c := p.Counts(); c.Objects[Channel] != n || len(bucket) != n {
		t.Errorf("%d channels are held, %d in the bucket, %d are up", c.Objects[Channel], len(bucket), n)
	}
	for i := range n {
		o := p.index[Channel][fmt.Sprintf("1.%d", i)]
		if state, _ := o.vals.field(2); string(state) != "6" && string(state) != "4" || o.stamp > r.mark && o.fields != 0 && string(state) != "6" {
			t.Fatalf("channel %d is in state %q", i, state)
		}
	}
}

// Each operation is a list of 5,000 channels, all as they are held.
func BenchmarkApply_5000Channels(b *testing.B) {
	w := newWorld(b, Options{})
	var items []string
	for i := range 5000 {
		items = append(items, "Event: CoreShowChannel\n"+block(fmt.Sprintf("1.%d", i), "4")+"\nBridgeId: \nDuration: 00:00:01")
	}
	collected := w.listing(Ask{List: Channels}, items...)
	for b.Loop() {
		r := w.p.Begin(Ask{List: Channels}, start)
		r.items, r.complete, r.events = collected.items, true, collected.events
		if !w.p.Apply(r, start) {
			b.Fatal("not applied")
		}
	}
}
