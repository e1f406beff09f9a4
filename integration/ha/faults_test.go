//go:build unix

package ha

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
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

// One fault at a time, of the leader or of the standby, at any moment: nothing is lost,
// nothing twice, nothing out of order, and the numbering has no hole.
func TestTwo_OneFaultAtATime(t *testing.T) {
	harness.Long(t, "a place in another session is believed after ten seconds, a silence lasts one")
	all := faults()
	for _, kind := range slices.Sorted(maps.Keys(all)) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, "b1", "b2")
			for i := range 3 {
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
