package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/directget"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

// The stream is read by direct gets, of pages where nats-server has them (2.11),
// else of one message after another; where the stream allows no direct gets, by
// asking its leader for each. It is read from what was its last message before
// the events were first sent. With fast ingest the acknowledgements do not name
// that; then it is read from a while before that time.

const (
	heldSubject = jetstream.DefaultAPIPrefix + "DIRECT.GET." + streams.EventStream
	// heldTimeout bounds the reading of what the stream holds.
	heldTimeout = 10 * time.Second
	// heldMessages bounds how many messages are read for it, of heldPage and
	// heldPageBytes at once. Those of a server behind the first in doubt are few more
	// than are in doubt, unless somebody else publishes as that server.
	heldMessages  = 64 << 10
	heldPage      = 512
	heldPageBytes = 1 << 20
	// heldNear is how many messages of the stream lie between a known place and
	// its end if that is to be the place to begin: a good deal more than may be
	// in flight.
	heldNear = 16 * windowMsgs
	// heldMargin is how much earlier reading begins than the time says: by it the
	// clocks of a stream's leaders may differ.
	heldMargin = 10 * time.Second
)

var (
	errHeldFar  = errors.New("too much was published by others since")
	errHeldCut  = errors.New("a part of the answer was lost")
	errHeldTime = errors.New("by time nats-server reads the stream since 2.11")
)

// held notes in ids which of them the stream holds, among the messages on filter
// that may have been stored since d began. The doubt that it returns is that of
// those it does not note. An error leaves open whether it holds them.
func (p *Publisher) held(ctx context.Context, filter string, ids map[string]bool, d outbox.Doubt) (outbox.Doubt, error) {
	ctx, cancel := p.conn.Question(ctx, heldTimeout)
	defer cancel()
	now := time.Now()
	stream, err := findStream(ctx, p.conn.Get().JS)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return outbox.Doubt{Since: now}, nil
	}
	if err != nil {
		return d, err
	}
	info := stream.CachedInfo()
	if info.State.LastSeq == 0 {
		return outbox.Doubt{Since: now}, nil
	}
	from := heldFrom(info, d, now)
	from.NextFor = filter
	page := p.page
	if !info.Config.AllowDirect {
		page = func(ctx context.Context, r directget.Request) ([]heldMessage, bool, error) {
			return leaderPage(ctx, stream, r)
		}
	}
	through, err := readHeld(ctx, page, from, ids)
	if d.After <= info.State.LastSeq {
		through = max(through, d.After)
	}
	if err != nil {
		return outbox.Doubt{Since: d.Since, After: through}, err // the next time it goes on there
	}
	return outbox.Doubt{Since: now, After: through}, nil
}

// findStream asks for the stream for no longer than events wait for an acknowledgement: by then it may
// have a leader, who has never had the question.
func findStream(ctx context.Context, js jetstream.JetStream) (jetstream.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, natsconn.AckTimeout)
	defer cancel()
	return js.Stream(ctx, streams.EventStream)
}

// heldFrom is where reading begins: behind the last message that was heard of
// before, or a while before that time.
func heldFrom(info *jetstream.StreamInfo, d outbox.Doubt, now time.Time) directget.Request {
	r := directget.Request{Batch: heldPage, MaxBytes: heldPageBytes}
	last, first := info.State.LastSeq, max(1, info.State.FirstSeq)
	if d.After <= last { // else somebody made the stream anew
		first = max(first, d.After+1)
	}
	if first > last || last-first <= heldNear || !info.Config.AllowDirect {
		r.Seq = first
		return r
	}
	at := now
	if !info.TimeStamp.IsZero() {
		at = info.TimeStamp // now, by the server's clock
	}
	at = at.Add(-clock.Elapsed(d.Since, now) - heldMargin)
	r.StartTime = &at
	return r
}

// heldMessage is what counts of a message in the stream.
type heldMessage struct {
	id       string
	sequence uint64
	at       string // Ami-Time
}

// readHeld reads page after page until nothing is left, and returns how far it
// came.
func readHeld(
	ctx context.Context, page func(context.Context, directget.Request) ([]heldMessage, bool, error), from directget.Request, ids map[string]bool,
) (through uint64, err error) {
	left := len(ids)
	for read := 0; left > 0; {
		messages, more, err := page(ctx, from)
		for _, m := range messages {
			if held, asked := ids[m.id]; asked && !held {
				ids[m.id] = true
				left--
			}
			through = m.sequence
		}
		if err != nil || !more {
			return through, err
		}
		if read += len(messages); read > heldMessages || len(messages) == 0 {
			return through, errHeldFar
		}
		from.Seq, from.StartTime = through+1, nil
	}
	return through, nil
}

// page asks for messages once, and reports whether there may be more.
func (p *Publisher) page(ctx context.Context, r directget.Request) (messages []heldMessage, more bool, err error) {
	messages, more, err = readPage(ctx, p.conn.Get(), r) // the publisher may take up another one meanwhile
	if denied := p.mayNotRead.Load(); err != nil && denied != nil {
		err = fmt.Errorf("read the stream: %w", *denied) // beside the question, which has no answer
	}
	return messages, more, err
}

