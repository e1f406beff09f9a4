//go:build unix

package ha

import (
	"bytes"
	"fmt"
	"maps"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/realasterisk"
)

// ordersDiffer reports whether a has a queue of events for each session, as from 22.11 on:
// those of different threads come to one in another order than to the next.
func ordersDiffer(a *realasterisk.Instance) bool { return strings.HasPrefix(a.Version(), "22.11") }

// keepHeard keeps what the server says on a leg with events.
func (w *way) keepHeard(l *leg, data []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if l.is("Action: ") && !l.is(actionsLeg) {
		l.heard, w.last = append(l.heard, data...), l
	}
}

// session is one with events that a bridge has.
type session struct {
	way *way
	leg *leg
}

// session is the last one.
func (w *way) session() session {
	w.mu.Lock()
	defer w.mu.Unlock()
	return session{w, w.last}
}

// events are those that the session had, in its order, as texts that compare. A few of
// Asterisk's have a blank line more behind them.
func (s session) events() (all []string) {
	s.way.mu.Lock()
	heard := bytes.Clone(s.leg.heard)
	s.way.mu.Unlock()
	for text := range bytes.SplitSeq(heard, []byte("\r\n\r\n")) {
		if f := realasterisk.Frame(bytes.TrimLeft(text, "\r\n")); f.Event() != "" && !loginsOwn(f.Event()) {
			all = append(all, fmt.Sprint(harness.FramePairs(f)))
		}
	}
	return all
}

// stored are the events that the stream has behind the edge, as such texts.
func (f *fleet) stored() (all []string) {
	f.t.Helper()
	stream, err := harness.JetStream(f.t, f.nc).Stream(f.t.Context(), streams.EventStream)
	if err != nil {
		f.t.Fatal(err)
	}
	consumer, err := stream.OrderedConsumer(f.t.Context(), jetstream.OrderedConsumerConfig{FilterSubjects: []string{"ami.events.>"}})
	if err != nil {
		f.t.Fatal(err)
	}
	begun := false
	for left := consumer.CachedInfo().NumPending; left > 0; {
		batch, err := consumer.FetchNoWait(int(min(left, 1000)))
		if err != nil {
			f.t.Fatal(err)
		}
		for m := range batch.Messages() {
			left--
			event := m.Subject()[strings.LastIndexByte(m.Subject(), '.')+1:]
			switch {
			case event == "Gap":
				f.t.Errorf("a Gap: %s", m.Data())
			case begun && !loginsOwn(event):
				all = append(all, fmt.Sprint(harness.PayloadPairs(f.t, m.Data())))
			}
			begun = begun || strings.Contains(string(m.Data()), `"UserEvent":"`+edge+`"`)
		}
		if batch.Error() != nil {
			f.t.Fatal(batch.Error())
		}
	}
	return all
}

// counted counts events, but for those of logins: their thread is none of the calls', so that
// they may come on the other side of the edge.
func counted(all []string) map[string]int {
	n := make(map[string]int)
	for _, text := range all {
		if !strings.HasPrefix(text, "[{Event [SuccessfulAuth]}") && !strings.HasPrefix(text, "[{Event [ChallengeSent]}") {
			n[text]++
		}
	}
	return n
}

// ordered returns how many of these events, the first ones, are in the order of a session.
func ordered(all, session []string) (n int) {
	for _, event := range session {
		if n < len(all) && all[n] == event {
			n++
		}
	}
	return n
}

// holdsAsASet wants the stream to have behind the edge what the session of nobody's has seen,
// each event as often; and in the order of the sessions of the bridges that led in turn.
func (f *fleet) holdsAsASet(s *storm, led []session) {
	f.t.Helper()
	var stored, seen []string
	harness.Eventually(f.t, "as much is stored as was seen", func() bool {
		stored, seen = f.stored(), nil
		for _, frame := range s.now() {
			seen = append(seen, fmt.Sprint(harness.FramePairs(frame)))
		}
		return maps.Equal(counted(stored), counted(seen)) || f.t.Failed()
	})
	rest := stored
	for _, one := range led {
		rest = rest[ordered(rest, one.events()):]
	}
	if len(rest) > 0 {
		f.t.Errorf("%d of %d events are in an order that none of %d leaders had, from: %s", len(rest), len(stored), len(led), rest[0])
	}
}

// stateIsRight kills the leader once more, at rest: whoever leads then asks for lists, and
// finds nothing to bring right in what is up, but for when, and by what, it was told.
func (f *fleet) stateIsRight(board *harness.Board) {
	f.t.Helper()
	var leader, standby *node
	harness.Eventually(f.t, "one leads, the other stands by", func() (ok bool) { // in sync it is not before events come
		leader, standby, ok = f.both()
		return ok
	})
	board.Is(server, "live", leader.name)
	up := func() map[string]map[string]any {
		all := board.Up()
		for key, value := range all {
			all[key] = maps.Clone(value)
			for _, name := range []string{"At", "Since", "Source"} {
				delete(all[key], name)
			}
			if kind := strings.Split(key, ".")[1]; kind == "channel" || kind == "bridge" || kind == "caller" {
				f.t.Errorf("a ghost: %s", key)
			}
		}
		return all
	}
	before := up()
	leader.away = true
	leader.Kill()
	board.Is(server, "live", standby.name)
	if diff := cmp.Diff(before, up()); diff != "" {
		f.t.Errorf("what is up at rest, as one bridge and then the next has it (-one +next):\n%s", diff)
	}
	if len(before) == 0 {
		f.t.Error("nothing is up to compare, no queue and no hint")
	}
}
