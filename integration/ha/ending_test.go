//go:build unix

package ha

import (
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
)

// endings collects what is said from now on of who leads the server: claims, and what ends
// batches.
func (f *fleet) endings() <-chan *nats.Msg {
	f.t.Helper()
	terms := make(chan *nats.Msg, 1<<16)
	if _, err := f.nc.ChanSubscribe("ami.terms."+server, terms); err != nil {
		f.t.Fatal(err)
	}
	if err := f.nc.Flush(); err != nil {
		f.t.Fatal(err)
	}
	return terms
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
