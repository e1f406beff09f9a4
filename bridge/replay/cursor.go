package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/directget"
)

// cursor reads what is on one subject, which may have wildcards, in the order
// of the stream, a page at a time.
type cursor struct {
	source *Source
	filter string
	start  *time.Time // of the first page; nil: the beginning
	next   uint64     // of the following pages
	last   uint64     // what the stream held when the cursor was made ends here
	page   []Message
	total  uint64 // as the first page told: what came after last included
	begun  bool
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
	return &cursor{source: s, filter: filter, last: m.Sequence}, nil
}

// peek returns the next message, nil at the end.
func (c *cursor) peek(ctx context.Context) (*Message, error) {
	for behind := 0; len(c.page) == 0 && c.next <= c.last; {
		more, err := c.turn(ctx)
		switch {
		case err != nil:
			return nil, err
		case len(c.page) > 0 || !more:
			continue
		}
		// The replica that answered has not all of the stream yet.
		if behind++; behind == attempts {
			return nil, fmt.Errorf("stream %s: the server that answers is behind: it has nothing of %s from %d to %d",
				c.source.Stream, c.filter, c.next, c.last)
		}
		if err := pause(ctx, retryWait); err != nil {
			return nil, err
		}
	}
	if len(c.page) == 0 || c.page[0].Sequence > c.last {
		return nil, nil
	}
	return &c.page[0], nil
}

// turn fetches the next page. Without more there is nothing to fetch; with
// more and an empty page it may be tried again.
func (c *cursor) turn(ctx context.Context) (more bool, err error) {
	r := directget.Request{NextFor: c.filter, Seq: c.next, Batch: pageMessages, MaxBytes: pageBytes}
	if c.start != nil {
		r.Seq, r.StartTime = 0, c.start
	}
	page, left, err := c.source.getAnswered(ctx, r)
	if errors.Is(err, errNone) {
		return c.vanished(ctx)
	}
	if err != nil {
		return false, err
	}
	if !c.begun {
		c.begun, c.total = true, uint64(len(page))+left
	}
	c.page, c.start = page, nil
	if len(page) > 0 {
		c.next = page[len(page)-1].Sequence + 1
	}
	return true, nil
}

// vanished asks why there is nothing more although the last is not reached:
// it was stored before the start, it is no longer there, or this server does
// not have it yet.
func (c *cursor) vanished(ctx context.Context) (more bool, err error) {
	m, err := c.source.last(ctx, c.filter)
	if err != nil && !errors.Is(err, errNone) {
		return false, err
	}
	if err == nil && m.Sequence >= c.last && (c.start == nil || !m.Stored.Before(*c.start)) {
		return true, nil
	}
	c.next = c.last + 1
	return false, nil
}

// pop takes what peek returned.
func (c *cursor) pop() { c.page = c.page[1:] }

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
		if c != nil {
			if c.next = first; !from.IsZero() {
				c.start = &from
			}
			all = append(all, c)
		}
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

// total is about how many messages there are.
func (all merged) total() (n uint64) {
	for _, c := range all {
		n += c.total
	}
	return n
}
