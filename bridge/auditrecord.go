package bridge

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
)

// auditRecord is one message on ami.audit.<server>.<Action>. What is text of a
// caller or of Asterisk is bounded and has no secrets. docs/audit.md describes
// it.
type auditRecord struct {
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

// asked is what the audit keeps of a request until it has ended: at most some
// 8 KiB.
type asked struct {
	id        string
	requester string
	info      *requestInfo
	fields    json.RawMessage
	omitted   int
	bytes     int
}

const (
	maxAuditText   = 128
	maxRequestInfo = 4 << 10
)

// auditRequest is a request as it is recorded.
type auditRequest struct {
	to, subject    string
	action         string
	server         string // or the endpoint's name while none is chosen
	requestID      string
	came, deadline time.Time
	intended       bool   // its intent is recorded
	asked          *asked // nil if nothing is recorded
}

// size is about what k holds, in bytes.
func (k *asked) size() int { return len(k.fields) + len(k.requester) }

// asked returns what is to be recorded of a request for action that came as m, nil
// if nothing is. What could not be read has no fields.
func (d *audit) asked(m *nats.Msg, action, requester string, fields []auditField, read bool) *asked {
	if d.off() {
		return nil
	}
	k := &asked{id: d.run + "-" + strconv.FormatUint(d.asks.Add(1), 10), bytes: len(m.Data)}
	k.requester = d.concealer.text(requester, maxRequester)
	if read {
		k.fields, k.omitted = d.concealer.fields(action, fields)
	}
	if values := m.Header.Values("Nats-Request-Info"); len(values) == 1 {
		k.info = d.requestInfo(values[0])
	}
	return k
}

// requestInfo reads the header, nil if it is none of nats-server's.
func (d *audit) requestInfo(header string) *requestInfo {
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
		*s = d.concealer.text(*s, maxAuditText)
	}
	return &info
}

// record returns what is known of a while it lasts.
func (d *audit) record(a *auditRequest) *auditRecord {
	inbox, _, _ := strings.Cut(a.to, ".")
	return &auditRecord{
		At: clock.Stamp(time.Now()), Ask: a.asked.id, Node: d.node, Server: a.server,
		Action:  d.concealer.text(a.action, maxAuditText),
		Subject: d.concealer.text(a.subject, maxAuditText), Inbox: d.concealer.text(inbox, maxAuditText),
		Requester: a.asked.requester, RequestInfo: a.asked.info,
		RequestID: d.concealer.text(a.requestID, maxRequestID),
		BodyBytes: a.asked.bytes, Fields: a.asked.fields, FieldsOmitted: a.asked.omitted,
		Decision: "allowed",
	}
}

// outcome records the end of a: what Asterisk said, if it was asked, and why
// there is no good answer, if there is none.
func (d *audit) outcome(a *auditRequest, r *correlation.Result, fail *reply.Error) {
	if d.off() || r == nil && fail != nil && fail.Sent == "no" && !d.refusals.own(a.server, a.action, fail.Kind, a.intended) {
		return
	}
	record := d.record(a)
	record.Phase, record.Outcome, record.Sent = "outcome", "answered", "yes"
	if fail != nil {
		record.Outcome, record.Sent = fail.Kind, fail.Sent
		record.Decision, record.Rule = decisionOf(fail)
		record.Rule = d.concealer.text(record.Rule, maxAuditValue)
	}
	if r != nil {
		record.ActionID = r.ActionID
		record.Response = d.concealer.text(r.Response, maxAuditText)
		record.Message = d.concealer.text(r.Message, maxAuditValue)
	}
	d.end(a, record, fail)
}

// repeat records that a was answered with the outcome of an earlier request of
// its key, and so was not sent.
func (d *audit) repeat(a *auditRequest, fail *reply.Error) {
	if d.off() || !d.refusals.own(a.server, a.action, "repeat", false) {
		return
	}
	record := d.record(a)
	record.Phase, record.Outcome, record.Sent = "outcome", "repeat", "no"
	d.end(a, record, fail)
}

// end writes the last record of a, which ended because of fail if that is not
// nil.
func (d *audit) end(a *auditRequest, record *auditRecord, fail *reply.Error) {
	if fail != nil {
		record.Code, record.Error = fail.Code, d.concealer.text(fail.Message, maxAuditValue)
	}
	took := clock.Millis(time.Since(a.came))
	record.DurationMS = &took
	// An error is counted, and nothing else can be done about it.
	_ = d.write(record.Server, a.action, record, record.Sent != "no", nil)
}

// decisionOf says whether fail refuses a request, and by which rule, or tells
// how one that was allowed ended.
func decisionOf(fail *reply.Error) (decision, rule string) {
	if fail.Rule != "" {
		return "refused", fail.Rule
	}
	switch fail.Kind {
	case "bad_request", reply.KindNoInbox:
		return "refused", fail.Kind + ": " + fail.Message
	}
	return "allowed", ""
}

// auditUnavailable is the refusal of an Action whose intent is not stored.
func auditUnavailable(err error) *reply.Error {
	return &reply.Error{
		Code: 503, Kind: "audit_unavailable", Sent: "no", RetryAfter: intentTimeout.Milliseconds(),
		Message: "the record of intent is not stored, without which BRIDGE_AUDIT=strict sends nothing: " + err.Error(),
	}
}

const maxRequester = 256

// maxRequestID bounds what is echoed into a reply.
const maxRequestID = 256
