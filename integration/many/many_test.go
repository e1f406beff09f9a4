//go:build unix

package many

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// size is how large a test is.
func size(t *testing.T, few, many int) int {
	t.Helper()
	switch *asked {
	case "all":
		return many
	case "some":
		return few
	}
	t.Skip("NOT RUN: make faults-ha has many bridges share many Asterisks, with little beside them")
	return 0
}

func nodes(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprint("b", i+1))
	}
	return names
}

// stored is what the stream holds of an Asterisk.
type stored struct {
	last    int // number
	twice   int
	missing int
	holes   []string // in the numbering, but where a Gap says so
	gaps    []string // reasons of those since all had their copies
	epoch   string
	seq     uint64
	at      time.Time
	pause   time.Duration // the longest
}

// stored reads the stream until nothing more is in it.
func (f *fleet) stored() map[string]*stored {
	f.t.Helper()
	js := harness.JetStream(f.t, f.nc)
	consumer, err := js.OrderedConsumer(f.t.Context(), streams.EventStream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{"ami.events.>"}})
	if err != nil {
		f.t.Fatal(err)
	}
	left := consumer.CachedInfo().NumPending
	messages, err := consumer.Messages()
	if err != nil {
		f.t.Fatal(err)
	}
	defer messages.Stop()
	all := map[string]*stored{}
	for ; left > 0; left-- {
		m, err := messages.Next(jetstream.NextMaxWait(harness.Patience))
		if err != nil {
			f.t.Fatalf("%d are left: %v", left, err)
		}
		server := strings.Split(m.Subject(), ".")[2]
		if all[server] == nil {
			all[server] = new(stored)
		}
		meta, err := m.Metadata()
		if err == nil {
			err = all[server].add(m, meta.Timestamp, f.began)
		}
		if err != nil {
			f.t.Fatalf("%s: %v", m.Subject(), err)
		}
	}
	return all
}

// add takes in the next message. Gaps before since are those of bridges that began at once,
// and led in turn before they heard of one another.
func (s *stored) add(m jetstream.Msg, at, since time.Time) error {
	epoch, seq, err := standby.ParseSeq(m.Headers().Get("Ami-Seq"))
	if err != nil {
		return err
	}
	var event struct{ N, Reason string }
	if err := json.Unmarshal(m.Data(), &event); err != nil {
		return err
	}
	isGap := strings.HasSuffix(m.Subject(), ".Gap")
	if !isGap && s.epoch != "" && (epoch != s.epoch || seq != s.seq+1) {
		s.holes = append(s.holes, fmt.Sprintf("%s:%d behind %s:%d, stored %v after the start: %.200s", epoch, seq, s.epoch, s.seq, at.Sub(since), m.Data()))
	}
	if s.epoch, s.seq = epoch, seq; isGap {
		if at.After(since) {
			s.gaps = append(s.gaps, event.Reason)
		}
		return nil
	}
	n, err := strconv.Atoi(event.N)
	if err != nil {
		return nil // the Asterisk's own
	}
	switch {
	case n <= s.last:
		s.twice++
	default:
		s.missing += n - s.last - 1
		s.last = n
	}
	if !s.at.IsZero() {
		s.pause = max(s.pause, at.Sub(s.at))
	}
	s.at = at
	return nil
}

// verify wants each event that was raised since all were led to be stored once, in order,
// and as many Gaps of each Asterisk as it may have. It returns what is stored of each.
func (f *fleet) verify(gaps int) map[string]*stored {
	f.t.Helper()
	f.more()
	f.hush()
	stream, err := harness.JetStream(f.t, f.nc).Stream(f.t.Context(), streams.EventStream)
	if err != nil {
		f.t.Fatal(err)
	}
	left := f.names
	f.until("the last event of each is stored", 2*harness.Patience, func() bool {
		for ; len(left) > 0; left = left[1:] {
			last, err := stream.GetLastMsgForSubject(f.t.Context(), "ami.events."+left[0]+".UserEvent")
			if err != nil || !strings.Contains(string(last.Data), `"`+strconv.FormatInt(f.sent[left[0]].Load(), 10)+`"`) {
				return false
			}
		}
		return true
	})
	all := f.stored()
	events, problems := 0, 0
	var pause time.Duration
	for _, name := range f.names {
		s := all[name]
		events += s.last
		pause = max(pause, s.pause)
		if s.twice > 0 || len(s.holes) > 0 || len(s.gaps) > gaps || gaps == 0 && s.missing > 0 {
			if problems++; problems < 10 {
				f.t.Errorf("%s: of %d events %d are missing, %d twice or out of order, holes %q, Gaps %v", name, s.last, s.missing, s.twice, s.holes, s.gaps)
			}
		}
	}
	if problems > 0 {
		f.t.Errorf("%d of %d Asterisks have problems", problems, len(f.names))
	}
	f.t.Logf("%d events of %d Asterisks, the longest pause of one %v", events, len(f.names), pause.Round(time.Millisecond))
	return all
}

