package watch

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// told has w know of pbx1 from now on, as a bridge says it; looks counts how often it is asked.
func told(t *testing.T) (w *Watch, looks *int) {
	t.Helper()
	looks = new(int)
	return New(Options{View: view.Options{Interval: 5 * time.Second}, Look: func(now time.Time, model *view.Model) {
		*looks++
		model.Status("ami.nodes.b1", say(now, `"servers":["pbx1"],"nats":"CONNECTED"`), now)
		model.Status("ami.status.pbx1.connection", say(now, `"role":"event","to":"up","sessions":{"event":"up"}`), now)
	}}), looks
}

func say(now time.Time, what string) []byte {
	return fmt.Appendf(nil, `{"node":"b1","at":%q,"since":%[1]q,%s}`, now.UTC().Format(time.RFC3339Nano), what)
}

// A thousand that ask within a second make the bridge look once; what is told is seen by the
// next, and makes nobody look more than ten times a second.
func TestSnapshot_LooksOnceForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, looks := told(t)
		var group sync.WaitGroup
		for range 1000 {
			group.Go(func() {
				if snap := w.Snapshot(view.NumbersNone); snap.Headline.Text != "pbx1 is well" {
					t.Errorf("it says %+v", snap.Headline)
				}
			})
		}
		group.Wait()
		time.Sleep(999 * time.Millisecond)
		if w.Snapshot(view.NumbersNone); *looks != 1 {
			t.Errorf("it looked %d times", *looks)
		}
		time.Sleep(time.Millisecond)
		if w.Snapshot(view.NumbersNone); *looks != 2 {
			t.Errorf("after a second it had looked %d times", *looks)
		}
		for range 100 {
			w.Observe("ami.status.pbx1.gap", say(time.Now(), fmt.Sprintf(`"from":"2026-01-01T00:00:00Z","to":%q,"reason":"shed","lost":3`, time.Now().UTC().Format(time.RFC3339Nano))))
			w.Snapshot(view.NumbersNone)
			time.Sleep(10 * time.Millisecond)
		}
		if *looks < 10 || *looks > 13 {
			t.Errorf("with news it looked %d times in a second", *looks-2)
		}
		if snap := w.Snapshot(view.NumbersNone); len(snap.Servers[0].Gaps) == 0 {
			t.Error("the gap is not seen")
		}
	})
}

// A scrape has the floor of now, however long ago it was asked how all stands, and does not ask.
func TestFloorSums_GoesByTheObjectsAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, looks := told(t)
		state, calls := "live", 0
		w.objects = func() iter.Seq2[string, []byte] {
			return func(yield func(string, []byte) bool) {
				_ = yield("pbx1.server", fmt.Appendf(nil, `{"state":%q,"since":"2026-01-01T00:00:00Z"}`, state))
				for i := range calls {
					_ = yield(fmt.Sprint("pbx1.channel.", i), fmt.Appendf(nil, `{"Uniqueid":"%d","Linkedid":"%[1]d"}`, i))
				}
			}
		}
		for range 10 {
			calls++
			if sums := w.FloorSums(); sums["pbx1"].Calls != calls {
				t.Errorf("%d calls are told as %+v", calls, sums)
			}
			time.Sleep(15 * time.Second)
		}
		if state = "stale"; len(w.FloorSums()) > 0 || *looks != 1 {
			t.Errorf("of a stale server there is %+v, and it looked %d times", w.FloorSums(), *looks)
		}
	})
}

// Whoever tells waits for nobody, not even for one who looks; what is too much goes.
func TestObserve_NeverWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		w := New(Options{Look: func(time.Time, *view.Model) { <-goOn }})
		go w.Snapshot(view.NumbersNone)
		synctest.Wait() // it looks, and holds what it needs
		for range 10 * queued {
			w.Observe("ami.status.pbx1.gap", []byte("{}"))
		}
		if n := len(w.news); n > queued {
			t.Errorf("%d wait", n)
		}
		close(goOn)
	})
}

// The past is kept while nobody asks.
func TestRun_LooksByItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, looks := told(t)
		go w.Run(t.Context())
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if *looks != 12 {
			t.Errorf("in a minute it looked %d times", *looks)
		}
	})
}

// What is up at the servers is on the floor; what has ended is not any more, and what has not changed is not
// read again.
func TestSnapshot_HasWhatIsUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		objects := map[string]string{
			"pbx1.server":         `{"state":"live","since":"2026-01-01T00:00:00Z"}`,
			"pbx1.queue.support":  `{"Queue":"support"}`,
			"pbx1.caller.support": `{"Queue":"support","Position":"1","CallerIDNum":"+4930123456","Since":"2026-01-01T00:00:00Z"}`,
		}
		w := New(Options{Look: func(time.Time, *view.Model) {}, Objects: func() iter.Seq2[string, []byte] {
			return func(yield func(string, []byte) bool) {
				var scratch []byte // as package state has it: good until the next
				for key, value := range objects {
					scratch = append(scratch[:0], value...)
					if !yield(key, scratch) {
						return
					}
				}
			}
		}})
		floor := func() *view.Floor {
			t.Helper()
			time.Sleep(time.Second)
			f := w.Snapshot(view.NumbersLast4).Floor
			if f == nil {
				t.Fatal("there is no floor")
			}
			return f
		}
		if f := floor(); f.Waiting != 1 || len(f.Queues) != 1 || f.Queues[0].Callers[0].Number != "…3456" {
			t.Errorf("the floor is %+v", f)
		}
		delete(objects, "pbx1.caller.support")
		objects["pbx1.queue.sales"] = `{"Queue":"sales"}`
		if f := floor(); f.Waiting != 0 || len(f.Queues) != 2 {
			t.Errorf("the floor is %+v", f)
		}
		clear(objects)
		if f := floor(); len(f.Queues) != 0 && f.Queues[0].AsOf.IsZero() {
			t.Errorf("the floor is %+v when nothing is told any more", f)
		}
		if snap := w.Snapshot(view.NumbersLast4); snap.Ignored != 0 || len(w.known) != 0 {
			t.Errorf("%d ignored, %d known", snap.Ignored, len(w.known))
		}
	})
}

// While nobody asks, the longer a look takes the rarer it is, twice a minute at least.
func TestRun_LooksRarelyWhereALookIsLong(t *testing.T) {
	t.Parallel()
	for took, want := range map[time.Duration]int{time.Millisecond: 12, 20 * time.Millisecond: 6, time.Second: 2} {
		synctest.Test(t, func(t *testing.T) {
			looks := 0
			w := New(Options{View: view.Options{Interval: 5 * time.Second}, Look: func(time.Time, *view.Model) {
				looks++
				time.Sleep(took)
			}})
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute+time.Second)
			defer cancel()
			w.Run(ctx)
			if looks != 2*want {
				t.Errorf("a look takes %v: it looked %d times in two minutes, want %d", took, looks, 2*want)
			}
		})
	}
}
