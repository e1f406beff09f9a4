package present

import (
	"bytes"
	"encoding/binary"
	"time"
	"unicode/utf8"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// maxField is how long one field of a value may be, in bytes; a longer one is cut.
// Asterisk's own names end far below it. An id is never cut: what has a longer one
// is refused.
const maxField = 1024

// packed is the fields of an object, in the order of its kind: for each two bytes,
// 0 if it has none or its length and 1, and its text. So an object is one piece of
// memory, and whether an event changes it is one walk. Its text is UTF-8.
type packed []byte

// next returns the first field of p, nil if it has none, and the others.
func (p packed) next() (value []byte, has bool, rest packed) {
	if len(p) < 2 {
		return nil, false, nil
	}
	n := int(binary.BigEndian.Uint16(p))
	if n == 0 {
		return nil, false, p[2:]
	}
	return p[2 : 1+n], true, p[1+n:]
}

// field returns the i'th field of p.
func (p packed) field(i int) (value []byte, has bool) {
	for ; i >= 0; i-- {
		value, has, p = p.next()
	}
	return value, has
}

func appendField(dst packed, value []byte, has bool) packed {
	if !has {
		return append(dst, 0, 0)
	}
	if len(value) > maxField {
		end := maxField
		for end > maxField-utf8.UTFMax && !utf8.RuneStart(value[end]) {
			end--
		}
		value = value[:end]
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(value)+1))
	return append(dst, value...)
}

// changesTo reports whether top has a field that base has otherwise.
func (p packed) changesTo(top packed) bool {
	for len(top) > 0 {
		var old, value []byte
		var had, has bool
		old, had, p = p.next()
		value, has, top = top.next()
		if has && (!had || !bytes.Equal(old, value)) {
			return true
		}
	}
	return false
}

// overlay appends the n fields of top, and where it has none those of base.
func overlay(dst, base, top packed, n int) packed {
	for range n {
		var old, value []byte
		var had, has bool
		old, had, base = base.next()
		value, has, top = top.next()
		if !has {
			value, has = old, had
		}
		dst = appendField(dst, value, has)
	}
	return dst
}

// but appends p without the fields of which told has the bits.
func (p packed) but(dst packed, fields uint32) packed {
	for i := 0; len(p) > 0; i++ {
		var value []byte
		var has bool
		value, has, p = p.next()
		dst = appendField(dst, value, has && fields&(1<<i) == 0)
	}
	return dst
}

// with appends p with its i'th field set.
func (p packed) with(dst packed, i, n int, value []byte) packed {
	for j := range n {
		var old []byte
		var had bool
		old, had, p = p.next()
		if j == i {
			old, had = value, true
		}
		dst = appendField(dst, old, had)
	}
	return dst
}

// appendValue appends o as a flat JSON object of strings.
func (o *object) appendValue(dst []byte) []byte {
	dst = append(dst, '{')
	p := o.vals
	for _, f := range kinds[o.kind].fields {
		value, has, rest := p.next()
		p = rest
		if has {
			dst = appendName(dst, f.name)
			dst, _ = frames.AppendJSONString(dst, value, frames.UTF8)
			dst = append(dst, ',')
		}
	}
	if o.since != 0 {
		dst = append(appendTime(appendName(dst, "Since"), o.since), ',')
	}
	if o.until != 0 {
		dst = append(appendTime(appendName(dst, "Until"), o.until), ',')
	}
	dst = append(appendTime(appendName(dst, "At"), o.at), ',')
	dst = append(appendName(dst, "Source"), '"')
	return append(append(dst, o.source...), '"', '}')
}

func appendName(dst []byte, name string) []byte {
	dst = append(append(dst, '"'), name...)
	return append(dst, '"', ':')
}

// appendTime appends a point in Unix nanoseconds.
func appendTime(dst []byte, at int64) []byte {
	dst = append(dst, '"')
	dst = time.Unix(0, at).UTC().AppendFormat(dst, clock.Format)
	return append(dst, '"')
}

// text returns value as UTF-8: what no text is in c becomes U+FFFD, as in the
// events. scratch is for what must be written anew.
func text(value []byte, c frames.Charset, scratch *[]byte) []byte {
	if isASCII(value) || c == frames.UTF8 && utf8.Valid(value) {
		return value
	}
	from := len(*scratch)
	if c == frames.Latin1 {
		for _, b := range value {
			*scratch = utf8.AppendRune(*scratch, rune(b))
		}
		return (*scratch)[from:]
	}
	for _, r := range string(value) {
		*scratch = utf8.AppendRune(*scratch, r)
	}
	return (*scratch)[from:]
}

// isASCII is inlined, and quicker than utf8.Valid for what is as short as a field.
func isASCII(value []byte) bool {
	for _, b := range value {
		if b >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// appendC appends value as ast_escape_c (main/utils.c) has it, which Asterisk since
// 13.5 has been through with the names in a channel's block.
func appendC(dst, value []byte) []byte {
	const special, letters = "\a\b\f\n\r\t\v\\'\"?", "abfnrtv\\'\"?"
	for _, c := range value {
		if i := bytes.IndexByte([]byte(special), c); i >= 0 {
			dst = append(dst, '\\', letters[i])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}