// Many bridges read many Asterisks, each by two of them. One is killed: those that stood by
// lead, and others read what it did; nothing is lost. One comes: it takes its share, one a
// second, and nothing is lost.
func TestMany_OneIsKilledAndOneComes(t *testing.T) {
	few := size(t, 1, 0) == 1
	if few {
		t.Parallel()
	}
	f := newFleet(t, size(t, 60, 1000), 2)
	all := nodes(size(t, 4, 10))
	const most = 10 * time.Minute
	f.start(all...)
	took := f.until("all are led", most, f.isLed)
	t.Logf("%d Asterisks, %d bridges: all are led after %v; %s", len(f.names), len(all), took.Round(time.Millisecond), f.counted())
	f.raise(size(t, 20, 1)) // what two cores take of a thousand, read twice, beside ten bridges
	took = f.until("all have their copies", most, f.isWhole)
	t.Logf("all have two copies in sync after %v more; %s", took.Round(time.Second), f.counted())
	f.began = time.Now()

	f.reset()
	reads, leads := f.readsOf(all[1])
	f.kill(all[1])
	took = f.until("all are led", most, f.isLed)
	t.Logf("killed one that read %d and led %d: all are led after %v", reads, leads, took.Round(time.Millisecond))
	if few {
		f.verify(0)
		return
	}
	took += f.until("all have their copies", most, f.isWhole)
	t.Logf("all have two copies in sync %v after the kill; %s", took.Round(time.Second), f.counted())

	f.reset()
	f.start("b11")
	took = f.until("it has its share", most, func() bool { reads, _ := f.readsOf("b11"); return reads > len(f.names)/(2*len(all)) && f.isWhole() })
	last, since := "", time.Now()
	took += f.until("nothing moves for long", most, func() bool {
		if now := f.counted(); now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) > 20*time.Second && f.isWhole()
	}) - 20*time.Second
	reads, leads = f.readsOf("b11")
	t.Logf("one more reads %d and leads %d: all have two copies in sync %v after it came; %s", reads, leads, took.Round(time.Second), f.counted())
	f.verify(0)
}

// With one copy nobody stands by: when the bridge that reads them all is killed another one
// logs in and leads, with a Gap, and nothing is stored twice. How long that takes is printed:
// at most five seconds of a hundred and fifty, where nothing else runs.
func TestMany_OneCopyIsTakenOverCold(t *testing.T) {
	if size(t, 1, 0) == 1 {
		t.Parallel()
	}
	f := newFleet(t, size(t, 30, 150), 1)
	f.start("b1")
	f.until("all are led", harness.Patience, f.isLed)
	f.raise(4)
	f.start("b2")
	f.until("it has listened", harness.Patience, func() bool { f.mu.Lock(); defer f.mu.Unlock(); return f.words["b2"].seq > 10 })
	f.reset()
	reads, _ := f.readsOf("b2")
	f.kill("b1")
	took := f.until("all are led", harness.Patience, f.isLed)
	t.Logf("%d Asterisks with one copy, %d of them moved before: all are led %v after the kill; %s", len(f.names), reads, took.Round(time.Millisecond), f.counted())
	for server, s := range f.verify(1) {
		if len(s.gaps) != 1 || s.gaps[0] != "take_over" {
			t.Errorf("%s has Gaps %v, want one, of take_over", server, s.gaps)
		}
	}
}
