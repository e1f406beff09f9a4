package replay

import (
	"context"
	"errors"
	"time"
)

const (
	// beginSlack is how far Asterisk's clock may be from the bridge's, each way.
	// What is near is looked for first.
	beginSlack, nearSlack = 5 * time.Minute, 30 * time.Second
	// mentionWithin is how soon a call that had begun before the stream does, or
	// whose first event is not there, has to be onProgress of.
	mentionWithin = time.Minute
	// linger is how long after the last Hangup a call's own last events come,
	// such as Cdr and BridgeDestroy.
	linger = nameSlack
	// A call that no event names for so long is over, though a Hangup is
	// missing; sooner if there was a Gap in which it may have been.
	silence, silenceAfterGap = 2 * time.Hour, 10 * time.Minute
)

// errEnough ends a reading.
var errEnough = errors.New("enough")

// ReadCall calls each for the events of call and for the Gaps while it lasted, in which
// others of its events may be missing, server by server, each in the order
// of the stream, and onProgress, if not nil, for each message read. It begins at the
// call's first channel, which is near the time that the Linkedid names unless
// sel.From says where to look, and ends when the last channel has hung up. A
// server's events are read twice: what belongs to a call is known at its end.
func (s *Source) ReadCall(ctx context.Context, sel Selection, call *Call, onProgress func(Progress), each func(*Event) error) error {
	begins, err := s.begins(ctx, &sel, call, onProgress)
	if err != nil {
		return err
	}
	for server, first := range begins {
		one := Selection{Prefix: sel.Prefix, Kind: sel.Kind, Servers: []string{server}, To: sel.To}
		last, err := s.learn(ctx, &one, call, first, onProgress)
		if err != nil {
			return err
		}
		err = s.scan(ctx, []string{one.Wide()}, time.Time{}, first, onProgress, func(m *Message) (more bool, err error) {
			if m.Sequence > last {
				return false, nil
			}
			if e := one.EventOf(m); e.IsGap() || call.Has(&e) {
				return true, each(&e)
			}
			return true, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// begins finds the first event of call on each server that has it.
func (s *Source) begins(ctx context.Context, sel *Selection, call *Call, onProgress func(Progress)) (map[string]uint64, error) {
	first := *sel
	first.Names = []string{"Newchannel"}
	began, known := call.Began()
	if !known || !sel.From.IsZero() {
		found, err := s.mentions(ctx, first, call, onProgress, never)
		if len(found) > 0 || err != nil {
			return found, err
		}
		return s.mentions(ctx, *sel, call, onProgress, never)
	}
	for _, slack := range []time.Duration{nearSlack, beginSlack} {
		first.From = began.Add(-slack)
		found, err := s.mentions(ctx, first, call, onProgress, began.Add(slack+clockSlack).Before)
		if len(found) > 0 || err != nil {
			return found, err
		}
	}
	some := *sel
	some.From = began.Add(-nearSlack)
	var limit time.Time
	return s.mentions(ctx, some, call, onProgress, func(read time.Time) bool {
		if limit.IsZero() {
			limit = began.Add(mentionWithin)
			if read.After(began) {
				limit = read.Add(mentionWithin)
			}
		}
		return read.After(limit)
	})
}

func never(time.Time) bool { return false }

// mentions finds the first event that a selection has of call on each server. It
// ends before the selection does where enough says so for the time at which an
// event was read, on whatever server, and soon after the first that it finds.
func (s *Source) mentions(
	ctx context.Context, sel Selection, call *Call, onProgress func(Progress), enough func(read time.Time) bool,
) (map[string]uint64, error) {
	found := make(map[string]uint64)
	var since time.Time // the first was found
	err := s.Read(ctx, sel, ReadAt, onProgress, func(m *Message) error {
		e := sel.EventOf(m)
		if enough(e.by()) || len(found) > 0 && e.by().After(since.Add(beginSlack)) {
			return errEnough
		}
		if found[e.Server] == 0 && call.Learn(&e) {
			if found[e.Server] = m.Sequence; len(found) == 1 {
				since = e.by()
			}
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return found, err
}

// learn has call learn of a server's events from the first on, and returns the
// sequence of the last that may be the call's.
func (s *Source) learn(ctx context.Context, sel *Selection, call *Call, first uint64, onProgress func(Progress)) (last uint64, err error) {
	var lastOfCall, ended time.Time // of the call; since when all of it has hung up
	gap := false                    // since it was last named
	err = s.scan(ctx, []string{sel.Wide()}, time.Time{}, first, onProgress, func(m *Message) (more bool, err error) {
		e := sel.EventOf(m)
		quiet := silence
		if gap {
			quiet = silenceAfterGap
		}
		switch {
		case !sel.To.IsZero() && !e.by().Before(sel.To),
			!ended.IsZero() && e.by().After(ended.Add(linger)),
			!lastOfCall.IsZero() && e.by().After(lastOfCall.Add(quiet)):
			return false, nil
		}
		last = m.Sequence
		switch {
		case e.IsGap():
			gap = true
		case call.Learn(&e):
			lastOfCall, gap = e.by(), false
		}
		if ended.IsZero() && call.over(&e) {
			ended = e.by()
		} else if !call.over(&e) {
			ended = time.Time{}
		}
		return true, nil
	})
	return last, err
}
