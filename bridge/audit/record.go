package audit

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/redact"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
)

// record is one message on ami.audit.<server>.<Action>. What is text of a
// caller or of Asterisk is bounded and has no secrets. docs/audit-records.md describes
// it; text writes it, in the order and by the rules of the tags.
type record struct {
	At            string          `json:"at"`
	Phase         string          `json:"phase"` // intent or outcome
	Ask           string          `json:"ask"`   // the same in all records of one request
	Node          string          `json:"node"`
	Server        string          `json:"server"` // or the endpoint's name while none is chosen
	Action        string          `json:"action"`
	Subject       string          `json:"subject"`
	Inbox         string          `json:"inbox"` // first token of the reply subject
	Requester     string          `json:"requester,omitempty"`
	RequestInfo   *requestInfo    `json:"nats_request_info,omitempty"`
	RequestID     string          `json:"request_id,omitempty"`
	BodyBytes     int             `json:"body_bytes"`
	Fields        json.RawMessage `json:"fields,omitempty"`
	FieldsOmitted int             `json:"fields_omitted,omitempty"`
	Decision      string          `json:"decision"` // allowed or refused
	Rule          string          `json:"rule,omitempty"`
	ActionID      string          `json:"action_id,omitempty"`
	Outcome       string          `json:"outcome,omitempty"` // answered, or the kind of the error
	Code          int             `json:"code,omitempty"`
	Sent          string          `json:"sent,omitempty"`
	Error         string          `json:"error,omitempty"`
	Response      string          `json:"response,omitempty"`
	Message       string          `json:"message,omitempty"`
	DurationMS    *float64        `json:"duration_ms,omitempty"`

	at    time.Time // of which At is made
	asked *Recorded // of which Requester and Fields are made
}

// requestInfo is what nats-server says of a caller in another account whose
// request came by a service import: its account always, the rest if the import
// shares it. Nobody else's header of that name is overwritten: a caller in the
// bridge's own account can write into it what it likes.
type requestInfo struct {
	Account string `json:"acc,omitempty"`
	Service string `json:"svc,omitempty"`
	User    string `json:"user,omitempty"`
	Name    string `json:"name,omitempty"`
	NameTag string `json:"name_tag,omitempty"`
	Issuer  string `json:"issuer_key,omitempty"`
	Host    string `json:"host,omitempty"`
	ID      uint64 `json:"id,omitempty"`
	Server  string `json:"server,omitempty"`
}

// Recorded is what the audit keeps of a request until it has ended: at most some
// 8 KiB. Several Actions of one request, to all servers, may share it.
type Recorded struct {
	id    string
	info  *requestInfo
	bytes int
	size  int // about what it holds, in bytes

	// A short request is kept as it was asked, so that neither its Action nor the next one
	// waits for its secrets to be hidden. The first of its records does so, on the journal's
	// goroutine.
	action  string
	claimed string
	asked   []Field

	concealed bool // made of these are the following
	requester string
	fields    json.RawMessage
	omitted   int
}

const (
	maxText        = 128
	maxRequestInfo = 4 << 10
)

// Request is a request for an Action as it is recorded. It is read only before the
// method that it is given to returns.
type Request struct {
	To, Subject        string
	Action             string
	Server             string // or the endpoint's name while none is chosen
	RequestID          string
	Received, Deadline time.Time
	Ended              time.Time // zero while it has not, or if that is now
	Intended           bool      // its intent is recorded
	Recorded           *Recorded // nil if nothing is recorded
}

// at is when what is recorded of a is so.
func (a *Request) at() time.Time {
	if a.Ended.IsZero() {
		return time.Now()
	}
	return a.Ended
}

// Size is about what k holds, in bytes.
func (k *Recorded) Size() int { return k.size }

// conceal hides what is secret in k, unless that is done.
func (k *Recorded) conceal(c concealer) {
	if k.concealed {
		return
	}
	k.concealed = true
	k.requester = c.text(k.claimed, MaxRequester)
	if k.asked != nil {
		k.fields, k.omitted = c.fields(k.action, k.asked)
	}
	k.asked, k.claimed = nil, ""
}

// Record returns what is to be recorded of a request for action that came as m, nil
// if nothing is. What could not be read has no fields.
func (d *Recorder) Record(m *nats.Msg, action, requester string, fields []Field, read bool) *Recorded {
	if d.off() {
		return nil
	}
	k := &Recorded{id: d.run + "-" + strconv.FormatUint(d.requests.Add(1), 10), bytes: len(m.Data), action: action, claimed: requester}
	if read {
		k.asked = append([]Field{}, fields...) // none is no nil: its record has {}
	}
	if k.size = len(k.claimed) + sizeOf(k.asked); k.size > maxFields {
		k.conceal(d.concealer)
		k.size = len(k.requester) + len(k.fields)
	}
	if values := m.Header.Values("Nats-Request-Info"); len(values) == 1 {
		k.info = d.requestInfo(values[0])
	}
	return k
}

