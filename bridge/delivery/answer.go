package delivery

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

// answer is what JetStream says of a message that was published: nats-server's
// JSPubAckResponse, or the BatchFlowAck, BatchFlowGap or BatchFlowErr of fast
// ingest (ADR-50). What it holds lies in the message it was read from.
type answer struct {
	kind     []byte // type: ack, gap or err of fast ingest; else nil
	stream   []byte
	batch    []byte
	sequence uint64 // in the batch if there is a kind, else in the stream
	messages uint64 // msgs: one acknowledgement comes for so many
	count    uint64 // of the batch, stored
	repeat   bool   // duplicate
	domain   []byte // of JetStream, that the stream is in; nil if it has none
	err      []byte // the error as JSON, nil without one
}

// stored reports whether the stream of events says that it holds the message.
// A refusal has a stream and a seq too, which is 0 and means nothing.
func (a *answer) stored() bool {
	return a.err == nil && a.kind == nil && a.sequence > 0 && string(a.stream) == streams.EventStream
}

// refusal reads the error of a, nil without one.
func (a *answer) refusal() *natsconn.Refusal {
	switch {
	case a.err != nil && len(a.stream) > 0 && string(a.stream) != streams.EventStream: // it says nothing of ours
		return &natsconn.Refusal{Code: natsconn.StreamNotMatch, Description: fmt.Sprintf("stream %.40q has its subject", a.stream)}
	case a.err != nil:
		r := new(natsconn.Refusal)
		if json.Unmarshal(a.err, r) != nil {
			r.Description = fmt.Sprintf("%.100q", a.err)
		}
		return r
	case a.kind == nil && a.sequence == 0 && string(a.stream) == streams.EventStream:
		return &natsconn.Refusal{Description: "it answered without a sequence"}
	}
	return nil
}

// parseAnswer reads body, which must be one JSON object, in whatever order and
// with whatever else it holds. It reports false for anything else, and where a
// field that counts is of another type or is there twice. It allocates nothing.
func parseAnswer(body []byte) (a answer, ok bool) {
	s := scanner{text: body}
	if !s.token('{') {
		return answer{}, false
	}
	for seen, first := 0, true; !s.token('}'); first = false {
		if !first && !s.token(',') {
			return answer{}, false
		}
		key := s.string()
		if !s.token(':') {
			return answer{}, false
		}
		field := a.read(&s, key)
		if s.failed || seen&field != 0 {
			return answer{}, false
		}
		seen |= field
	}
	return a, s.end()
}

// The fields that count.
const (
	fieldType = 1 << iota
	fieldStream
	fieldBatch
	fieldSequence
	fieldMessages
	fieldCount
	fieldRepeat
	fieldError
	fieldDomain
)

// read reads the value of key and returns which field that is, 0 for one that
// does not count. The server's keys are plain; one with an escape is another.
func (a *answer) read(s *scanner, key []byte) int {
	switch string(key) {
	case "type":
		a.kind = s.string()
		return fieldType
	case "stream":
		a.stream = s.string()
		return fieldStream
	case "batch":
		a.batch = s.string()
		return fieldBatch
	case "seq":
		a.sequence = s.uint()
		return fieldSequence
	case "msgs":
		a.messages = s.uint()
		return fieldMessages
	case "count":
		a.count = s.uint()
		return fieldCount
	case "duplicate":
		text := s.value(0)
		a.repeat = string(text) == "true"
		s.failed = s.failed || !a.repeat && string(text) != "false"
		return fieldRepeat
	case "domain":
		a.domain = s.string()
		return fieldDomain
	case "error":
		if a.err = s.value(0); string(a.err) == "null" {
			a.err = nil
		}
		return fieldError
	}
	s.value(0)
	return 0
}

// scanner reads JSON from the front of text. After what it does not understand
// it has failed, and reads no more.
type scanner struct {
	text   []byte
	failed bool
}

// maxAnswerDepth is how deep what does not count may be nested: two are used.
const maxAnswerDepth = 16

func (s *scanner) blank() {
	for len(s.text) > 0 && (s.text[0] == ' ' || s.text[0] == '\t' || s.text[0] == '\n' || s.text[0] == '\r') {
		s.text = s.text[1:]
	}
}

// token reports whether c comes next, and takes it.
func (s *scanner) token(c byte) bool {
	s.blank()
	if s.failed || len(s.text) == 0 || s.text[0] != c {
		return false
	}
	s.text = s.text[1:]
	return true
}

// end reports whether all was read and understood.
func (s *scanner) end() bool {
	s.blank()
	return !s.failed && len(s.text) == 0
}

// cut takes the first n bytes.
func (s *scanner) cut(n int) (cut []byte) {
	cut, s.text = s.text[:n:n], s.text[n:]
	return cut
}

func (s *scanner) fail() []byte {
	s.failed = true
	return nil
}

// string reads a string and returns what is between the quotes, escapes as they
// are; it is never nil.
func (s *scanner) string() []byte {
	if !s.token('"') {
		return s.fail()
	}
	for i := 0; i < len(s.text); i++ {
		switch c := s.text[i]; {
		case c == '"':
			text := s.cut(i)
			s.text = s.text[1:]
			return text
		case c == '\\':
			i++
		case c < ' ':
			return s.fail()
		}
	}
	return s.fail()
}

// uint reads a number without a sign, fraction or exponent.
func (s *scanner) uint() (n uint64) {
	s.blank()
	digits := 0
	for ; digits < len(s.text) && s.text[digits] >= '0' && s.text[digits] <= '9'; digits++ {
		d := uint64(s.text[digits] - '0')
		if n > (math.MaxUint64-d)/10 {
			s.fail()
			return 0
		}
		n = n*10 + d
	}
	rest := s.text[digits:]
	zeros := digits > 1 && s.text[0] == '0'
	if digits == 0 || zeros || len(rest) > 0 && (rest[0] == '.' || rest[0]|0x20 == 'e') {
		s.fail()
		return 0
	}
	s.text = rest
	return n
}

// value reads any value and returns its text.
func (s *scanner) value(depth int) []byte {
	s.blank()
	if len(s.text) == 0 || depth > maxAnswerDepth {
		return s.fail()
	}
	all := s.text
	switch all[0] {
	case '"':
		s.string()
	case '{', '[':
		s.nested(depth)
	default:
		if !s.word() {
			return s.fail()
		}
	}
	n := len(all) - len(s.text)
	return all[:n:n]
}

// word reads a number, true, false or null. It does not mind how often a number
// has a sign or a point: none that is read so counts.
func (s *scanner) word() bool {
	for _, w := range [...]string{"true", "false", "null"} {
		if len(s.text) >= len(w) && string(s.text[:len(w)]) == w {
			s.cut(len(w))
			return true
		}
	}
	n := 0
	for n < len(s.text) && (s.text[n] >= '0' && s.text[n] <= '9' || n == 0 && s.text[n] == '-' ||
		n > 0 && bytes.IndexByte([]byte("+-.eE"), s.text[n]) >= 0) {
		n++
	}
	s.cut(n)
	return n > 0
}

// nested reads an object or an array.
func (s *scanner) nested(depth int) {
	object := s.text[0] == '{'
	end := s.text[0] + 2 // of ASCII: { } and [ ]
	s.cut(1)
	for first := true; !s.token(end); first = false {
		if !first && !s.token(',') {
			s.fail()
			return
		}
		if object {
			if s.string(); !s.token(':') {
				s.fail()
				return
			}
		}
		if s.value(depth + 1); s.failed {
			return
		}
	}
}
