package bridge

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/natstest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// busy returns what a busy Asterisk sent, behind its banner.
func busy(tb testing.TB) []byte {
	tb.Helper()
	packed, err := os.ReadFile("../frames/testdata/busy.ami.gz")
	if err != nil {
		tb.Fatal(err)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		tb.Fatal(err)
	}
	data, err := io.ReadAll(unzipped)
	if err != nil {
		tb.Fatal(err)
	}
	_, wire, _ := bytes.Cut(data, []byte("\n"))
	return wire
}

// allocations is the least of several measurements of what f allocates: others
// in this process, such as the nats-server, can only add to one.
func allocations(f func()) float64 {
	least := testing.AllocsPerRun(500, f)
	for range 9 {
		least = min(least, testing.AllocsPerRun(500, f))
	}
	return least
}

// From the socket's bytes to the outbox and out again an event costs no
// allocation; nor does the message around it. What nats.go allocates to write
// the headers is its own and measured beside it.
func TestHotPath_AllocatesNothingOfItsOwn(t *testing.T) {
	server := natstest.Start(t, t.TempDir(), 0)
	b, p := testBridge(t, server.ClientURL(), config.DeliverCore)
	s := b.servers[0]
	source := bytes.NewReader(busy(t))
	reader := frames.NewReader(source, 1<<20)
	seq := uint64(0)
	next := func() {
		f, err := reader.Next()
		if errors.Is(err, io.EOF) {
			if _, err := source.Seek(0, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			f, err = reader.Next()
		}
		if err != nil {
			t.Fatal(err)
		}
		seq++
		s.ingest.onEvent(amiconn.Event{Session: "s1", Seq: seq, At: time.Now(), Frame: f})
		_, payload, _, ok := s.ingest.outbox.Take(p.payload)
		if !ok {
			return // a Response of the capture is no event, but onEvent does not mind
		}
		p.payload = payload
		s.ingest.outbox.Ack()
	}
	for range 4000 {
		next() // every subject has been seen, every buffer has grown
	}
	if got := allocations(next); got != 0 {
		t.Errorf("socket to outbox and out: %v allocations an event, want 0", got)
	}

	s.ingest.push(outbox.Entry{Subject: "ami.events.pbx1.Test", Session: "s1", Seq: 1, At: time.Now().UnixNano()}, []byte("{}"), false)
	e, payload, _, _ := s.ingest.outbox.Take(p.payload)
	p.payload = payload
	whole := allocations(func() {
		if err := p.publish(0, p.window.add(0, 100), e); err != nil {
			t.Fatal(err)
		}
		p.window.reset(0)
	})
	theirs := allocations(func() {
		if err := p.nc.PublishMsg(&p.msg); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("publish: %v allocations an event, of which nats.go's %v", whole, theirs)
	if whole > theirs {
		t.Errorf("publish allocates %v, nats.go's PublishMsg alone %v", whole, theirs)
	}
}
