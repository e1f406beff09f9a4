package ha

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/delivery"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

const (
	// maxAsks bounds the questions that wait.
	maxAsks = 4096
	// askers ask the stream, each one question at a time.
	askers = 16
	// askTimeout bounds a question about a term, tailTimeout the reading of a tail.
	askTimeout  = 2 * time.Second
	tailTimeout = 10 * time.Second
	// tailNear is how much earlier than it must have been stored the tail is looked for,
	// tailFar how much where that was too late.
	tailNear = time.Second
	tailFar  = 30 * time.Second
	// beyond is a number that no event of a batch has.
	beyond = 1 << 40
	// endedFor is for how long a leader's batches count as ended for servers claimed before:
	// they have the events of all that it led.
	endedFor = 100 * time.Millisecond
)

// ask is a question for the stream. It returns what is to be done with the answer, on the
// Node's goroutine.
type ask func(ctx context.Context) func()

// askAll asks what comes, one after another.
func (n *Node) askAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case a := <-n.asks:
			if answer := a(ctx); answer != nil {
				select {
				case n.answers <- answer:
				case <-ctx.Done():
				}
			}
		}
	}
}

// ask asks the stream. When too many questions wait this one has failed.
func (n *Node) ask(a ask, failed func()) {
	select {
	case n.asks <- a:
	default:
		if failed != nil {
			n.failed = append(n.failed, failed)
		}
	}
}

// answer is what has the machine of s hear the answer to its last question.
func (n *Node) answer(s *server) func(standby.Event) func() {
	question := s.machine.Question()
	return func(e standby.Event) func() {
		e.Answers = question
		return func() { n.step(s, e) }
	}
}

// askTerm reads the record of the term.
func (n *Node) askTerm(s *server) {
	answer, asksLife := n.answer(s), s.machine.AsksLife()
	n.ask(func(ctx context.Context) func() {
		ctx, cancel := n.o.Conn.Question(ctx, askTimeout)
		defer cancel()
		last, stream, err := n.last.On(ctx, n.o.Conn.Get().JS, s.Terms)
		if err == nil && stream == nil {
			err = errors.New("there is no stream " + streams.EventStream)
		}
		switch {
		case err != nil:
			s.inTrouble(err)
			return answer(standby.Event{Kind: standby.Failed})
		case last == nil:
			return answer(standby.Event{Kind: standby.SawTerm})
		}
		term, err := standby.DecodeTerm(last.Data)
		if err != nil {
			s.inTrouble(err)
			n.log.Error("the record of a term cannot be read", zap.String("server", s.Name), zap.Error(err))
			if errors.Is(err, standby.ErrNewer) {
				return answer(standby.Event{Kind: standby.Failed})
			}
			return answer(standby.Event{Kind: standby.SawTerm, Seq: last.Sequence}) // nobody's: it is claimed behind that
		}
		e := standby.Event{Kind: standby.SawTerm, Term: term, Seq: last.Sequence}
		if asksLife && term.Node != n.o.Config.Node {
			e.Stored = n.lastStored(ctx, s)
		}
		saw := answer(e)
		return func() {
			s.knew(term.Incarnation)
			s.known.claimant = term.Node
			saw()
		}
	}, answer(standby.Event{Kind: standby.Failed}))
}

// unfoundAfter is how many claims in a row are refused behind no record, before it is said that there is one which
// is not found: another bridge may have been faster, or a replica may be behind.
const unfoundAfter = 5

// isUnfound takes in that the stream has refused a claim behind the record that this fence names, 0: behind none.
func (n *Node) isUnfound(s *server, fence uint64) {
	if fence != 0 {
		s.unfound.Store(0)
		return
	}
	if s.unfound.Add(1) == unfoundAfter {
		err := fmt.Errorf("records of its term are stored, and none is under %s: the account maps subjects (mappings), or the stream does (subject_transform): "+
			"take the bridge's subjects out of that", s.Terms)
		s.inTrouble(err)
		n.log.Error("a term is not found", zap.String("server", s.Name), zap.Error(err))
	}
}

