//go:build unix

package ha

import (
	"flag"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// fault is what happens to a bridge while the Asterisk goes on; what it returns undoes it.
type fault func(f *fleet, b *node) (undo func())

func faults() map[string]fault {
	return map[string]fault{
		"kill": func(f *fleet, b *node) func() {
			b.Kill()
			return func() { f.start(b.name) }
		},
		"freeze": func(_ *fleet, b *node) func() {
			b.Freeze()
			return b.Thaw
		},
		"end": func(f *fleet, b *node) func() {
			ended := make(chan error, 1)
			go func() { ended <- b.Stop() }()
			for {
				select {
				case err := <-ended:
					if err != nil {
						f.t.Errorf("%s ended with: %v", b.name, err)
					}
					return func() { f.start(b.name) }
				default:
					f.emitFor(5 * time.Millisecond)
				}
			}
		},
		"cut off": func(_ *fleet, b *node) func() {
			toNATS, toPBX := b.toNATS.Close(), b.toPBX.Close()
			return func() { toNATS(); toPBX() }
		},
		"cut from NATS":    func(_ *fleet, b *node) func() { return b.toNATS.Close() },
		"cut from the PBX": func(_ *fleet, b *node) func() { return b.toPBX.Close() },
		"session lost":     func(_ *fleet, b *node) func() { b.toPBX.Cut(); return func() {} },
	}
}

// asked is which faults TestTwo_OneFaultAtATime does: make faults-ha asks for them, and
// so for all that a bridge without a processor for a second would fail.
var asked = flag.String("faults", "", "all, three times each, or some, once each; none if empty")

// One fault at a time, of the leader or of the standby, at any moment: nothing is lost,
// nothing twice, nothing out of order, and the numbering has no hole. A bridge that gets no
// processor for a second is one that is silent, and who is silent is not in sync: so this
// runs with little beside it.
func TestTwo_OneFaultAtATime(t *testing.T) {
	all, rounds := faults(), 3
	kinds := slices.Sorted(maps.Keys(all))
	switch *asked {
	case "all":
	case "some":
		kinds, rounds = []string{"freeze", "kill", "session lost"}, 1
	default:
		t.Skip("NOT RUN: make faults-ha has two bridges fail in turn, with nothing beside them")
	}
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, "b1", "b2")
			for i := range rounds {
				leader, standby := f.settled()
				victim := leader
				if i == 2 {
					victim = standby
				}
				f.emitFor(time.Duration(rand.IntN(300)) * time.Millisecond)
				victim.away = kind != "session lost"
				undo := all[kind](f, victim)
				f.emitFor(time.Duration(1500+rand.IntN(2000)) * time.Millisecond)
				undo()
				victim.away = false
				f.emitFor(time.Second)
			}
			f.settled()
			f.verify()
		})
	}
}
