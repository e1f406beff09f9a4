package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/jsontext"
)

// recordBytes is more than most records have.
const recordBytes = 1 << 10

// text returns r as JSON without the closing brace, as encode has it. There is one for each
// Action, so that it does not ask by reflection what a record is made of.
func (r *record) text() []byte {
	text := make([]byte, 0, recordBytes)
	text = append(append(text, `{"at":"`...), r.At...) // digits
	text = append(text, '"')
	for _, m := range [...]struct{ name, value string }{
		{"phase", r.Phase}, {"ask", r.Ask}, {"node", r.Node}, {"server", r.Server}, {"action", r.Action},
		{"subject", r.Subject}, {"inbox", r.Inbox},
	} {
		text = jsontext.AppendMember(text, m.name, m.value)
	}
	text = appendText(text, "requester", r.Requester)
	if r.RequestInfo != nil {
		if info, err := encode(r.RequestInfo); err == nil { // strings and a number always have JSON
			text = append(append(append(text, `,"nats_request_info":`...), info...), '}')
		}
	}
	text = appendText(text, "request_id", r.RequestID)
	text = strconv.AppendInt(append(text, `,"body_bytes":`...), int64(r.BodyBytes), 10)
	if len(r.Fields) > 0 {
		text = append(append(text, `,"fields":`...), r.Fields...)
	}
	text = appendNumber(text, "fields_omitted", r.FieldsOmitted)
	text = jsontext.AppendMember(text, "decision", r.Decision)
	text = appendText(text, "rule", r.Rule)
	text = appendText(text, "action_id", r.ActionID)
	text = appendText(text, "outcome", r.Outcome)
	text = appendNumber(text, "code", r.Code)
	for _, m := range [...]struct{ name, value string }{
		{"sent", r.Sent}, {"error", r.Error}, {"response", r.Response}, {"message", r.Message},
	} {
		text = appendText(text, m.name, m.value)
	}
	if r.DurationMS != nil {
		text = strconv.AppendFloat(append(text, `,"duration_ms":`...), *r.DurationMS, 'f', -1, 64)
	}
	return text
}

// appendText appends a member with a text, unless that is empty.
func appendText(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return jsontext.AppendMember(dst, name, value)
}

// appendNumber appends a member with a number, unless that is 0.
func appendNumber(dst []byte, name string, value int) []byte {
	if value == 0 {
		return dst
	}
	return strconv.AppendInt(append(append(append(dst, ',', '"'), name...), '"', ':'), int64(value), 10)
}

// encode returns a record, or a part of one, as JSON without the closing brace.
func encode(record any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(record); err != nil {
		return nil, fmt.Errorf("encode audit record: %w", err)
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("}\n")), nil
}
