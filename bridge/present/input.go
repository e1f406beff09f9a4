package present

import (
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// input is what one frame says of one object: headers, and what a rule knows better
// than they do. It is reused for each.
type input struct {
	headers []frames.Header
	from    int // where to begin: the block of a channel
	charset frames.Charset
	isList  bool
	at      time.Time

	set     [4]setting // by rules
	sets    int
	skip    bool   // a rule says that this frame tells nothing of the object
	effect  effect // as a rule may change it
	sip     bool   // chan_sip's, see listOf
	place   int    // of a caller who joins; 0: the last
	jumped  bool   // it was let in before others
	since   int64  // Unix nanoseconds, 0: the frame says nothing of it
	until   int64
	vals    packed // as read; reused
	fields  uint32 // the fields that vals has, one bit each
	idBuf   []byte // index; reused
	lacks   string // the header of an id that is not there, see read
	scratch []byte // values that were written anew; reused
}

// setting is a field with its value. A nil value leaves the field as it is held.
type setting struct {
	field int
	value []byte
}

// reset makes in ready for the next object of a frame.
func (in *input) reset(f *frames.Frame, at time.Time) {
	in.headers, in.from, in.at, in.isList = f.Headers, 0, at, false
	in.sets, in.skip, in.sip, in.place, in.jumped = 0, false, false, 0, false
	in.since, in.until = 0, 0
	in.scratch = in.scratch[:0]
}

// put sets a field, whatever the headers say of it.
func (in *input) put(field int, value []byte) {
	if in.sets < len(in.set) {
		in.set[in.sets] = setting{field, value}
		in.sets++
	}
}

// is reports whether a header is the one called name. Nearly always it is spelled
// so; Asterisk compares without case, and releases differ (Accountcode).
func is(key []byte, name string) bool {
	return len(key) == len(name) && (string(key) == name || equalFold(key, name))
}

func equalFold(key []byte, name string) bool {
	for i := range key {
		if lower(key[i]) != lower(name[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// get returns the first header called name, nil if there is none.
func (in *input) get(name string) []byte {
	for i := range in.headers {
		if is(in.headers[i].Key, name) {
			return in.headers[i].Value
		}
	}
	return nil
}

// find returns the next header of f, searched from at on and then from the start:
// headers stand in the order of the fields, so that most searches end at once.
func (in *input) find(f *field, at *int) (value []byte, has bool) {
	n := len(in.headers)
	i := *at
	for range n {
		if i >= n {
			i = 0
		}
		h := &in.headers[i]
		i++
		if is(h.Key, f.name) || f.also != "" && is(h.Key, f.also) {
			*at = i
			return h.Value, true
		}
	}
	return nil, false
}

// read packs what the frame says of an object of kind k into in.vals and its index
// into in.idBuf. It reports false if an id is missing, and in.lacks names it, or too long
// to be one.
func (in *input) read(k Kind) bool {
	row := &kinds[k]
	var ids [2][]byte
	in.vals, in.fields, in.lacks = in.vals[:0], 0, ""
	at := in.from
	for i := range row.fields {
		f := &row.fields[i]
		value, has := in.override(i)
		if !has && !f.own {
			value, has = in.find(f, &at)
		}
		if has = has && value != nil; has {
			value = text(value, in.charset, &in.scratch)
			if f.text && in.isList {
				value = in.listText(value)
			}
			in.fields |= 1 << i
		}
		if i < row.ids {
			if !has {
				in.lacks = f.name
				return false
			}
			ids[i] = value
		}
		in.vals = appendField(in.vals, value, has)
	}
	return in.index(ids[:row.ids])
}

// index makes the index of ids.
func (in *input) index(ids [][]byte) bool {
	for _, id := range ids {
		if len(id) == 0 || len(id) > maxField {
			return false
		}
	}
	in.idBuf = appendIndex(in.idBuf[:0], ids)
	return true
}

// indexOf is index, of ids as a frame has them.
func (in *input) indexOf(ids ...[]byte) bool {
	for i := range ids {
		ids[i] = text(ids[i], in.charset, &in.scratch)
	}
	return in.index(ids)
}

func (in *input) override(field int) (value []byte, has bool) {
	for i := range in.sets {
		if in.set[i].field == field {
			return in.set[i].value, true
		}
	}
	return nil, false
}

// listText returns value, which a QueueEntry has raw (app_queue.c
// manager_queues_status), in the spelling of the events.
func (in *input) listText(value []byte) []byte {
	if string(value) == "unknown" {
		return unknown
	}
	from := len(in.scratch)
	in.scratch = appendC(in.scratch, value)
	return in.scratch[from:]
}

var unknown = []byte("<unknown>")
