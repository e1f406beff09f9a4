package present

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// Run is one list under way. Parts are its own goroutine's until it is handed to
// Apply or Fail, of which each Run needs one.
type Run struct {
	ask      Ask
	mark     uint64 // the watermark
	before   bool   // it ends what is left from before the login, and nothing else
	epoch    uint64 // of the event session
	number   uint64
	asked    time.Duration
	scope    string // as in an index; "" for all
	in       input
	items    []listed
	bytes    int64
	limit    int64
	events   int // items that Asterisk counts
	complete bool
	counted  int // ListItems, -1 if it does not say
	cut      string
	lacks    string // the id without which an item names nothing
	applied  int    // how many of its items were
}

// listed is what an item said of an object.
type listed struct {
	kind  Kind
	index string
	vals  packed
	since int64
	until int64
	at    time.Time
	sip   bool
}

// errShort is a part that is no event.
var errShort = errors.New("the list came incomplete")

// Begin takes the watermark for a list. The caller queues its Action behind that: what
// the list says is then at least as new as the last event that Reduce had seen.
func (p *Present) Begin(ask Ask, now time.Time) *Run {
	p.enter(now)
	defer p.mu.Unlock()
	p.runs++
	if !p.isOpen(ask.List) {
		p.lists[ask.List].window++
	}
	r := &Run{
		ask: ask, mark: p.events, epoch: p.session.epoch, number: p.runs, asked: p.now,
		limit: p.opts.MaxBytes, counted: -1,
	}
	r.in.charset = frames.UTF8
	p.open = append(p.open, r)
	if ask.Scope != "" {
		r.scope = string(appendIndex(nil, [][]byte{[]byte(ask.Scope)}))
	}
	return r
}

// Part collects an event of the list, as JSON, the one that completes it included,
// that came at now. What is no item of the list, such as the AuthDetail between
// registrations, is passed over. It keeps nothing of event.
func (r *Run) Part(event []byte, now time.Time) {
	headers, err := headersOf(event)
	if err != nil {
		r.cut = err.Error()
		return
	}
	f := frames.Frame{Headers: headers}
	name := string(f.Name())
	l := &lists[r.ask.List]
	if strings.EqualFold(name, l.complete) {
		r.complete = true
		if n := f.Get("ListItems"); n != nil {
			r.counted = number(n)
		}
		return
	}
	for _, i := range l.items {
		if i.event == name {
			r.events++
			r.collect(&f, i, now)
			return
		}
	}
}

func (r *Run) collect(f *frames.Frame, i item, now time.Time) {
	r.in.reset(f, now)
	r.in.isList = true
	if i.trim != nil {
		i.trim(&r.in)
	}
	if !r.in.read(i.kind) {
		r.lacks = cmp.Or(r.lacks, r.in.lacks)
		return // it names no object
	}
	r.bytes += int64(len(r.in.idBuf) + len(r.in.vals))
	if r.bytes > r.limit {
		r.cut = "the list is larger than the state may be"
		r.items = nil
		return
	}
	r.items = append(r.items, listed{
		i.kind, string(r.in.idBuf), bytes.Clone(r.in.vals), r.in.since, r.in.until, now, r.in.sip,
	})
}

// short says why the list is not to be believed, "" if it is: what Asterisk
// could not write within 100 ms is missing from it, though the end is there
// (manager.c astman_append).
func (r *Run) short() string {
	switch {
	case r.cut != "":
		return r.cut
	case !r.complete:
		return "cut: it has no end"
	case r.lacks != "" && len(r.items) == 0:
		return "cut: items without " + r.lacks
	case r.counted > r.events:
		return fmt.Sprintf("cut: %d of %d came", r.events, r.counted)
	}
	return ""
}

// headersOf returns the members of a flat JSON object of strings and arrays of
// strings.
func headersOf(event []byte) ([]frames.Header, error) {
	d := json.NewDecoder(bytes.NewReader(event))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errShort
	}
	headers := make([]frames.Header, 0, 32)
	for d.More() {
		key, err := d.Token()
		name, isText := key.(string)
		if err != nil || !isText {
			return nil, errShort
		}
		var value any
		if err := d.Decode(&value); err != nil {
			return nil, errShort
		}
		all, _ := value.([]any)
		if all == nil {
			all = []any{value}
		}
		for _, one := range all {
			s, isText := one.(string)
			if !isText {
				return nil, errShort
			}
			headers = append(headers, frames.Header{Key: []byte(name), Value: append([]byte{}, s...)})
		}
	}
	return headers, nil
}
