package delivery

import (
	"context"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/subject"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// bench is a publisher's surroundings: outboxes of servers that are none, and real
// streams.
type bench struct {
	cfg             config.Config
	events, control *natsconn.Conn
	streams         *streams.Reconciler
	servers         []*benchServer
}

type benchServer struct {
	name   string
	outbox *outbox.Outbox
	source *Source
	lead   *testLead // with HA
}

// push hands an event to the outbox and says so.
func (s *benchServer) push(e outbox.Entry, payload []byte, shed bool) {
	s.outbox.Push(e, payload, shed)
	s.source.Ready()
}

// testBench is a bench of pbx1, otherwise as by default, and its publisher.
func testBench(t *testing.T, url string, delivery config.Delivery) (*bench, *Publisher) {
	t.Helper()
	cfg := config.DefaultConfig()
	cfg.NATS.URL, cfg.Delivery = url, delivery
	return newBench(t, cfg, "pbx1")
}

// newBench is a bench of servers with these names, otherwise as cfg says, connected
// to NATS, and its publisher.
func newBench(t *testing.T, cfg config.Config, names ...string) (*bench, *Publisher) {
	t.Helper()
	cfg.Node = "test"
	b := &bench{cfg: cfg}
	login, dials := natsconn.NewLogin(cfg.NATS, nil, nil), new(DialGuard)
	b.events = natsconn.New(natsconn.Options{
		Name: "events", Config: &b.cfg, Login: login, Log: zap.NewNop(),
		Own: []nats.Option{nats.ReconnectBufSize(-1), nats.NoEcho(), dials.Option()},
	})
	b.control = natsconn.New(natsconn.Options{Name: "control", Config: &b.cfg, Login: login, Log: zap.NewNop()})
	b.streams = streams.New(&b.cfg, []*natsconn.Conn{b.control, b.events}, func() {}, func(context.Context, string, streams.State) {}, zap.NewNop())
	budget := outbox.NewBudget(int64(cfg.OutboxTotalBytes), len(names))
	o := Options{Config: &b.cfg, Conn: b.events, Guard: dials, Streams: b.streams, Log: zap.NewNop()}
	if cfg.HA {
		o.Incarnation = "incarnation"
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b.servers = append(b.servers, join(p, name, cfg.SubjectPrefix, budget))
	}
	for _, c := range []*natsconn.Conn{b.events, b.control} {
		if err := c.Open(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Get().Close() })
		natstest.Within(t, "the connection", c.Up)
	}
	natstest.Within(t, "the streams", func() bool { b.streams.Check(t.Context()); return b.streams.Well() }) // or run does
	p.begin()
	return b, p
}

// join has p publish the events of a server.
func join(p *Publisher, name, prefix string, budget *outbox.Budget) *benchServer {
	subjects := subject.New(prefix, name)
	box := outbox.New(int(config.DefaultServerConfig().OutboxBytes), subjects.Gap(), budget, func() {})
	s, source := &benchServer{name: name, outbox: box}, Source{Name: name, Outbox: box, Filter: subjects.All(), TellGap: func(outbox.Gap) {}}
	if p.lead != nil {
		s.lead = newTestLead(s)
		source.Lead = &Lead{Terms: subjects.Term(), Fence: s.lead.fence, Refused: s.lead.refuse}
	}
	s.source = p.Add(source)
	return s
}

// left is how many events are not published, of all servers.
func (b *bench) left() (n uint64) {
	for _, s := range b.servers {
		n += uint64(s.outbox.Account().Left)
	}
	return n
}

// changeStream changes the configuration of the stream of events.
func changeStream(t *testing.T, url string, change func(*jetstream.StreamConfig)) {
	t.Helper()
	_, js := natstest.Client(t, url)
	stream, err := js.Stream(t.Context(), streams.EventStream)
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	change(&config)
	if _, err := js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
}

// storedEvents are the messages of the stream of events, from its first on.
func storedEvents(t *testing.T, url string) jetstream.MessagesContext {
	t.Helper()
	_, js := natstest.Client(t, url)
	consumer, err := js.OrderedConsumer(t.Context(), streams.EventStream, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(messages.Stop)
	return messages
}

// windowOf is a window of outboxes.
func windowOf(ready func(int), outboxes ...*outbox.Outbox) *window {
	w := newWindow(ready)
	for i, o := range outboxes {
		w.place(i, o)
	}
	return w
}
