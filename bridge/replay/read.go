package replay

import (
	"context"
	"time"
)

// Progress is how far a reading has come.
type Progress struct {
	Read, Total uint64 // messages; Total is about how many there are
	At          time.Time
}

// Read calls each for the messages of a selection that the stream holds when it
// is called, in their order, and onProgress, if not nil, for each message read. at is
// when the bridge read the event or made the record; it is asked once, before each.
// Read returns when it has read the last, ctx ends, or each returns an error.
//
// A stream is in the order in which it stored, and what waited in an outbox was
// stored late. So it is read from the moment From on, for nothing is stored
// before it is read; and past To until each server has shown something later
// than To, or has no more.
func (s *Source) Read(ctx context.Context, sel Selection, at func(*Message) time.Time, onProgress func(Progress), each func(*Message) error) error {
	p, err := sel.plan(ctx, s)
	if err != nil {
		return err
	}
	from := sel.From
	if !from.IsZero() {
		from = from.Add(-clockSlack)
	}
	return s.scan(ctx, p.filters, from, 1, onProgress, func(m *Message) (more bool, err error) {
		if p.match != nil && !p.match(m.Subject) {
			return true, nil
		}
		when := at(m)
		switch {
		case !sel.From.IsZero() && when.Before(sel.From):
			return true, nil
		case !sel.To.IsZero() && !when.Before(sel.To):
			return !p.over(&sel, m, when), nil
		}
		return true, each(m)
	})
}

// scan hands what the stream holds on these subjects from a time on, or without
// one from a sequence on, to each, in order, until that has enough, and says before
// each how far it is.
func (s *Source) scan(
	ctx context.Context, filters []string, from time.Time, first uint64, onProgress func(Progress), each func(*Message) (more bool, err error),
) error {
	all, err := s.open(ctx, filters, from, first)
	if err != nil {
		return err
	}
	defer all.close()
	for n := uint64(1); ; n++ {
		m, err := all.next(ctx)
		if m == nil || err != nil {
			return err
		}
		if onProgress != nil {
			onProgress(Progress{Read: n, Total: all.total(), At: m.Stored})
		}
		if more, err := each(m); !more || err != nil {
			return err
		}
	}
}

// over reports whether nothing before To can follow m, which is not before it. A clock that was
// ahead for a moment does not end it: nothing is stored before it is read.
func (p *plan) over(sel *Selection, m *Message, when time.Time) bool {
	if p.servers == nil {
		return false
	}
	if end := sel.To.Add(clockSlack); when.After(end) && m.Stored.After(end) {
		server, _ := sel.parts(m.Subject)
		delete(p.servers, server)
	}
	for server, last := range p.servers {
		if last <= m.Sequence {
			delete(p.servers, server)
		}
	}
	return len(p.servers) == 0
}