// inTrouble notes why it is not known who leads s.
func (s *server) inTrouble(err error) {
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		err = fmt.Errorf("no JetStream answers (where it is at a hub, give this leaf node its default_js_domain): %w", err)
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("JetStream does not answer: %w", err)
	}
	s.trouble.Store(&err)
}

// lastStored is the sequence of the last event of s, if it is of one that keeps behind fences; else, or
// where the stream does not say, 0.
func (n *Node) lastStored(ctx context.Context, s *server) uint64 {
	last, _, err := n.last.On(ctx, n.o.Conn.Get().JS, s.Events)
	if err != nil || last == nil {
		return 0
	}
	if _, err := standby.ParseID(last.Header.Get(jetstream.MsgIDHeader)); err != nil {
		return 0
	}
	return last.Sequence
}

// writeTerm writes the record of the term behind the last one, and behind what ends the batches
// that are to be ended by then.
func (n *Node) writeTerm(s *server) {
	answer, record, fence, ends := n.answer(s), s.machine.Record(), s.machine.Fence(), s.takeEnds()
	data, err := record.Encode()
	if err != nil {
		n.log.Error("the record of a term cannot be written", zap.String("server", s.Name), zap.Error(err))
		n.failed = append(n.failed, answer(standby.Event{Kind: standby.Failed}))
		return
	}
	n.ask(func(ctx context.Context) func() {
		ctx, cancel := n.o.Conn.Question(ctx, askTimeout)
		defer cancel()
		m := nats.NewMsg(s.Terms)
		m.Data = data
		nc := n.o.Conn.Get() // one connection keeps the order
		err := publishEnds(nc.Conn, s.Terms, ends)
		var ack *jetstream.PubAck
		if err == nil {
			ack, err = nc.JS.PublishMsg(ctx, m, jetstream.WithExpectStream(streams.EventStream),
				jetstream.WithExpectLastSequencePerSubject(fence), jetstream.WithRetryAttempts(0))
		}
		if err == nil {
			s.trouble.Store(nil)
			s.unfound.Store(0)
			wrote := answer(standby.Event{Kind: standby.Wrote, Seq: ack.Sequence})
			return func() {
				s.Outbox.Claim(record.Term)
				wrote()
			}
		}
		if natsconn.Overtaken(err) {
			n.isUnfound(s, fence)
			return answer(standby.Event{Kind: standby.Refused})
		}
		if errors.Is(err, jetstream.ErrNoStreamResponse) {
			err = fmt.Errorf("no stream takes %s: %s wants the subject %s", s.Terms, streams.EventStream, streams.Terms(n.o.Config.SubjectPrefix))
		}
		s.inTrouble(err)
		n.log.Warn("a term is not stored", zap.String("server", s.Name), zap.Error(err))
		return answer(standby.Event{Kind: standby.Failed})
	}, answer(standby.Event{Kind: standby.Failed}))
}

// endsOnce reports whether the batches of those who led before a claim of that reason are
// ended once.
func (s *server) endsOnce(reason string) bool { return reason == "yield" && !s.mute }

// endBatches ends the batches of those who led before: a message that is beyond what the
// batch can have ends it, and stores nothing. Whoever yields has seen to it that nothing
// is in flight, unless it is mute; so its batch, by which other servers' events go, is ended
// once. To end them again for one server ends them for all that were claimed by then.
func (n *Node) endBatches(s *server, now time.Time) {
	record := s.machine.Record()
	again := s.ended == record.Term
	if again && s.endsOnce(record.Reason) {
		return
	}
	s.ended = record.Term
	maps.DeleteFunc(n.ended, func(_ string, at time.Time) bool { return now.Sub(at) >= endedFor })
	var batches []string
	for _, incarnation := range s.before {
		if _, ended := n.ended[incarnation]; ended && again || incarnation == n.o.Incarnation {
			continue // its own are behind one another on one connection
		}
		n.ended[incarnation] = now
		for k := range delivery.SharedBatches {
			batches = append(batches, delivery.BatchOf(incarnation, k))
		}
	}
	s.ends = append(s.ends, batches...)
}

