//go:build unix

package ha

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// account is what the stream holds against what the Asterisk has raised.
type account struct {
	events                         int
	missing, twice, disorder, gaps int
	holes                          int           // of the numbering
	pause                          time.Duration // the longest between an event and its storage
}

func (a *account) add(b account) {
	a.events += b.events
	a.missing, a.twice, a.disorder, a.gaps, a.holes = a.missing+b.missing, a.twice+b.twice, a.disorder+b.disorder, a.gaps+b.gaps, a.holes+b.holes
	a.pause = max(a.pause, b.pause)
}

func (a account) whole() bool { return a.missing+a.twice+a.disorder+a.gaps+a.holes == 0 }

func (a account) String() string {
	return fmt.Sprintf("%d events: %d missing, %d twice, %d out of order, %d Gaps, %d holes in the numbering; the longest pause %v",
		a.events, a.missing, a.twice, a.disorder, a.gaps, a.holes, a.pause.Round(time.Millisecond))
}

// reading is how far the stream was read.
type reading struct {
	next    uint64 // sequence
	pending uint64 // that are stored behind it
	epoch   string // of the last
	seq     uint64
	numbers map[int]bool
	first   int // below it all numbers were read
	last    [threads]int
	alike   int
	counted int // events that were raised when it was read last
}

func newReading() reading { return reading{next: 1, numbers: map[int]bool{}, first: 1} }

// verify reads what was stored since it was read last, until all that was raised is there,
// and says what is wrong.
func (f *fleet) verify() (got account) {
	f.t.Helper()
	if f.ear != nil && len(f.nats) == 1 && !f.apart && f.nc.Stats().Reconnects == 0 { // else words of several ways, or a part of them
		f.ear.oneSpeaks()
	}
	r := &f.read
	got.events = f.sent + f.alike - r.counted
	for f.unread() {
		if err := f.readOn(&got); err != nil {
			f.t.Logf("all up to %d are stored of %d, %d of %d alike: %v", r.first-1, f.sent, r.alike, f.alike, err)
			break
		}
	}
	got.missing = max(0, f.alike-r.alike)
	for n := r.first; n <= f.sent; n++ {
		if !r.numbers[n] {
			got.missing++
		}
		delete(r.numbers, n)
	}
	got.twice += max(0, r.alike-f.alike)
	r.first, r.alike, r.counted = f.sent+1, f.alike, f.sent+f.alike
	return got
}

// unread reports whether something of what was raised was not read, or something more is
// stored.
func (f *fleet) unread() bool {
	return f.read.first <= f.sent || f.read.alike < f.alike || f.read.pending > 0
}

// readOn reads on, until nothing comes for long.
func (f *fleet) readOn(got *account) error {
	js := harness.JetStream(f.t, f.nc)
	var consumer jetstream.Consumer
	harness.Eventually(f.t, "the stream can be read", func() (ok bool) {
		ctx, cancel := context.WithTimeout(f.t.Context(), 3*time.Second) // who is asked may lead no more
		defer cancel()
		var err error
		consumer, err = js.OrderedConsumer(ctx, streams.EventStream, jetstream.OrderedConsumerConfig{
			FilterSubjects: []string{"ami.events." + server + ".>"}, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: f.read.next,
		})
		return err == nil
	})
	messages, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()
	for f.unread() {
		m, err := messages.Next(jetstream.NextMaxWait(20 * time.Second))
		if err != nil {
			return err
		}
		if err := f.take(m, got); err != nil {
			f.t.Fatalf("%v: %q %s", err, m.Headers(), m.Data())
		}
	}
	return nil
}

// take takes in one that is stored.
func (f *fleet) take(m jetstream.Msg, got *account) error {
	r := &f.read
	meta, err := m.Metadata()
	if err != nil {
		return err
	}
	epoch, seq, err := standby.ParseSeq(m.Headers().Get("Ami-Seq"))
	if err != nil {
		return err
	}
	r.next, r.pending = meta.Sequence.Stream+1, meta.NumPending
	if strings.HasSuffix(m.Subject(), ".Gap") {
		got.gaps++
		f.t.Logf("a Gap: %s", m.Data())
	}
	if seq != r.seq+1 || r.epoch != "" && epoch != r.epoch {
		got.holes++
		f.t.Logf("%s:%d comes behind %s:%d", epoch, seq, r.epoch, r.seq)
	}
	r.epoch, r.seq = epoch, seq
	var event struct{ Event, N string }
	if err := json.Unmarshal(m.Data(), &event); err != nil {
		return err
	}
	n, _ := strconv.Atoi(event.N)
	switch {
	case event.Event == "Gap":
		return nil
	case string(m.Data()) == alike:
		r.alike++
		return nil
	case n < 1 || n > f.sent || string(m.Data()) != numbered(n):
		return errors.New("nobody has raised that")
	case n < r.first || r.numbers[n]:
		got.twice++
		f.t.Logf("number %d is there twice", n)
		return nil
	}
	r.numbers[n] = true
	for r.numbers[r.first] {
		delete(r.numbers, r.first)
		r.first++
	}
	f.inOrder(n, got)
	got.pause = max(got.pause, meta.Timestamp.Sub(f.raised[n-1]))
	return nil
}

// alike are the bytes of each event that is like others, and numbered those of number n.
const alike = `{"Event":"UserEvent","Privilege":"call,all","UserEvent":"alike"}`

func numbered(n int) string {
	return fmt.Sprintf(`{"Event":"UserEvent","Privilege":"call,all","UserEvent":"n","N":"%d","Thread":"%d"}`, n, n%threads)
}

// inOrder wants number n to be behind those of its thread, or behind all where the sessions
// have one order.
func (f *fleet) inOrder(n int, got *account) {
	last := &f.read.last[n%threads]
	if !f.mixed {
		last = &f.read.last[0]
	}
	if n < *last {
		got.disorder++
		f.t.Logf("number %d comes behind %d", n, *last)
	}
	*last = n
}
