package replay

import (
	"context"
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

	timeout time.Duration // answerTimeout if it is 0
}

// Message is what a stream holds under one sequence.
type Message struct {
	Subject  string
	Sequence uint64
	Stored   time.Time
	Header   nats.Header
	Data     []byte

	size int // as it came: not less than what the stream counts
}

const (
	// attempts at one answer without a message of it; leaderless times as many where nobody answers
	// for a stream of which something was read: it gets another leader.
	attempts, leaderless = 6, 10
	// retryWait is between two of them where the server answered at once.
	retryWait = 500 * time.Millisecond
)

// get asks and returns all of the answer, and how many more match. It asks again
// a few times where something is missing.
func (s *Source) get(ctx context.Context, r directget.Request) (all []*Message, more uint64, err error) {
	for range attempts {
		if all, more, err = s.once(ctx, r); err == nil {
			return all, more, nil
		}
		if hopeless := s.again(ctx, err); hopeless != nil {
			return nil, 0, hopeless
		}
	}
	return nil, 0, s.failed(err)
}

// failed is what err, in which the last of several attempts ended, is told as.
func (s *Source) failed(err error) error {
	if errors.Is(err, errNobody) {
		return fmt.Errorf("stream %s cannot be read at %s: is it there, and does it allow direct gets?", s.Stream, s.API)
	}
	return fmt.Errorf("read stream %s: %s.DIRECT.GET does not answer: may the user ask there, and is the stream's server up?", s.Stream, s.API)
}

// once asks once.
func (s *Source) once(ctx context.Context, r directget.Request) (all []*Message, more uint64, err error) {
	a, err := s.ask(r)
	if err != nil {
		return nil, 0, err
	}
	defer a.close()
	for {
		m, err := a.next(ctx)
		switch {
		case errors.Is(err, errEnd):
			return all, a.more, nil
		case err != nil:
			return nil, 0, err
		}
		if all = append(all, m); r.LastFor != "" {
			return all, 0, nil
		}
	}
}

// last returns the last message on a subject, which may have wildcards, or
// errNone.
func (s *Source) last(ctx context.Context, subject string) (*Message, error) {
	all, _, err := s.get(ctx, directget.Request{LastFor: subject})
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// Begins is when the first message was stored that is there, if others were before it; zero if none were, or
// none is there.
func (s *Source) Begins(ctx context.Context) (time.Time, error) {
	all, _, err := s.get(ctx, directget.Request{NextFor: ">", Seq: 1, Batch: 1})
	if errors.Is(err, errNone) || err == nil && all[0].Sequence == 1 {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	return all[0].Stored, nil
}

// subjects returns the last sequence of each subject that matches, or false if
// there are more than the server lists.
func (s *Source) subjects(ctx context.Context, wide string) (last map[string]uint64, all bool, err error) {
	page, more, err := s.get(ctx, directget.Request{MultiLast: []string{wide}})
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
