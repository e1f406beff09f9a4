package delivery

import (
	"testing"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// A stream of somebody else's that takes the events of one server says nothing of the stream of
// events: the others go on by fast ingest, and of that one it is told who has its subjects.
func TestFast_AnotherStreamTakesOneServersEvents(t *testing.T) {
	for name, batched := range map[string]bool{"with fast ingest": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			url := natstest.Serve(t, func(*natsserver.Options) {}).ClientURL()
			b, p := twoServers(t, url, "")
			changeStream(t, url, func(c *jetstream.StreamConfig) { c.Subjects = []string{"ami.events.pbx1.>"} })
			_, js := natstest.Client(t, url)
			other := jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"ami.events.pbx2.>"}, AllowBatchPublish: batched}
			if _, err := js.CreateStream(t.Context(), other); err != nil {
				t.Fatal(err)
			}
			pushEvents(b.servers[1], 1, 500)
			startPublisher(t, p)
			awaitResent(t, b.servers[1])
			pushEvents(b.servers[0], 1, 500)
			if left := drainWithin(t, &bench{servers: b.servers[:1]}, natstest.Patience); left > 0 {
				t.Errorf("%d of pbx1's 500 events are left", left)
			}
			for range 2 { // a look knows no better
				natstest.Within(t, "it is told", func() bool {
					state, err := b.streams.State(streams.EventStream)
					return state == streams.Missing && err != nil && err.Error() == `a message was refused: stream "OTHER" has its subject (10060)`
				})
				b.streams.Check(t.Context())
				if state, err := b.streams.State(streams.EventStream); state != streams.Missing {
					t.Errorf("after a look it is %v, %v", state, err)
				}
			}
			if p.Mode() != modeFast || b.servers[1].outbox.Account().Published > 0 {
				t.Errorf("by %s, %d of pbx2 count as published", p.Mode(), b.servers[1].outbox.Account().Published)
			}
			if err := js.DeleteStream(t.Context(), "OTHER"); err != nil {
				t.Fatal(err)
			}
			b.streams.Check(t.Context())
			allPublished(t, b)
			natstest.Within(t, "it is well", b.streams.Well)
		})
	}
}