// sendEnds ends the batches that are to be ended, if no record of the term went behind them.
func (n *Node) sendEnds(s *server) {
	if ends := s.takeEnds(); len(ends) > 0 {
		n.ask(func(context.Context) func() {
			_ = publishEnds(n.o.Conn.Get().Conn, s.Terms, ends) // they are ended again soon
			return nil
		}, nil)
	}
}

func (s *server) takeEnds() []string {
	ends := s.ends
	s.ends = nil
	return ends
}

func publishEnds(nc *nats.Conn, subject string, batches []string) error {
	for _, batch := range batches {
		m := nats.NewMsg(subject)
		m.Reply = nc.NewInbox() + "." + batch + ".1.fail." + strconv.Itoa(beyond) + ".3.$FI"
		if err := nc.PublishMsg(m); err != nil {
			return err
		}
	}
	return nil
}

// reading is a tail as far as it was read. What was read counts although the rest was not in time: read from
// the beginning each time, a tail that is long would never be read where NATS is slow.
type reading struct {
	term   uint64 // of the claim
	tail   *standby.Tail
	since  time.Time
	before time.Duration
	held   delivery.Since
}

// readTail reads what the stream holds behind what is known to be stored.
func (n *Node) readTail(s *server, now time.Time) {
	answer, r := n.answer(s), s.reading
	near, since := s.Outbox.Tail(s.Name, now)
	far, _ := s.Outbox.Tail(s.Name, now)
	if near == nil {
		n.failed = append(n.failed, answer(standby.Event{Kind: standby.Failed}))
		return
	}
	if term := s.machine.Record().Term; r.term != term {
		r = reading{term: term, tail: near, since: since, before: tailNear}
	}
	n.ask(func(ctx context.Context) func() {
		ctx, cancel := n.o.Conn.Question(ctx, tailTimeout)
		defer cancel()
		err := n.fill(ctx, s, &r)
		if err == nil && r.tail.Err() != nil && r.before == tailNear {
			r = reading{term: r.term, tail: far, since: r.since, before: tailFar}
			err = n.fill(ctx, s, &r)
		}
		if err != nil {
			s.inTrouble(err)
			n.log.Warn("the stream is not read", zap.String("server", s.Name), zap.Error(err))
			failed := answer(standby.Event{Kind: standby.Failed})
			return func() { s.reading = r; failed() }
		}
		return func() {
			s.reading = reading{}
			s.tail, s.held = r.tail, r.held
			s.why = s.Outbox.Check(r.tail)
			e := standby.Event{Kind: standby.Read, Exact: s.why == nil, Empty: r.tail.Empty(), Short: r.tail.Short()}
			if !r.held.Beside {
				e.Seq = r.held.Last
			}
			answer(e)()
		}
	}, answer(standby.Event{Kind: standby.Failed}))
}

// fill adds to r what was stored since then, and a while before, or what is behind that which it has.
func (n *Node) fill(ctx context.Context, s *server, r *reading) (err error) {
	var held delivery.Since
	if r.held.Last > 0 {
		held, err = delivery.ReadBehind(ctx, n.o.Conn, s.Events, r.held.Last)
	} else {
		held, err = delivery.ReadSince(ctx, n.o.Conn, s.Events, r.since, r.before)
	}
	for _, text := range held.IDs {
		if id, err := standby.ParseID(text); err == nil {
			r.tail.Add(id)
		} else {
			r.tail.Foreign()
			r.held.Beside = true
		}
	}
	if held.Last > 0 {
		r.held.Last, r.held.At = held.Last, held.At
	}
	return err
}
