package delivery

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// A Gap that the stream refuses for its size is tried again in growing waits, for all who
// subscribe to the events see each try, and is stored once the stream takes it.
func TestPublisher_AGapThatIsTooLargeWaits(t *testing.T) {
	t.Parallel()
	for name, batched := range map[string]bool{"fast ingest": true, "a window": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, p, url := fastBench(t, func(c *jetstream.StreamConfig) { c.MaxMsgSize, c.AllowBatchPublish = 100, batched })
			nc, _ := natstest.Client(t, url)
			gaps, err := nc.SubscribeSync("ami.events.pbx1.Gap")
			if err != nil {
				t.Fatal(err)
			}
			if err := nc.Flush(); err != nil {
				t.Fatal(err)
			}
			s := b.servers[0]
			s.push(outbox.Entry{Subject: "ami.events.pbx1.Test", Session: "s1", Seq: 1, At: 1}, make([]byte, 2000), false)
			pushEvents(s, 2, 3)
			startPublisher(t, p)
			next := func() time.Time {
				if _, err := gaps.NextMsg(natstest.Patience); err != nil {
					t.Fatal(err)
				}
				return time.Now()
			}
			first, last := next(), time.Time{}
			for range 7 {
				last = next()
			}
			// Seven waits from 50 ms on, each half as long again as the one before, and half of it at the least.
			if took := last.Sub(first); took < 400*time.Millisecond {
				t.Errorf("tried 8 times within %v", took)
			}
			changeStream(t, url, func(c *jetstream.StreamConfig) { c.MaxMsgSize = -1 })
			allPublished(t, b)
			if a := s.outbox.Account(); a.Published != 2 || a.Dropped[outbox.DropOversize] != 1 {
				t.Errorf("%+v", a)
			}
		})
	}
}
