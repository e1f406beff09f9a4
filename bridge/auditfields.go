package bridge

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/jsontext"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/subject"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/redact"
)

const (
	// maxAuditValue and maxAuditFields bound a value and the fields of a record,
	// in bytes; what is longer is cut, what is more is counted. maxAuditRead
	// bounds what is looked at for that.
	maxAuditValue  = 256
	maxAuditFields = 4 << 10
	maxAuditRead   = 4 * maxAuditFields
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

func (f *auditField) size() int {
	n := len(f.name)
	for _, value := range f.values {
		n += len(value)
	}
	return n
}

// fields returns the fields of a request for action as a JSON object of strings
// and arrays of strings, without secrets, and how many are missing from it. It
// changes them.
func (c concealer) fields(action string, fields []auditField) (object json.RawMessage, omitted int) {
	h := hintsOf(fields)
	object = append(object, '{')
	read := 0
	for _, f := range fields {
		if read+f.size() > maxAuditRead {
			omitted++
			continue
		}
		read += f.size()
		member := jsontext.AppendString(nil, c.text(f.name, subject.MaxToken))
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
