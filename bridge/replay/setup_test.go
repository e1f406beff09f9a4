package replay

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a NATS server with the streams of a bridge.
type bench struct {
	t  *testing.T
	s  *server.Server
	nc *nats.Conn
	js jetstream.JetStream
	n  int
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t}
	b.s = natstest.Serve(t, func(*server.Options) {})
	nc, err := nats.Connect(b.s.ClientURL(), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.Timeout(natstest.Patience))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	b.nc = nc
	if b.js, err = jetstream.New(nc, jetstream.WithDefaultTimeout(natstest.Patience)); err != nil {
		t.Fatal(err)
	}
	b.stream("AMI_EVENTS", "ami.events.>")
	b.stream("AMI_AUDIT", "ami.audit.>")
	return b
}

// restart stops the server and starts it again in its place.
func (b *bench) restart() {
	b.t.Helper()
	port, dir := b.s.Addr().(*net.TCPAddr).Port, b.s.StoreDir()
	b.s.Shutdown()
	b.s.WaitForShutdown()
	b.s = natstest.Start(b.t, filepath.Dir(dir), port)
}

// stream makes one, anew if it is there.
func (b *bench) stream(name, subject string) jetstream.Stream {
	b.t.Helper()
	_ = b.js.DeleteStream(b.t.Context(), name) // it may not be there
	s, err := b.js.CreateStream(b.t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{subject}, AllowDirect: true})
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func (b *bench) source(stream string) *Source {
	return &Source{Conn: b.nc, API: "$JS.API", Stream: stream}
}

// event stores an event of pbx1 or another server that was read at a time.
func (b *bench) event(server, name, seq string, read time.Time, payload string) {
	b.t.Helper()
	m := nats.NewMsg("ami.events." + server + "." + name)
	m.Data = []byte(payload)
	m.Header.Set("Ami-Seq", seq)
	m.Header.Set("Ami-Time", read.UTC().Format("2006-01-02T15:04:05.000000Z"))
	if _, err := b.js.PublishMsg(b.t.Context(), m); err != nil {
		b.t.Fatal(err)
	}
}

// tick is a short event.
func (b *bench) tick(server, name string, read time.Time) {
	b.t.Helper()
	b.n++
	b.event(server, name, fmt.Sprintf("s:%d", b.n), read, fmt.Sprintf(`{"Event":%q,"N":"%d"}`, name, b.n))
}

// read returns the subjects and sequences of what is selected.
func (b *bench) read(ctx context.Context, sel Selection) (got []string) {
	b.t.Helper()
	sel.Prefix, sel.Kind = "ami", "events"
	err := b.source("AMI_EVENTS").Read(ctx, sel, ReadAt, nil, func(m *Message) error {
		got = append(got, fmt.Sprintf("%d %s", m.Sequence, m.Subject[len("ami.events."):]))
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return got
}
