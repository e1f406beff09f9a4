package ingest

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/costtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/tap"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// busy returns what a busy Asterisk sent, behind its banner.
func busy(tb testing.TB) []byte {
	tb.Helper()
	packed, err := os.ReadFile("../../frames/testdata/busy.ami.gz")
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

// From the socket's bytes to the outbox and out again an event costs no allocation, also while
// somebody looks at the events.
func TestHotPath_AllocatesNothing(t *testing.T) {
	for name, looks := range map[string]bool{"nobody looks": false, "somebody looks": true} {
		t.Run(name, func(t *testing.T) { hotPath(t, looks) })
	}
}

func hotPath(t *testing.T, looks bool) {
	t.Helper()
	s := testSource(t)
	s.Tapped(new(tap.Tap))
	if looks {
		s.tap.Open()
	}
	source := bytes.NewReader(busy(t))
	reader := frames.NewReader(source, 1<<20)
	seq, buffer := uint64(0), []byte(nil)
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
		s.OnEvent(amiconn.Event{Session: "s1", Seq: seq, At: time.Now(), Frame: f})
		_, payload, _, ok := s.outbox.Take(buffer)
		if !ok {
			return // a Response of the capture is no event, but OnEvent does not mind
		}
		buffer = payload
		s.outbox.Ack()
		if seq%256 == 0 {
			s.tap.Take()
		}
	}
	for range 4000 {
		next() // every subject has been seen, every buffer has grown
	}
	if got := costtest.Allocations(next); got != 0 {
		t.Errorf("socket to outbox and out: %v allocations an event, want 0", got)
	}
}
