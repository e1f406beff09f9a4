package bridge

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/redact"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

const (
	// maxAuditValue and maxAuditFields bound a value and the fields of a record,
	// in bytes; what is longer is cut, what is more is counted.
	maxAuditValue  = 256
	maxAuditFields = 4 << 10
)

// concealer takes secrets out of what is recorded. It is safe for concurrent
// use.
type concealer struct{ *redact.Redactor }

func newConcealer(secrets []string) concealer {
	return concealer{redact.New(redact.Options{Known: secrets})}
}

// text returns s without secrets, cut to most bytes.
func (c concealer) text(s string, most int) string { return cut(c.Value(s), most) }

// cut returns s with at most that many bytes and what shows that there were
// more.
func cut(s string, most int) string {
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "�")
}

// auditField is a header of a request: its values, as they would be lines.
type auditField struct {
	name   string
	values []string
}

// fields returns the body of a request for action as a JSON object of strings
// and arrays of strings, without secrets, and how many headers are missing from
// it. It is nil if the body is no JSON object, or one of
// more lines than an Action may have.
func (c concealer) fields(action string, body []byte) (object json.RawMessage, omitted int) {
	fields, ok := readFields(body)
	if !ok {
		return nil, 0
	}
	h := hintsOf(fields)
	object = append(object, '{')
	for _, f := range fields {
		member := appendString(nil, c.text(f.name, maxEventToken))
		member = append(member, ':')
		for i := range f.values {
			f.values[i] = c.value(action, f.name, f.values[i], h)
		}
		text, err := json.Marshal(f.values)
		if len(f.values) == 1 {
			text, err = json.Marshal(f.values[0])
		}
		if err != nil || len(object)+len(member)+len(text) > maxAuditFields {
			omitted++
			continue
		}
		if len(object) > 1 {
			object = append(object, ',')
		}
		object = append(append(object, member...), text...)
	}
	return append(object, '}'), omitted
}

// value returns a value of the field called name without secrets.
func (c concealer) value(action, name, value string, h hints) string {
	lower := strings.ToLower(name)
	switch {
	case redact.Name(name), h.values && (strings.HasPrefix(lower, "val") || strings.HasPrefix(lower, "match")):
		return redact.Hidden
	case lower == "key" && !strings.HasPrefix(strings.ToLower(action), "db"):
		return redact.Hidden // the proof in a Login
	case lower == "command":
		return cut(c.Command(value), maxAuditValue)
	case h.arguments && (lower == "data" || lower == "applicationdata"):
		arguments := strings.SplitN(value, ",", h.first+1)
		if len(arguments) <= h.first {
			break
		}
		arguments[h.first] = redact.Hidden
		value = strings.Join(arguments, ",")
	}
	return c.text(value, maxAuditValue)
}

// hints are what the fields of a request say of each other.
type hints struct {
	values    bool // some Value is secret: Variable: PIN beside Value, Family: cards beside Val
	arguments bool // those of Data are secret, from the first on
	first     int
}

// secretArguments are the applications that take a secret without a name, and as
// which argument (app_authenticate.c, app_disa.c, app_meetme.c).
var secretArguments = map[string]int{"authenticate": 0, "disa": 0, "meetme": 2}

func hintsOf(fields []auditField) (h hints) {
	for _, f := range fields {
		name := strings.ToLower(f.name)
		if strings.HasPrefix(name, "var") || strings.HasPrefix(name, "cat") || name == "key" || name == "family" {
			h.values = h.values || slices.ContainsFunc(f.values, redact.Name)
		}
		if name != "application" {
			continue
		}
		for _, application := range f.values {
			if first, ok := secretArguments[strings.ToLower(strings.TrimSpace(application))]; ok {
				h.arguments, h.first = true, first
			}
		}
	}
	return h
}

// readFields reads a JSON object of as many lines as an Action may have, or
// nothing, in its order. A name that is there again adds to its values, as it
// would add a line.
func readFields(body []byte) (fields []auditField, ok bool) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, true
	}
	total := 0
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, false
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, false
		}
		name, _ := t.(string)
		var value any
		if err := d.Decode(&value); err != nil {
			return nil, false
		}
		at := slices.IndexFunc(fields, func(f auditField) bool { return f.name == name })
		if at < 0 {
			at = len(fields)
			fields = append(fields, auditField{name: name})
		}
		values := lines(value)
		if total += len(values); total > frames.MaxHeaders {
			return nil, false
		}
		fields[at].values = append(fields[at].values, values...)
	}
	return fields, true
}

// lines returns the lines that value makes in an Action; what makes none is not
// shown.
func lines(value any) []string {
	switch v := value.(type) {
	case string:
		return []string{v}
	case json.Number:
		return []string{v.String()}
	case bool:
		return []string{strconv.FormatBool(v)}
	case []any:
		var all []string
		for _, item := range v {
			if _, nested := item.([]any); nested {
				item = nil
			}
			all = append(all, lines(item)...)
		}
		return all
	case map[string]any:
		var all []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			text := redact.Hidden
			if !redact.Name(name) {
				text, _ = v[name].(string)
				if number, ok := v[name].(json.Number); ok {
					text = number.String()
				}
			}
			all = append(all, name+"="+text)
		}
		return all
	}
	return []string{"[not recorded]"}
}
