package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/directget"
)

// cursor reads what is on one subject, which may have wildcards, in the order
// of the stream. It asks for a page at a time, and hands out a message as soon as
// it has come.
type cursor struct {
	source *Source
	filter string
	start  *time.Time // where it begins; nil: at next
	next   uint64     // what it has not seen yet begins here
	first  uint64     // it has to begin with this sequence; 0, 1: with whatever there is
	before *Message   // the one read last; nil: none yet
	last   uint64     // what the stream held when the cursor was made ends here
	end    time.Time  // when that was stored
	share  int        // of what is read ahead: one part of so many
	page   *answer    // nil: the next one is to be asked for
	given  bool       // the page had something that was not read before
	head   *Message   // what pop takes; nil: none yet
	total  uint64     // as the first message told: what came after last included
}

// newCursor returns nil if there is nothing on filter. Where it begins, open sets.
func (s *Source) newCursor(ctx context.Context, filter string) (*cursor, error) {
	m, err := s.last(ctx, filter)
	if errors.Is(err, errNone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &cursor{source: s, filter: filter, last: m.Sequence, end: m.Stored}, nil
}

// peek returns the next message, nil at the end: behind the last, which has to be there still.
func (c *cursor) peek(ctx context.Context) (*Message, error) {
	for tried := 1; c.head == nil && c.next <= c.last && !c.isBefore(); tried++ {
		err := c.pull(ctx)
		if err == nil && (c.head.Sequence > c.last || c.head.Sequence == c.last && !c.head.Stored.Equal(c.end)) {
			return nil, c.gone()
		}
		if err == nil {
			break
		}
		wait := c.source.again(ctx, err)
		if errors.Is(err, errNone) {
			wait = pause(ctx, retryWait) // the server that answers may be behind
		}
		most := attempts
		if c.before != nil && errors.Is(err, errNobody) {
			most *= leaderless
		}
		switch {
		case wait != nil:
			return nil, wait
		case tried >= most && errors.Is(err, errNone):
			return nil, c.gone()
		case tried >= most:
			return nil, c.source.failed(err)
		}
	}
	if c.head == nil || c.head.Sequence > c.last {
		c.close()
		return nil, nil
	}
	return c.head, nil
}

// pull takes the next message that comes, and asks for a page where it has to.
func (c *cursor) pull(ctx context.Context) error {
	if c.page == nil {
		if err := c.ask(ctx); err != nil {
			c.close()
			return err
		}
	}
	m, err := c.page.next(ctx)
	if err == nil {
		return c.take(m)
	}
	c.close()
	switch cut := errors.Is(err, errCut); {
	case c.given && (cut || errors.Is(err, errEnd)):
		return c.pull(ctx) // what is missing comes with the next page
	case errors.Is(err, errEnd):
		return errNone
	}
	return err
}

// ask asks for a page. It begins with what was read last: while that is there, nothing of what comes
// behind it has expired, or was purged from the oldest on.
func (c *cursor) ask(ctx context.Context) (err error) {
	r := directget.Request{NextFor: c.filter, Seq: c.next, Batch: aheadMessages / c.share, MaxBytes: aheadBytes / c.share}
	switch {
	case c.start != nil:
		r.Seq, r.StartTime = 0, c.start
	case c.before != nil:
		r.Seq, r.MaxBytes = c.before.Sequence, r.MaxBytes+c.before.size
	}
	if c.page, err = c.source.ask(r); err != nil {
		return err
	}
	c.given = false
	if c.before == nil {
		return nil
	}
	m, err := c.page.next(ctx)
	if err == nil && (m.Sequence != c.before.Sequence || !m.Stored.Equal(c.before.Stored)) {
		return c.overtaken(c.before.Sequence)
	}
	return err
}

// take has m be the next message.
func (c *cursor) take(m *Message) error {
	if c.before == nil {
		if c.first > 1 && m.Sequence != c.first {
			return c.overtaken(c.first)
		}
		c.total = c.page.more + 1
	}
	c.head, c.before, c.given, c.start, c.next = m, m, true, nil, m.Sequence+1
	return nil
}

// overtaken is the error of a message that is not there any more though the last one is: what was behind it may have
// gone with it.
func (c *cursor) overtaken(sequence uint64) error {
	return fmt.Errorf("stream %s: this is not all: what it held of %s went while it was read, sequence %d and maybe what came behind it",
		c.source.Stream, c.filter, sequence)
}

// isBefore reports whether all of it was stored before the start.
func (c *cursor) isBefore() bool { return c.start != nil && c.end.Before(*c.start) }

// gone is the error of a last message that is not there any more: what was to be read was purged, has
// expired, or went with a stream that was made anew. Or the server that answers does not have it yet.
func (c *cursor) gone() error {
	return fmt.Errorf("stream %s: this is not all: what it held of %s, up to sequence %d, went while it was read, or the server that answers is behind",
		c.source.Stream, c.filter, c.last)
}

// pop takes what peek returned.
func (c *cursor) pop() { c.head = nil }

// close gives up the page that is being read.
func (c *cursor) close() {
	if c.page != nil {
		c.page.close()
		c.page = nil
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// merged is several cursors as one.
type merged []*cursor

// open returns what reads filters, which do not overlap, from a time on, or without
// one from a sequence on.
func (s *Source) open(ctx context.Context, filters []string, from time.Time, first uint64) (merged, error) {
	var all merged
	for _, filter := range filters {
		c, err := s.newCursor(ctx, filter)
		if err != nil {
			return nil, err
		}
		if c == nil && first > 1 || c != nil && c.last < first {
			return nil, fmt.Errorf("stream %s: this is not all: sequence %d of %s went while it was read", s.Stream, first, filter)
		}
		if c != nil {
			if c.next, c.first = first, first; !from.IsZero() {
				c.start = &from
			}
			all = append(all, c)
		}
	}
	for _, c := range all {
		c.share = len(all)
	}
	return all, nil
}

// next takes the message of the lowest sequence, nil at the end.
func (all merged) next(ctx context.Context) (*Message, error) {
	var first *Message
	var of *cursor
	for _, c := range all {
		m, err := c.peek(ctx)
		if err != nil {
			return nil, err
		}
		if m != nil && (first == nil || m.Sequence < first.Sequence) {
			first, of = m, c
		}
	}
	if of != nil {
		of.pop()
	}
	return first, nil
}

// close ends the reading.
func (all merged) close() {
	for _, c := range all {
		c.close()
	}
}

// total is about how many messages there are.
func (all merged) total() (n uint64) {
	for _, c := range all {
		n += c.total
	}
	return n
}
