package replay

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// Event is an event of Asterisk, or a Gap, as the stream keeps it.
type Event struct {
	*Message
	Server, Name string // as in the subject
	Read         time.Time
	Session      string // of the login that it came by
	Number       uint64 // among that session's events; 0 for a Gap
}

// EventOf reads m, a message of the selection. What has no headers of the
// bridge's, for somebody else published it, counts as read when it was stored.
func (s *Selection) EventOf(m *Message) Event {
	e := Event{Message: m, Read: ReadAt(m)}
	e.Server, e.Name = s.parts(m.Subject)
	session, n, _ := strings.Cut(m.Header.Get("Ami-Seq"), ":")
	number, err := strconv.ParseUint(n, 10, 64)
	if err == nil {
		e.Session, e.Number = session, number
	}
	return e
}

// ReadAt is when the bridge read an event.
func ReadAt(m *Message) time.Time {
	if t, err := time.Parse(time.RFC3339, m.Header.Get("Ami-Time")); err == nil {
		return t
	}
	return m.Stored
}

// by is when e was read at the latest. A clock that was ahead said later, but nothing is stored
// before it is read.
func (e *Event) by() time.Time {
	if e.Stored.Before(e.Read) {
		return e.Stored
	}
	return e.Read
}

// IsGap reports whether e is a Gap event.
func (e *Event) IsGap() bool { return e.Name == "Gap" }

// Gap is what a Gap event says of a gap.
type Gap struct{ From, To, Reason, Lost, Restarted string }

// Gap returns what e says, which is a Gap.
func (e *Event) Gap() (g Gap) {
	if json.Unmarshal(e.Data, &g) != nil {
		return Gap{Lost: "unknown"}
	}
	return g
}

// Gaps sums up what Gaps say.
type Gaps struct {
	Count   uint64
	Lost    uint64 // events
	Unknown uint64 // Gaps that do not say how many
}

// Add takes in e, if it is a Gap.
func (g *Gaps) Add(e *Event) {
	if !e.IsGap() {
		return
	}
	g.Count++
	if n, err := strconv.ParseUint(e.Gap().Lost, 10, 64); err == nil {
		g.Lost += n
	} else {
		g.Unknown++
	}
}

// Field is one header of an event: a name and its values, of which only a
// repeated header has more than one.
type Field struct {
	Name   string
	Values []string
}

// Fields returns the members of a flat JSON object in their order; nil if data
// is none.
func Fields(data []byte) (fields []Field) {
	d := json.NewDecoder(bytes.NewReader(data))
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return nil
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return nil
		}
		fields = append(fields, Field{name.(string), valuesOf(value)})
	}
	return fields
}

// valuesOf are the strings in value; anything else is its own JSON.
func valuesOf(value json.RawMessage) []string {
	var one string
	var many []string
	switch {
	case json.Unmarshal(value, &one) == nil:
		return []string{one}
	case json.Unmarshal(value, &many) == nil:
		return many
	}
	return []string{string(value)}
}

// AppendJSON appends e as one line of JSON.
func (e *Event) AppendJSON(dst []byte) []byte {
	dst = e.appendPlace(dst, e.Read)
	return e.appendPayload(appendText(dst, "ami_seq", e.Header.Get("Ami-Seq")), "event")
}

// AppendLive appends a message that no stream was asked for as one line of JSON,
// its kind being events, audit or any other token behind the prefix of its
// subject. It has no sequence, and at, RFC 3339, or none, for its time.
func (m *Message) AppendLive(dst []byte, kind, at string) []byte {
	dst = appendText(appendText(append(dst, '{'), "subject", m.Subject), "time", at)
	dst = appendText(dst, "ami_seq", m.Header.Get("Ami-Seq"))
	switch kind {
	case "events":
		return m.appendPayload(dst, "event")
	case "audit":
		return m.appendPayload(dst, "record")
	}
	return m.appendPayload(dst, "status")
}

// appendPlace begins an object with where m stands in the stream, and the time
// at which it was read or made.
func (m *Message) appendPlace(dst []byte, at time.Time) []byte {
	dst = appendText(append(dst, '{'), "subject", m.Subject)
	dst = strconv.AppendUint(append(dst, `,"seq":`...), m.Sequence, 10)
	dst = at.AppendFormat(append(dst, `,"time":"`...), time.RFC3339Nano)
	dst = m.Stored.AppendFormat(append(dst, `","stored":"`...), time.RFC3339Nano)
	return append(dst, '"')
}

// appendPayload ends an object, and a line, with the payload: a member of that
// name, or raw if it is no JSON.
func (m *Message) appendPayload(dst []byte, name string) []byte {
	if isFlat(m.Data) {
		return append(append(appendName(dst, name), m.Data...), "}\n"...)
	}
	out := bytes.NewBuffer(appendName(dst, name))
	if json.Compact(out, m.Data) == nil {
		dst = out.Bytes()
	} else {
		dst = appendText(dst, "raw", string(m.Data))
	}
	return append(dst, "}\n"...)
}

// appendText appends a member, behind a comma where it is not the first, unless
// it is empty.
func appendText(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	dst, _ = frames.AppendJSONString(appendName(dst, name), []byte(value), frames.UTF8)
	return dst
}

func appendName(dst []byte, name string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return append(append(append(dst, '"'), name...), `":`...)
}