// requestInfo reads the header, nil if it is none of nats-server's.
func (d *Recorder) requestInfo(header string) *requestInfo {
	var info requestInfo
	if len(header) > maxRequestInfo {
		return nil // nats-server's is of some 300 bytes
	}
	if err := json.Unmarshal([]byte(header), &info); err != nil || info == (requestInfo{}) {
		return nil
	}
	for _, s := range []*string{
		&info.Account, &info.Service, &info.User, &info.Name, &info.NameTag, &info.Issuer, &info.Host, &info.Server,
	} {
		*s = d.concealer.text(*s, maxText)
	}
	return &info
}

// begin returns what is known of a while it lasts. Its texts are still as they came.
func (d *Recorder) begin(a *Request) *record {
	inbox, _, _ := strings.Cut(a.To, ".")
	return &record{
		at: a.at(), Ask: a.Recorded.id, Node: d.node, Server: a.Server, Action: a.Action, Subject: a.Subject, Inbox: inbox,
		RequestInfo: a.Recorded.info, RequestID: a.RequestID, BodyBytes: a.Recorded.bytes, Decision: "allowed",
		asked: a.Recorded,
	}
}

// texts are those of r that are a caller's or Asterisk's, and their bounds.
func (r *record) texts() [8]boundedText {
	return [...]boundedText{
		{&r.Action, maxText}, {&r.Subject, maxText}, {&r.Inbox, maxText}, {&r.RequestID, MaxRequestID},
		{&r.Rule, maxValue}, {&r.Error, maxValue}, {&r.Response, maxText}, {&r.Message, maxValue},
	}
}

type boundedText struct {
	text *string
	most int
}

// recordOverhead is what the text of a record has besides the texts of others.
const recordOverhead = 384

// size is about what r holds, in bytes.
func (r *record) size() int {
	n := recordOverhead + r.asked.Size()
	for _, t := range r.texts() {
		n += len(*t.text)
	}
	return n
}

// conceal takes what is secret out of r, and bounds its texts.
func (r *record) conceal(c concealer) {
	asked := r.asked
	asked.conceal(c)
	r.At, r.Requester, r.Fields, r.FieldsOmitted = clock.Stamp(r.at), asked.requester, asked.fields, asked.omitted
	for _, t := range r.texts() {
		*t.text = c.text(*t.text, t.most)
	}
}

// hide takes all out of r that is a caller's or Asterisk's.
func (r *record) hide() {
	r.At, r.Requester, r.RequestInfo, r.Fields = clock.Stamp(r.at), "", nil, nil
	for _, t := range r.texts() {
		if *t.text != "" {
			*t.text = redact.Hidden
		}
	}
}

// Outcome records the end of a: what Asterisk said, if it was asked, and why
// there is no good answer, if there is none.
func (d *Recorder) Outcome(a *Request, r *correlation.Result, fail *reply.Error) {
	if d.off() || r == nil && fail != nil && fail.Sent == "no" && !d.refusals.own(a.Server, a.Action, string(fail.Kind), a.Intended) {
		return
	}
	record := d.begin(a)
	record.Phase, record.Outcome, record.Sent = "outcome", "answered", "yes"
	if fail != nil {
		record.Outcome, record.Sent = string(fail.Kind), fail.Sent
		record.Decision, record.Rule = decisionOf(fail)
	}
	if r != nil {
		record.ActionID, record.Response, record.Message = r.ActionID, r.Response, r.Message
	}
	d.end(a, record, fail)
}

// Repeat records that a was answered with the outcome of an earlier request of
// its key, and so was not sent.
func (d *Recorder) Repeat(a *Request, fail *reply.Error) {
	if d.off() || !d.refusals.own(a.Server, a.Action, "repeat", false) {
		return
	}
	record := d.begin(a)
	record.Phase, record.Outcome, record.Sent = "outcome", "repeat", "no"
	d.end(a, record, fail)
}

// end writes the last record of a, which ended because of fail if that is not
// nil.
func (d *Recorder) end(a *Request, record *record, fail *reply.Error) {
	if fail != nil {
		record.Code, record.Error = fail.Code, fail.Message
	}
	took := clock.Millis(a.at().Sub(a.Received))
	record.DurationMS = &took
	// An error is counted, and nothing else can be done about it.
	_ = d.queue(record, record.Sent != "no", nil)
}

// decisionOf says whether fail refuses a request, and by which rule, or tells
// how one that was allowed ended.
func decisionOf(fail *reply.Error) (decision, rule string) {
	if fail.Rule != "" {
		return "refused", fail.Rule
	}
	switch fail.Kind {
	case reply.KindBadRequest, reply.KindNoInbox:
		return "refused", string(fail.Kind) + ": " + fail.Message
	}
	return "allowed", ""
}

// Unavailable is the refusal of an Action whose intent is not stored.
func Unavailable(err error) *reply.Error {
	return &reply.Error{
		Code: 503, Kind: reply.KindAuditUnavailable, Sent: "no", RetryAfter: intentTimeout.Milliseconds(),
		Message: "the record of intent is not stored, without which BRIDGE_AUDIT=strict sends nothing: " + err.Error(),
	}
}

const (
	// MaxRequester bounds Ami-Requester, and MaxRequestID the ActionID of a caller's
	// own, in bytes.
	MaxRequester = 256
	MaxRequestID = 256
)
