//go:build unix

package ha

import (
	"flag"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// older is the program of another version, to run beside this one.
var older = flag.String("older", "", "path of the program of another version; none if empty")

// Two bridges are brought from another version to this one and back, one after the other, the
// leader first and then last; while they differ the leader is killed twice, and so one of each.
// Nothing is missing, twice or out of order, and the numbering has no hole.
func TestTwo_OfTwoVersions(t *testing.T) {
	if *older == "" {
		t.Skip("NOT RUN: -args -older=… names the program of another version")
	}
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, shape{servers: kind.servers, mixed: kind.mixed, older: *older}, "b1", "b2")
			newer := harness.BuildBridge(t)
			for range 2 {
				one, other := f.settled()
				for _, program := range []string{newer, *older} {
					f.becomes(one, program)
					f.leaderDies()
					f.leaderDies()
					f.becomes(other, program)
					if got := f.verify(); !got.whole() {
						t.Errorf("%s: %v", program, got)
					} else {
						t.Logf("%s: %v", program, got)
					}
					one, other = other, one
				}
			}
		})
	}
}

// becomes ends a bridge in order, and has one of another version take its place.
func (f *fleet) becomes(b *node, program string) {
	f.t.Helper()
	b.away = true
	ended := make(chan error, 1)
	f.under(func() { ended <- b.Stop() })
	if err := <-ended; err != nil {
		f.t.Errorf("%s ended with: %v", b.name, err)
	}
	b.Program = program
	f.returns(b)
}

// leaderDies kills the leader, and has it come back when the other one has led for a while.
func (f *fleet) leaderDies() {
	f.t.Helper()
	leader, standby := f.settled()
	leader.away = true
	leader.Kill()
	harness.Eventually(f.t, "the other one leads", func() bool {
		f.emit(1)
		return f.leads(standby.name)
	})
	f.emitFor(time.Second)
	f.returns(leader)
}

func (f *fleet) returns(b *node) {
	f.t.Helper()
	f.start(b.name)
	f.emitFor(time.Second)
	f.settled()
}
