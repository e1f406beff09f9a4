//go:build unix

package ha

import (
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/delivery"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// Between the claim and the record that bars the way, all batches of who led are ended:
// what ended one later would let in events behind the tail that was read.
func TestEnding_BatchesEndBeforeTheBarrier(t *testing.T) {
	t.Parallel()
	f := newFleet(t, shape{atOnce: true, more: []string{"BRIDGE_HA_SILENCE=2s"}}, "b1", "b2")
	leader, standby := f.settled()
	terms := make(chan *nats.Msg, 1<<16)
	if _, err := f.nc.ChanSubscribe("ami.terms."+server, terms); err != nil {
		t.Fatal(err)
	}
	if err := f.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	leader.away = true
	leader.Kill()
	harness.Eventually(t, "the other one leads", func() bool {
		f.emit(1)
		return f.leads(standby.name)
	})
	ends := endsBeforeBarrier(t, terms, standby.name)
	if ends < delivery.SharedBatches {
		t.Errorf("%d batches are ended before the barrier, want %d", ends, delivery.SharedBatches)
	}
}

// endsBeforeBarrier counts what ends batches between the two records of a claim by node.
func endsBeforeBarrier(t *testing.T, terms <-chan *nats.Msg, node string) (ends int) {
	t.Helper()
	for claims := 0; ; {
		select {
		case m := <-terms:
			if len(m.Data) == 0 {
				ends++
				continue
			}
			if r, err := standby.DecodeTerm(m.Data); err != nil || r.Node != node {
				continue // of who led before
			}
			if claims++; claims == 2 {
				return ends
			}
			ends = 0
		default:
			t.Fatal("no barrier was written")
		}
	}
}
