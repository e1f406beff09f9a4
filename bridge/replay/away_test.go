package replay

import (
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/internal/longtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// pages stores events of which a page has 16, and so many in all.
func (b *bench) pages(events int) {
	for range events {
		b.event("pbx1", "Hangup", "s:1", time.Now(), strings.Repeat("x", aheadBytes/16))
	}
}

// However long NATS is away in the middle of a reading, that goes on once it is back.
func TestRead_GoesOnAfterAnOutage(t *testing.T) {
	longtest.Mark(t, "NATS is away for longer than answers are waited for")
	t.Parallel()
	b := newBench(t)
	b.pages(20)
	source, first, ended := b.source("AMI_EVENTS"), make(chan struct{}), make(chan error, 1)
	source.timeout = time.Second
	n := 0
	go func() {
		ended <- source.Read(t.Context(), Selection{Prefix: "ami", Kind: "events"}, ReadAt, nil, func(*Message) error {
			if n++; n == 1 {
				first <- struct{}{}
				<-first
			}
			return nil
		})
	}()
	select {
	case <-first:
	case err := <-ended:
		t.Fatal(err)
	}
	port, dir := b.s.Addr().(*net.TCPAddr).Port, filepath.Dir(b.s.StoreDir())
	b.s.Shutdown()
	b.s.WaitForShutdown()
	close(first)
	<-time.After(2 * attempts * source.timeout) // the outage
	b.s = natstest.Start(t, dir, port)
	if err := <-ended; err != nil || n != 20 {
		t.Errorf("%d of 20, %v", n, err)
	}
}

// While a stream of which something was read gets another leader, nobody answers for it.
func TestRead_GoesOnWithAnotherLeader(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.pages(20)
	var n, unanswered atomic.Int64
	relay, err := b.nc.Subscribe("moved.DIRECT.GET.AMI_EVENTS", func(ask *nats.Msg) {
		if n.Load() > 0 && unanswered.Load() < attempts {
			unanswered.Add(1)
			_ = b.nc.PublishMsg(&nats.Msg{Subject: ask.Reply, Header: nats.Header{"Status": {"503"}}})
			return
		}
		_ = b.nc.PublishRequest("$JS.API.DIRECT.GET.AMI_EVENTS", ask.Reply, ask.Data)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Unsubscribe() //nolint:errcheck // of a test
	source := &Source{Conn: b.nc, API: "moved", Stream: "AMI_EVENTS"}
	err = source.Read(t.Context(), Selection{Prefix: "ami", Kind: "events"}, ReadAt, nil, func(*Message) error {
		n.Add(1)
		return nil
	})
	if err != nil || n.Load() != 20 || unanswered.Load() != attempts {
		t.Errorf("%d of 20, %d times nobody answered, %v", n.Load(), unanswered.Load(), err)
	}
}
