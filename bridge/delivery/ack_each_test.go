package delivery

import (
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// A stream at its limit refuses large events and stores small ones that came
// behind them. All are stored once in the end; with the window those that were
// refused come late, by less than what may be in flight.
func TestPublisher_StoresOnceWhatALimitRefused(t *testing.T) {
	eachWay(t, func(t *testing.T, keep func(*Publisher)) {
		s := natstest.Start(t, t.TempDir(), 0)
		b, p := testBench(t, s.ClientURL(), config.DeliverJetStream)
		keep(p)
		changeStream(t, s.ClientURL(), func(c *jetstream.StreamConfig) {
			c.Discard, c.MaxBytes = jetstream.DiscardNew, 100_000
		})
		const events = 2000
		for i := 1; i <= events; i++ {
			b.servers[0].push(outbox.Entry{Subject: "ami.events.pbx1.Test", Session: "s1", Seq: uint64(i), At: 1},
				[]byte(strings.Repeat("x", i%2*1500)), false)
		}
		startPublisher(t, p)
		awaitResent(t, b.servers[0])
		changeStream(t, s.ClientURL(), func(c *jetstream.StreamConfig) { c.MaxBytes = -1 })
		if left := drainWithin(t, b, natstest.Patience); left > 0 {
			t.Fatalf("%d left", left)
		}
		messages := storedEvents(t, s.ClientURL())
		seen, highest, late := make(map[int]bool), 0, 0
		for range events {
			msg, err := messages.Next(jetstream.NextMaxWait(natstest.Patience))
			if err != nil {
				t.Fatal(err)
			}
			n, _ := strconv.Atoi(strings.TrimPrefix(msg.Headers().Get("Ami-Seq"), "s1:"))
			if seen[n] || n < 1 || n > events {
				t.Fatalf("number %d is stored twice, or was never sent", n)
			}
			seen[n], highest = true, max(highest, n)
			late = max(late, highest-n)
		}
		most := 0
		if p.Mode() == modeWindow {
			most = sourceMsgs - 1
		}
		if late > most {
			t.Errorf("an event is late by %d, at most %d were promised", late, most)
		}
		t.Logf("an event is late by up to %d", late)
	})
}
