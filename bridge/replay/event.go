package replay

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"
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

// line is an event, or another message, in one line of JSON.
type line struct {
	Subject string          `json:"subject"`
	Seq     uint64          `json:"seq,omitempty"`
	Time    string          `json:"time,omitempty"`
	Stored  string          `json:"stored,omitempty"`
	AmiSeq  string          `json:"ami_seq,omitempty"`
	Event   json.RawMessage `json:"event,omitempty"`
	Record  json.RawMessage `json:"record,omitempty"`
	Status  json.RawMessage `json:"status,omitempty"` // of whatever is neither
	Raw     string          `json:"raw,omitempty"`    // a payload that is no JSON
}

// AppendJSON appends e as one line of JSON.
func (e *Event) AppendJSON(dst []byte) ([]byte, error) {
	l := lineOf(e.Message, e.Read)
	l.AmiSeq = e.Header.Get("Ami-Seq")
	if l.Raw == "" {
		l.Event = e.Data
	}
	return l.appendTo(dst)
}

// AppendLive appends a message that no stream was asked for as one line of JSON,
// its kind being events, audit or any other token behind the prefix of its
// subject. It has no sequence, and at, RFC 3339, or none, for its time.
func (m *Message) AppendLive(dst []byte, kind, at string) ([]byte, error) {
	l := line{Subject: m.Subject, Time: at, AmiSeq: m.Header.Get("Ami-Seq")}
	switch {
	case !json.Valid(m.Data):
		l.Raw = string(m.Data)
	case kind == "events":
		l.Event = m.Data
	case kind == "audit":
		l.Record = m.Data
	default:
		l.Status = m.Data
	}
	return l.appendTo(dst)
}

func lineOf(m *Message, at time.Time) line {
	l := line{
		Subject: m.Subject, Seq: m.Sequence, Time: at.Format(time.RFC3339Nano), Stored: m.Stored.Format(time.RFC3339Nano),
	}
	if !json.Valid(m.Data) {
		l.Raw = string(m.Data)
	}
	return l
}

func (l *line) appendTo(dst []byte) ([]byte, error) {
	out := bytes.NewBuffer(dst)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(l); err != nil {
		return dst, err
	}
	return out.Bytes(), nil
}
