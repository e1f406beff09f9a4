package present

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// An object that ends while others are looked at hides none of them.
func TestWalk_SeesAllThatStay(t *testing.T) {
	w := newWorld(t, Options{}).skipFirst()
	for i := range 3 * chunk {
		w.event("Event: Newchannel", block(fmt.Sprintf("1.%d", i), "0"))
	}
	seen := map[*object]bool{}
	all := slices.Clone(w.p.lists[Channels].objects)
	w.p.walk(Channels, w.now, func(o *object) bool {
		seen[o] = true
		if len(seen) <= chunk {
			for _, other := range all[2*(len(seen)-1):][:2] { // two ends for each that is seen
				if other.life == alive {
					w.p.end(other, fromEvent)
				}
			}
		}
		return true
	})
	for _, o := range w.p.lists[Channels].objects {
		if !seen[o] {
			t.Errorf("%s was not seen", o.index)
		}
	}
}

// Whoever asks for all has what the bucket has, and may begin and end objects in between.
func TestAll_IsWhatTheBucketHas(t *testing.T) {
	w := newWorld(t, Options{}).skipFirst()
	for i := range 3 * chunk {
		w.event("Event: Newchannel", block(fmt.Sprintf("1.%d", i), "0"))
	}
	w.event("Event: QueueMemberAdded", "Queue: sales\nInterface: PJSIP/a\nMemberName: Alice\nStatus: 1")
	w.drain()
	all := map[string]map[string]string{}
	for key, value := range w.p.All() {
		var v map[string]string
		if err := json.Unmarshal(value, &v); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		all[key] = v
	}
	if d := cmp.Diff(w.bucket, all); d != "" || len(all) != 3*chunk+1 {
		t.Errorf("%d objects (-bucket +all):\n%s", len(all), d)
	}
	n := 0
	for key := range w.p.All() { // no lock is held
		w.event("Event: Hangup", block(fmt.Sprintf("1.%d", n), "0"))
		if n++; n == 2*chunk {
			break
		}
		_ = key
	}
	if n != 2*chunk {
		t.Errorf("%d came", n)
	}
}
