package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/directget"
)

// Source is a stream that allows direct gets. Its methods may be called
// concurrently.
type Source struct {
	Conn   *nats.Conn
	API    string // prefix of the JetStream API: $JS.API, or what an account imports it as
	Stream string
}

// Message is what a stream holds under one sequence.
type Message struct {
	Subject  string
	Sequence uint64
	Stored   time.Time
	Header   nats.Header
	Data     []byte
}

const (
	pageMessages = 512
	pageBytes    = 1 << 20
	// answerTimeout is how long the server may take for its next message.
	answerTimeout = 5 * time.Second
	// attempts at one page without a message of it, while NATS comes back.
	attempts = 6
	// retryWait is between two of them where the server answered at once.
	retryWait = 500 * time.Millisecond
)

var (
	errNone    = errors.New("no such message")
	errTooMany = errors.New("too many subjects")
	// errNobody is what a server says that has no such stream, or not yet.
	errNobody = errors.New("nobody answers for it")
	// errCut is a page of which something is missing: it is asked for again.
	errCut = errors.New("the connection lost a part of the answer")
)

// get asks once and returns what came in its order, and how many more match.
// With errCut what came before the loss is good.
func (s *Source) get(ctx context.Context, r directget.Request) (page []Message, more uint64, err error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, 0, err
	}
	inbox := s.Conn.NewInbox()
	sub, err := s.Conn.SubscribeSync(inbox)
	if err != nil {
		return nil, 0, fmt.Errorf("read stream %s: %w", s.Stream, err)
	}
	defer sub.Unsubscribe() //nolint:errcheck // fails only where the connection is gone
	if err := s.Conn.PublishRequest(s.API+".DIRECT.GET."+s.Stream, inbox, body); err != nil {
		return nil, 0, fmt.Errorf("read stream %s: %w", s.Stream, err)
	}
	var last uint64
	for {
		m, err := s.next(ctx, sub)
		if err != nil {
			return page, 0, err
		}
		if end, more, err := s.ended(m, last); end {
			return page, more, err
		}
		one, before, err := messageOf(m)
		if err != nil {
			return page, 0, fmt.Errorf("read stream %s: %w", s.Stream, err)
		}
		if r.Batch > 0 && before != last {
			return page, 0, errCut
		}
		last = one.Sequence
		page = append(page, one)
		if r.Batch == 0 && r.MultiLast == nil {
			return page, 0, nil
		}
	}
}

// next waits for a message. Silence is errCut.
func (s *Source) next(ctx context.Context, sub *nats.Subscription) (*nats.Msg, error) {
	wait, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	m, err := sub.NextMsgWithContext(wait)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, context.DeadlineExceeded):
		return nil, errCut
	case errors.Is(err, nats.ErrNoResponders):
		return nil, errNobody
	case err != nil:
		return nil, fmt.Errorf("read stream %s: %w", s.Stream, err)
	}
	return m, nil
}

// ended reads a message that has a status in place of one of the stream's.
func (s *Source) ended(m *nats.Msg, last uint64) (end bool, more uint64, err error) {
	switch status := directget.Value(m.Header, "Status"); {
	case status == "" || directget.Value(m.Header, "Nats-Sequence") != "":
		return false, 0, nil
	case status == "204":
		if directget.Number(m.Header, "Nats-Last-Sequence") != last {
			return true, 0, errCut
		}
		return true, directget.Number(m.Header, "Nats-Num-Pending"), nil
	case status == "404":
		return true, 0, errNone
	case status == "413":
		return true, 0, errTooMany
	default:
		return true, 0, fmt.Errorf("read stream %s: the server says %s %s (wants nats-server 2.11 or later)",
			s.Stream, status, m.Header.Get("Description"))
	}
}

// messageOf reads an answer, and the sequence of the message sent before it.
func messageOf(m *nats.Msg) (one Message, before uint64, err error) {
	one = Message{
		Subject: directget.Value(m.Header, "Nats-Subject"), Sequence: directget.Number(m.Header, "Nats-Sequence"),
		Header: m.Header, Data: m.Data,
	}
	one.Stored, err = time.Parse(time.RFC3339Nano, directget.Value(m.Header, "Nats-Time-Stamp"))
	if err != nil || one.Sequence == 0 {
		return one, 0, errors.New("the answer names no message")
	}
	return one, directget.Number(m.Header, "Nats-Last-Sequence"), nil
}

// getAnswered calls get until it has an answer that is one, a few times.
func (s *Source) getAnswered(ctx context.Context, r directget.Request) (page []Message, more uint64, err error) {
	for range attempts {
		page, more, err = s.get(ctx, r)
		switch {
		case errors.Is(err, errNobody):
			if err := pause(ctx, retryWait); err != nil {
				return nil, 0, err
			}
		case !errors.Is(err, errCut):
			return page, more, err
		case len(page) > 0 && r.Batch > 0:
			return page, 1, nil // what is missing comes with the next page
		}
	}
	if errors.Is(err, errNobody) {
		return nil, 0, fmt.Errorf("stream %s cannot be read at %s: is it there, and does it allow direct gets?", s.Stream, s.API)
	}
	return nil, 0, fmt.Errorf("read stream %s: %s.DIRECT.GET does not answer: may the user ask there, and is the stream's server up?", s.Stream, s.API)
}

// last returns the last message on a subject, which may have wildcards, or
// errNone.
func (s *Source) last(ctx context.Context, subject string) (Message, error) {
	page, _, err := s.getAnswered(ctx, directget.Request{LastFor: subject})
	if err != nil {
		return Message{}, err
	}
	return page[0], nil
}

// subjects returns the last sequence of each subject that matches, or false if
// there are more than the server lists.
func (s *Source) subjects(ctx context.Context, wide string) (last map[string]uint64, all bool, err error) {
	page, more, err := s.getAnswered(ctx, directget.Request{MultiLast: []string{wide}})
	switch {
	case errors.Is(err, errTooMany):
		return nil, false, nil
	case errors.Is(err, errNone):
		return nil, true, nil
	case err != nil:
		return nil, false, err
	}
	last = make(map[string]uint64, len(page))
	for _, m := range page {
		last[m.Subject] = m.Sequence
	}
	return last, more == 0, nil
}
