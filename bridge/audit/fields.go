package audit

import (
	"encoding/base64"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/jsontext"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/subject"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/redact"
)

const (
	// maxValue and maxFields bound a value and the fields of a record,
	// in bytes; what is longer is cut, what is more is counted. maxRead
	// bounds what is looked at for that.
	maxValue  = 256
	maxFields = 4 << 10
	maxRead   = 4 * maxFields
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

// Field is a header of a request: its values, as they would be lines.
type Field struct {
	Name   string
	Values []string
}

func (f *Field) size() int {
	n := len(f.Name)
	for _, value := range f.Values {
		n += len(value)
	}
	return n
}

// fieldBytes is what a field costs besides its text.
const fieldBytes = 64

// sizeOf is about what fields hold, in bytes.
func sizeOf(fields []Field) (n int) {
	for i := range fields {
		n += fields[i].size() + fieldBytes
	}
	return n
}

// fields returns the fields of a request for action as a JSON object of strings
// and arrays of strings, without secrets, and how many are missing from it.
func (c concealer) fields(action string, fields []Field) (object json.RawMessage, omitted int) {
	h := hintsOf(action, fields)
	object = append(object, '{')
	var member []byte
	read := 0
	for _, f := range fields {
		if read+f.size() > maxRead {
			omitted++
			continue
		}
		read += f.size()
		member = jsontext.AppendString(member[:0], c.text(f.Name, subject.MaxToken))
		member = append(member, ':')
		if len(f.Values) != 1 {
			member = append(member, '[')
		}
		for i, value := range f.Values {
			if i > 0 {
				member = append(member, ',')
			}
			member = jsontext.AppendString(member, c.value(action, f.Name, value, h))
		}
		if len(f.Values) != 1 {
			member = append(member, ']')
		}
		if len(object)+len(member) > maxFields {
			omitted++
			continue
		}
		if len(object) > 1 {
			object = append(object, ',')
		}
		object = append(object, member...)
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
	case lower == "base64body" && c.hides(value):
		return redact.Hidden
	case lower == "command":
		return cut(c.Command(withoutArguments(value)), maxValue)
	case h.arguments && (lower == "data" || lower == "applicationdata"):
		arguments := strings.SplitN(value, ",", h.first+1)
		if len(arguments) <= h.first {
			break
		}
		arguments[h.first] = redact.Hidden
		value = strings.Join(arguments, ",")
	}
	if lower == "data" || lower == "applicationdata" || strings.HasPrefix(lower, "val") {
		value = withoutArguments(value)
	}
	return c.text(value, maxValue)
}

// hides reports whether a secret may be in value, which is Base64.
func (c concealer) hides(value string) bool {
	text, err := base64.StdEncoding.DecodeString(value)
	return err != nil || c.Value(string(text)) != string(text)
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

// nestedArguments finds what comes before such an argument where another
// application, the console or a dialplan's line names the application:
// Exec(Authenticate(1234)), EXEC Authenticate 1234.
var nestedArguments = regexp.MustCompile(`(?i)\b(?:(?:authenticate|disa)["']?[(,\s]+|meetme["']?[(,\s]+[^,]*,[^,]*,)`)

// withoutArguments returns text up to the first of them.
func withoutArguments(text string) string {
	if m := nestedArguments.FindStringIndex(text); m != nil && m[1] < len(text) {
		return text[:m[1]] + redact.Hidden
	}
	return text
}

// secretOptions are those of configuration files whose values have a secret without
// a name in them: register = user:secret@host, conf = number,PIN (sip.conf, iax.conf,
// meetme.conf, agents.conf).
var secretOptions = [...]string{"register", "auth", "conf", "agent"}

// isSecretOption reports whether an UpdateConfig's header says that its values are
// secret: those of voicemail.conf all begin with one.
func isSecretOption(header, value string) bool {
	value = strings.ToLower(strings.TrimSpace(value))
	if strings.HasPrefix(header, "var-") {
		return slices.Contains(secretOptions[:], value)
	}
	return strings.HasSuffix(header, "filename") && strings.Contains(value, "voicemail")
}

func hintsOf(action string, fields []Field) (h hints) {
	for _, f := range fields {
		name := strings.ToLower(f.Name)
		if strings.HasPrefix(name, "var") || strings.HasPrefix(name, "cat") || name == "key" || name == "family" {
			h.values = h.values || slices.ContainsFunc(f.Values, redact.Name)
		}
		if strings.EqualFold(action, "UpdateConfig") {
			h.values = h.values || slices.ContainsFunc(f.Values, func(value string) bool { return isSecretOption(name, value) })
		}
		if name != "application" {
			continue
		}
		for _, application := range f.Values {
			first, ok := secretArguments[strings.ToLower(strings.TrimSpace(application))]
			if ok && (!h.arguments || first < h.first) { // of several Asterisk takes the first
				h.arguments, h.first = true, first
			}
		}
	}
	return h
}
