package replay

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// Record is one of the audit's, as far as it is selected and shown by. docs/audit-records.md
// describes all of it.
type Record struct {
	*Message `json:"-"`

	At        string `json:"at"`
	Phase     string `json:"phase"`
	Node      string `json:"node"`
	Run       string `json:"run"`
	Server    string `json:"server"`
	Action    string `json:"action"`
	Requester string `json:"requester"`
	Decision  string `json:"decision"`
	Rule      string `json:"rule"`
	Outcome   string `json:"outcome"`
	Code      int    `json:"code"`
	Sent      string `json:"sent"`
	Error     string `json:"error"`
	Response  string `json:"response"`
	Text      string `json:"message"`
	ActionID  string `json:"action_id"`
	Number    uint64 `json:"seq"`
	Prev      string `json:"prev"`
	Lost      uint64 `json:"lost"`
	// Fields are the headers asked for, without secrets; Omitted is how many of
	// them are missing.
	Fields  json.RawMessage `json:"fields"`
	Omitted int             `json:"fields_omitted"`
	// Count is how many refused requests the record stands for, Outcomes how
	// they ended; 0 for a record of one.
	Count    uint64            `json:"count"`
	First    string            `json:"first"`
	Last     string            `json:"last"`
	Outcomes map[string]uint64 `json:"outcomes"`
	Info     struct {
		Account string `json:"acc"`
		User    string `json:"user"`
	} `json:"nats_request_info"`
}

// RecordOf reads m.
func RecordOf(m *Message) (Record, error) {
	r := Record{}
	if err := json.Unmarshal(m.Data, &r); err != nil {
		return Record{Message: m}, fmt.Errorf("sequence %d, %s, is not a record: %w", m.Sequence, m.Subject, err)
	}
	r.Message = m
	return r, nil
}

// MadeAt is when the bridge made a record; when it was stored, if m is none.
func MadeAt(m *Message) time.Time {
	r, _ := RecordOf(m)
	return r.Made()
}

// Made is when the bridge made r; when it was stored, if it does not tell.
func (r *Record) Made() time.Time {
	if t, err := time.Parse(time.RFC3339, r.At); err == nil {
		return t
	}
	return r.Stored
}

// Wanted selects records beyond what their subjects say. Its texts are patterns
// as path.Match has them, or none for all.
type Wanted struct{ Requesters, Decisions, Outcomes []string }

// Has reports whether r is wanted. An intent has the outcome intent, and what
// nats-server says of the user counts as a requester too.
func (w *Wanted) Has(r *Record) bool {
	requested := anyMatch(w.Requesters, r.Requester) || anyMatch(w.Requesters, r.Info.User)
	ended := anyMatch(w.Outcomes, r.End())
	for outcome := range r.Outcomes {
		ended = ended || anyMatch(w.Outcomes, outcome)
	}
	return requested && anyMatch(w.Decisions, r.Decision) && ended
}

// End is how the request ended, intent where the record was made before, or
// refusals where it stands for many.
func (r *Record) End() string {
	if r.Phase == "intent" || r.Phase == "refusals" {
		return r.Phase
	}
	return r.Outcome
}

// AppendJSON appends r as one line of JSON.
func (r *Record) AppendJSON(dst []byte) []byte {
	return r.appendPayload(r.appendPlace(dst, r.Made()), "record")
}

// digest is what the next record calls this one's payload.
func digest(payload []byte) string {
	sum := sha256.Sum256(payload)
	return hex.EncodeToString(sum[:])
}
