package state

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/present"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/realasterisk"
)

// After mixed calls at a real Asterisk, with lists in the middle of them, the lists find
// nothing that events have otherwise.
func TestReal_ThePresentNeedsNoCorrection(t *testing.T) {
	t.Parallel()
	realasterisk.EachAndNext(t, func(t *testing.T, a *realasterisk.Instance) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		actions, err := a.Actions(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer actions.Close()
		events, err := a.Events(ctx)
		if err != nil {
			t.Fatal(err)
		}
		p := present.New(present.Options{Server: "pbx1", MaxObjects: 10_000, MaxBytes: 16 << 20}, time.Now())
		p.Login("s1", time.Now())
		p.Booted(time.Now())
		var optimised atomic.Uint64 // Local channels that were optimised away
		var reading sync.WaitGroup
		defer reading.Wait()
		defer events.Close()
		reading.Go(func() {
			for {
				wire, err := events.Next(ctx)
				if err != nil {
					return
				}
				if has(wire, "Event: LocalOptimizationEnd") {
					optimised.Add(1)
				}
				if f, err := frames.NewReader(bytes.NewReader(wire), 1<<20).Next(); err == nil {
					p.Reduce(f, time.Now())
				}
			}
		})
		pass := &presentPass{t: t, p: p, actions: actions, bucket: map[string]map[string]string{}}
		pass.lists(ctx)
		before := p.Counts().Corrections
		over := make(chan error, 1)
		extens := strings.Fields(strings.Repeat(mixed, 25))
		go func() {
			for batch := range slices.Chunk(extens, 60) {
				if err := a.Calls(ctx, batch...); err != nil {
					over <- err
					return
				}
			}
			over <- nil
		}()
		rounds := 0
		for done := false; !done; rounds++ {
			select {
			case err := <-over:
				if err != nil {
					t.Fatal(err)
				}
				done = true
			case <-time.After(200 * time.Millisecond):
				p.Resync(time.Now())
				pass.lists(ctx)
				pass.write()
			}
		}
		load := p.Counts().Corrections
		// Events of other threads of Asterisk may come behind those of the calls.
		select {
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		}
		pass.write()
		rest := maps.Clone(pass.bucket)
		p.Resync(time.Now())
		pass.lists(ctx)
		pass.write()
		if d := cmp.Diff(rest, pass.bucket); d != "" {
			t.Errorf("corrected 2 s after rest (-before +after):\n%s", d)
		}
		for k := range present.Kinds {
			t.Logf("%-12s %3d up, corrections under load %v, after rest %v (begun, changed, ended)", k, p.Counts().Objects[k],
				minus(load[k], before[k]), minus(p.Counts().Corrections[k], load[k]))
		}
		if optimised.Load() == 0 {
			t.Error("no Local channel was optimised away: the calls show nothing of it")
		}
		t.Logf("%d calls, %d Local channels optimised away, %d rounds of lists under load; %s", len(extens), optimised.Load(), rounds, p.AppendServer(nil, "n", true, time.Now()))
	})
}

func minus(a, b [present.Corrections]uint64) (d [present.Corrections]uint64) {
	for i := range a {
		d[i] = a[i] - b[i]
	}
	return d
}

// presentPass asks for lists and writes into a bucket in memory.
type presentPass struct {
	t       *testing.T
	p       *present.Present
	actions *realasterisk.Client
	bucket  map[string]map[string]string
}

// lists asks for what is due.
func (d *presentPass) lists(ctx context.Context) {
	for {
		ask, due := d.p.Due(time.Now())
		if !due {
			return
		}
		run := d.p.Begin(ask, time.Now())
		lines := []string{"Action: " + ask.Action()}
		if name, value, err := ask.Header(frames.UTF8); name != "" && err == nil {
			lines = append(lines, name+": "+string(value))
		}
		reply, err := d.actions.Do(ctx, lines...)
		if err != nil {
			d.t.Fatal(err)
		}
		failed := ""
		for _, wire := range reply {
			f, err := frames.NewReader(bytes.NewReader(wire), 1<<20).Next()
			if err != nil {
				d.t.Fatalf("%v: %q", err, wire)
			}
			if f.Kind() == frames.KindResponse {
				if string(f.Name()) == "Error" {
					failed = fmt.Sprint(string(f.Get("Message")))
				}
				continue
			}
			event, _ := frames.AppendJSON(nil, f, frames.UTF8)
			run.Part(event, time.Now())
		}
		if failed != "" {
			d.p.Fail(run, failed, time.Now())
		} else {
			d.p.Apply(run, time.Now())
		}
	}
}

// write has what is due written.
func (d *presentPass) write() {
	var w present.Write
	for d.p.Take(&w, time.Now()) {
		if w.End {
			delete(d.bucket, w.Key)
		} else {
			var value map[string]string
			if err := json.Unmarshal(w.Value, &value); err != nil {
				d.t.Errorf("%s: %v", w.Key, err)
			}
			d.bucket[w.Key] = value
		}
		d.p.Done(&w, true, time.Now())
	}
}
