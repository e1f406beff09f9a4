//go:build unix

package ha

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// asked is which faults TestTwo_OneFaultAtATime does: make faults-ha asks for them, and
// so for all that a bridge without a processor for a second would fail.
var (
	asked  = flag.String("faults", "", "all, some, or those with these ids, with commas between them; none if empty")
	rounds = flag.Int("rounds", 0, "how often each happens with each stream and order; 0: 5 times with all, else once")
	logged = flag.Bool("log", false, "show the logs of the bridges")
	within = flag.String("with", "", "the one stream and order, such as R3/differing; empty: all of them")
)

// kinds are the streams and orders that each fault is tried with.
var kinds = []struct {
	name    string
	servers int
	mixed   bool
	some    []string // what FAULTS=some has of them
}{
	{"R1/same", 1, false, []string{"kill"}},
	{"R1/differing", 1, true, []string{"events-closed"}},
	{"R3/same", 3, false, nil},
	{"R3/differing", 3, true, []string{"stepdown-freeze"}},
}

// chosen are the faults that happen with a stream and order, in any order.
func chosen(t *testing.T, servers int, some []string) (all []fault) {
	t.Helper()
	times := max(1, *rounds)
	ids := strings.Split(*asked, ",")
	switch *asked {
	case "":
		t.Skip("NOT RUN: make faults-ha has two bridges fail in turn, with nothing beside them")
	case "all":
		if *rounds == 0 {
			times = 5
		}
		ids = nil
		for _, f := range faults {
			ids = append(ids, f.id)
		}
	case "some":
		ids = some
	case "cost":
		t.Skip("NOT RUN: that alone is measured")
	}
	for _, id := range ids {
		i := slices.IndexFunc(faults, func(f fault) bool { return f.id == id })
		if i < 0 {
			t.Fatalf("no fault has the id %q", id)
		}
		f := faults[i]
		if f.nodes != 0 && f.nodes != servers || f.once && *asked == "all" && servers == 3 {
			continue
		}
		for n := 0; n < times && (n == 0 || !f.once); n++ {
			all = append(all, f)
		}
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// One fault at a time, of the leader or of the standby, at any moment: nothing is lost,
// nothing twice, nothing out of order, and the numbering has no hole. A bridge that gets no
// processor for a second is one that is silent, and who is silent is not in sync: so this
// runs with little beside it.
func TestTwo_OneFaultAtATime(t *testing.T) {
	var mu sync.Mutex
	found := map[string]result{}
	t.Run("with", func(t *testing.T) {
		for _, kind := range kinds {
			t.Run(kind.name, func(t *testing.T) {
				all := chosen(t, kind.servers, kind.some)
				if len(all) == 0 || *within != "" && *within != kind.name {
					return
				}
				t.Parallel()
				f := newFleet(t, shape{servers: kind.servers, mixed: kind.mixed}, "b1", "b2")
				f.settled()
				f.verify()
				for i, fault := range all {
					got := f.undergo(fault)
					if t.Logf("%d of %d: %-16s %v", i+1, len(all), fault.id, got); !got.whole() {
						t.Errorf("%s: %v", fault.name, got)
					}
					mu.Lock()
					r := found[fault.id]
					r.times++
					r.add(got)
					found[fault.id] = r
					mu.Unlock()
				}
			})
		}
	})
	for _, id := range slices.Sorted(maps.Keys(found)) {
		fmt.Fprintf(os.Stderr, "%-16s %3d times, %v\n", id, found[id].times, found[id].account)
	}
	writeTable(t, found)
}

// result is what became of a fault.
type result struct {
	account
	times int
}

// undergo has a fault happen at any moment, and reads what is stored when all is well again.
func (f *fleet) undergo(fault fault) account {
	f.t.Helper()
	leader, standby := f.settled()
	victim := leader
	if !fault.leads && rand.IntN(4) == 0 {
		victim = standby
	}
	f.emitFor(time.Duration(rand.IntN(300)) * time.Millisecond)
	victim.away = !fault.stays
	undo := fault.happen(f, victim)
	if fault.taken && victim == leader {
		harness.Eventually(f.t, "another leads after "+fault.id, func() bool {
			f.emit(1)
			return f.leads(standby.name)
		})
	}
	f.emitFor(max(fault.lasts, 1500*time.Millisecond) + time.Duration(rand.IntN(2000))*time.Millisecond)
	f.under(undo)
	victim.away = false
	f.emitFor(time.Second)
	f.settled()
	return f.verify()
}
