package present

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/costtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// busy returns 2,000 frames that Asterisk 22 sent under load, to be kept.
func busy(tb testing.TB) []*frames.Frame {
	tb.Helper()
	return capture(tb, "../../frames/testdata/busy.ami.gz")
}

// framesOf returns the frames in wire, to be kept.
func framesOf(tb testing.TB, wire []byte) (all []*frames.Frame) {
	tb.Helper()
	r := frames.NewReader(bytes.NewReader(wire), 1<<20)
	for {
		f, err := r.Next()
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return all
		}
		if err != nil {
			tb.Fatal(err)
		}
		kept := &frames.Frame{}
		for _, h := range f.Headers {
			kept.Headers = append(kept.Headers, frames.Header{Key: bytes.Clone(h.Key), Value: append([]byte{}, h.Value...)})
			if h.Key == nil {
				kept.Headers[len(kept.Headers)-1].Key = nil
			}
		}
		all = append(all, kept)
	}
}

var start = time.Date(2026, 11, 23, 8, 21, 40, 0, time.UTC)

func newPresent(o Options) *Present {
	if o.Server == "" {
		o.Server = "pbx1"
	}
	if o.MaxObjects == 0 {
		o.MaxObjects, o.MaxBytes = 100_000, 64<<20
	}
	return New(o, start)
}

// settled returns a Present to which all of the capture has happened, and its events
// that begin and end nothing.
func settled(tb testing.TB) (*Present, []*frames.Frame) {
	tb.Helper()
	p := newPresent(Options{})
	var quiet []*frames.Frame
	for _, f := range busy(tb) {
		switch string(f.Name()) {
		case "Hangup", "BridgeDestroy", "QueueCallerLeave", "ConfbridgeLeave", "ConfbridgeEnd", "BridgeEnter", "BridgeLeave":
			continue
		case "Newchannel", "BridgeCreate", "QueueCallerJoin", "ConfbridgeJoin", "ConfbridgeStart":
		default:
			quiet = append(quiet, f)
		}
		p.Reduce(f, start)
	}
	return p, quiet
}

// An event that changes nothing costs no allocation, and neither does one that
// changes fields without making them longer.
func TestReduce_AllocatesNothingUnlessSomethingBegins(t *testing.T) {
	p, quiet := settled(t)
	quiet = quiet[len(quiet)-100:]
	for _, f := range quiet {
		p.Reduce(f, start)
	}
	if n := costtest.Allocations(func() {
		for _, f := range quiet {
			p.Reduce(f, start)
		}
	}); n != 0 {
		t.Errorf("%v allocations for %d events that begin nothing", n, len(quiet))
	}
}

// Each operation is one event of the busy capture, of those that change nothing: it
// is to be at most 1 µs.
func BenchmarkReduce_ChangesNothing(b *testing.B) {
	p, quiet := settled(b)
	// The last event about a channel changes nothing when it comes again.
	last := map[string]*frames.Frame{}
	for _, f := range quiet {
		if id := f.Get("Uniqueid"); id != nil && f.Get("ChannelState") != nil {
			last[string(id)] = f
		}
	}
	var same []*frames.Frame
	for _, f := range last {
		same = append(same, f)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p.Reduce(same[i%len(same)], start)
	}
}

// Each operation is one event of the busy capture, as they come.
func BenchmarkReduce_Busy(b *testing.B) {
	all := busy(b)
	p := newPresent(Options{})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p.Reduce(all[i%len(all)], start.Add(time.Duration(i)*time.Millisecond))
	}
}
