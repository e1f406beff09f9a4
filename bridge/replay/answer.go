package replay

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/directget"
)

const (
	// What is read ahead at most, shared by the subjects that are read. The server
	// counts what is left of the stream for each page, so that small ones are dear.
	aheadMessages = 4096
	aheadBytes    = 8 << 20
	// answerTimeout is how long the server may take for its next message.
	answerTimeout = 5 * time.Second
)

var (
	errNone    = errors.New("no such message")
	errTooMany = errors.New("too many subjects")
	// errNobody is what a server says that has no such stream, or not yet.
	errNobody = errors.New("nobody answers for it")
	// errCut is an answer of which something is missing: it is asked for again.
	errCut = errors.New("the connection lost a part of the answer")
	// errEnd is the end of a whole answer.
	errEnd = errors.New("end of the answer")
)

// answer is what the server says to one request: messages, each of which is taken
// while the next are under way, and an end. They wait in received, which has room for
// all of them.
type answer struct {
	source   *Source
	paged    bool // each message names the one sent before it
	received chan *nats.Msg
	sub      *nats.Subscription
	timer    *time.Timer

	last uint64 // sequence of the last message; 0: none yet
	more uint64 // how many match that are not in the answer, as the last message or the end says
}

// ask asks. Whoever calls it calls close.
func (s *Source) ask(r directget.Request) (*answer, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	a := &answer{source: s, paged: r.Batch > 0, received: make(chan *nats.Msg, aheadMessages+1)}
	inbox := s.Conn.NewInbox()
	if a.sub, err = s.Conn.ChanSubscribe(inbox, a.received); err != nil {
		return nil, fmt.Errorf("read stream %s: %w", s.Stream, err)
	}
	if err := s.Conn.PublishRequest(s.API+".DIRECT.GET."+s.Stream, inbox, body); err != nil {
		_ = a.sub.Unsubscribe() // fails only where the connection is gone
		return nil, fmt.Errorf("read stream %s: %w", s.Stream, err)
	}
	a.timer = time.NewTimer(a.source.answerIn())
	return a, nil
}

func (s *Source) answerIn() time.Duration { return cmp.Or(s.timeout, answerTimeout) }

// close has the rest of the answer ignored.
func (a *answer) close() {
	a.timer.Stop()
	_ = a.sub.Unsubscribe() // fails only where the connection is gone
}

// next returns the next message, or errEnd behind the last. With errCut what came
// before is good.
func (a *answer) next(ctx context.Context) (*Message, error) {
	m, err := a.wait(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.ended(m); err != nil {
		return nil, err
	}
	one, before, err := messageOf(m)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read stream %s: %w", a.source.Stream, err)
	case a.paged && before != a.last:
		return nil, errCut
	}
	a.last, a.more = one.Sequence, directget.Number(m.Header, "Nats-Num-Pending")
	return one, nil
}

// wait waits for what comes next. Silence is errCut.
func (a *answer) wait(ctx context.Context) (*nats.Msg, error) {
	select {
	case m := <-a.received:
		return m, nil
	default:
	}
	a.timer.Reset(a.source.answerIn())
	select {
	case m := <-a.received:
		return m, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-a.timer.C:
		return nil, errCut
	}
}

// ended reads a message that has a status in place of one of the stream's.
func (a *answer) ended(m *nats.Msg) error {
	switch status := directget.Value(m.Header, "Status"); {
	case status == "" || directget.Value(m.Header, "Nats-Sequence") != "":
		return nil
	case status == "204":
		a.more = directget.Number(m.Header, "Nats-Num-Pending")
		if directget.Number(m.Header, "Nats-Last-Sequence") != a.last {
			return errCut
		}
		if a.last == 0 {
			return errNone
		}
		return errEnd
	case status == "404":
		return errNone
	case status == "413":
		return errTooMany
	case status == "503":
		return errNobody
	default:
		return fmt.Errorf("read stream %s: the server says %s %s (wants nats-server 2.11 or later)",
			a.source.Stream, status, m.Header.Get("Description"))
	}
}

// messageOf reads a message of an answer, and the sequence of the one sent before it.
func messageOf(m *nats.Msg) (one *Message, before uint64, err error) {
	one = &Message{
		Subject: directget.Value(m.Header, "Nats-Subject"), Sequence: directget.Number(m.Header, "Nats-Sequence"),
		Header: m.Header, Data: m.Data, size: m.Size(),
	}
	one.Stored, err = time.Parse(time.RFC3339Nano, directget.Value(m.Header, "Nats-Time-Stamp"))
	if err != nil || one.Sequence == 0 {
		return nil, 0, errors.New("an answer that names no message")
	}
	return one, directget.Number(m.Header, "Nats-Last-Sequence"), nil
}