// readPage asks for messages once, and reports whether there may be more. Before 2.11
// nats-server gives one, whatever is asked for, and does not know times.
func readPage(ctx context.Context, nc *natsconn.Link, r directget.Request) (messages []heldMessage, more bool, err error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, false, err
	}
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return nil, false, err
	}
	defer sub.Unsubscribe() //nolint:errcheck // fails only where the connection is gone
	if err := nc.PublishRequest(heldSubject, inbox, body); err != nil {
		return nil, false, err
	}
	last := uint64(0)
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return messages, false, fmt.Errorf("read the stream: %w", err)
		}
		sequence := directget.Number(m.Header, "Nats-Sequence")
		if sequence == 0 {
			more, err = endOf(m, last)
			return messages, more, err
		}
		if directget.Value(m.Header, "Nats-Num-Pending") == "" {
			if r.StartTime != nil {
				return nil, false, errHeldTime
			}
			return []heldMessage{newHeld(m, sequence)}, true, nil
		}
		if directget.Number(m.Header, "Nats-Last-Sequence") != last {
			return messages, true, errHeldCut
		}
		last = sequence
		messages = append(messages, newHeld(m, sequence))
	}
}

func newHeld(m *nats.Msg, sequence uint64) heldMessage {
	return heldMessage{m.Header.Get("Nats-Msg-Id"), sequence, m.Header.Get("Ami-Time")}
}

// Since is what the stream holds of a server since some time.
type Since struct {
	IDs  []string  // message ids, in order; at least that of the last message, if there is one
	Last uint64    // sequence of that
	At   time.Time // when its event was read; zero without one
	// Beside is set by who reads the IDs: some are of a bridge that shares nothing with
	// others, and that no fence keeps out.
	Beside bool
}

// ReadSince reads what the stream holds on filter that was stored after since, by this
// machine's clock, and a while before: by so much may the clocks differ, and so long may
// it have taken to store.
func ReadSince(ctx context.Context, c *natsconn.Conn, filter string, since time.Time, before time.Duration) (all Since, err error) {
	last, stream, err := streams.LastOn(ctx, c.Get().JS, filter)
	switch {
	case err != nil:
		return all, err
	case last == nil:
		return all, nil
	}
	at := time.Now()
	if stamp := stream.CachedInfo().TimeStamp; !stamp.IsZero() {
		at = stamp // now, by the server's clock
	}
	at = at.Add(-max(0, time.Since(since)) - before)
	r := directget.Request{Batch: heldPage, MaxBytes: heldPageBytes, NextFor: filter, StartTime: &at}
	stored := storedAt(last, stream)
	if last.Time.Before(at) {
		return Since{IDs: []string{last.Header.Get("Nats-Msg-Id")}, Last: last.Sequence, At: readAt(last.Header.Get("Ami-Time"), stored)}, nil
	}
	if err = all.read(ctx, c, r, stored); err == nil && len(all.IDs) == 0 { // it is gone since
		err = errHeldCut
	}
	return all, err
}

// ReadBehind reads what the stream holds on filter behind that sequence: where ReadSince had an error, the
// rest.
func ReadBehind(ctx context.Context, c *natsconn.Conn, filter string, sequence uint64) (all Since, err error) {
	last, stream, err := streams.LastOn(ctx, c.Get().JS, filter)
	if err == nil && last != nil {
		r := directget.Request{Batch: heldPage, MaxBytes: heldPageBytes, NextFor: filter, Seq: sequence + 1}
		err = all.read(ctx, c, r, storedAt(last, stream))
	}
	return all, err
}

// read reads page after page from r on. With an error it has what came before.
func (all *Since) read(ctx context.Context, c *natsconn.Conn, r directget.Request, stored time.Time) error {
	for {
		page, more, err := readPage(ctx, c.Get(), r)
		if err != nil || len(page) == 0 {
			return err
		}
		for i := range page {
			all.IDs = append(all.IDs, page[i].id)
		}
		end := page[len(page)-1]
		all.Last, all.At = end.sequence, readAt(end.at, stored)
		if !more {
			return nil
		}
		r.Seq, r.StartTime = end.sequence+1, nil
	}
}

// endOf reads what comes in place of a message, behind that with the sequence
// last, and reports whether there are more.
func endOf(m *nats.Msg, last uint64) (more bool, err error) {
	switch status := m.Header.Get("Status"); {
	case status == "204" && directget.Number(m.Header, "Nats-Last-Sequence") != last:
		return true, errHeldCut
	case status == "204":
		return directget.Number(m.Header, "Nats-Num-Pending") > 0, nil
	case status == "404":
		return false, nil
	default:
		return false, fmt.Errorf("read the stream: nats-server says %.10q %.100q", status, m.Header.Get("Description"))
	}
}

// leaderPage is page where the stream allows no direct gets.
func leaderPage(ctx context.Context, stream jetstream.Stream, r directget.Request) ([]heldMessage, bool, error) {
	m, err := stream.GetMsg(ctx, r.Seq, jetstream.WithGetMsgSubject(r.NextFor))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	return []heldMessage{{m.Header.Get("Nats-Msg-Id"), m.Sequence, m.Header.Get("Ami-Time")}}, true, nil
}
