package bridge

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

const (
	// hidden stands where a secret was.
	hidden = "[redacted]"
	// minSecret is the length from which a configured secret is hidden wherever
	// it stands: a shorter one is part of harmless words.
	minSecret = 4
	// maxAuditValue and maxAuditFields bound a value and the fields of a record,
	// in bytes; what is longer is cut, what is more is counted. maxAuditRead
	// bounds what is looked at for that.
	maxAuditValue  = 256
	maxAuditFields = 4 << 10
	maxAuditRead   = 4 * maxAuditFields
)

// concealer takes secrets out of what is recorded. It is safe for concurrent
// use.
type concealer struct{ known *strings.Replacer }

func newConcealer(secrets []string) *concealer {
	var forms, pairs []string
	for _, secret := range secrets {
		if len(secret) >= minSecret {
			forms = append(forms, SecretForms(secret)...)
		}
	}
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) }) // one may begin another
	for _, form := range forms {
		pairs = append(pairs, form, hidden)
	}
	return &concealer{strings.NewReplacer(pairs...)}
}

var (
	// namedValue is what may be a name and what separates it from its value:
	// PIN=1, "secret": x, CDR(pin) = 2.
	namedValue = regexp.MustCompile(`([^=:,;&?"'\r\n]+)[\\"']*[ \t]*[=:]`)
	bearer     = regexp.MustCompile(`(?i)\bbearer[ \t]`)
	userinfo   = regexp.MustCompile(`://[^\s/@]*@`)
	plainWord  = regexp.MustCompile(`[A-Za-z0-9_.-]+`)
)

// text returns s without secrets, cut to most bytes. Where a value ends can be
// read in several ways, so that from the first secret name on all is hidden.
func (c *concealer) text(s string, most int) string {
	s = userinfo.ReplaceAllLiteralString(c.known.Replace(s), "://"+hidden+"@")
	if m := bearer.FindStringIndex(s); m != nil {
		s = s[:m[1]] + hidden
	}
	for _, m := range namedValue.FindAllStringSubmatchIndex(s, -1) {
		if SecretName(s[m[2]:m[3]]) {
			s = s[:m[1]] + hidden
			break
		}
	}
	return cut(s, most)
}

// command is text for a line of Asterisk's console, where a value stands behind
// its name with a space between.
func (c *concealer) command(s string) string {
	s = c.text(s, len(s))
	for _, m := range plainWord.FindAllStringIndex(s, -1) {
		if SecretName(s[m[0]:m[1]]) && m[1] < len(s) {
			s = s[:m[1]] + " " + hidden
			break
		}
	}
	return cut(s, maxAuditValue)
}

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
func (c *concealer) fields(action string, fields []auditField) (object json.RawMessage, omitted int) {
	secret := valuesAreSecret(fields)
	object = append(object, '{')
	read := 0
	for _, f := range fields {
		if read+f.size() > maxAuditRead {
			omitted++
			continue
		}
		read += f.size()
		member := appendString(nil, cut(c.known.Replace(f.name), maxEventToken))
		member = append(member, ':')
		for i := range f.values {
			f.values[i] = c.value(action, f.name, f.values[i], secret)
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
func (c *concealer) value(action, name, value string, valuesAreSecret bool) string {
	lower := strings.ToLower(name)
	switch {
	case SecretName(name), valuesAreSecret && (strings.HasPrefix(lower, "val") || strings.HasPrefix(lower, "match")):
		return hidden
	case lower == "key" && !strings.HasPrefix(strings.ToLower(action), "db"):
		return hidden // the proof in a Login
	case lower == "command":
		return c.command(value)
	}
	return c.text(value, maxAuditValue)
}

// valuesAreSecret reports whether some field says that another one is secret,
// as do Variable: PIN beside Value, and Family: cards beside Val.
func valuesAreSecret(fields []auditField) bool {
	return slices.ContainsFunc(fields, func(f auditField) bool {
		name := strings.ToLower(f.name)
		names := strings.HasPrefix(name, "var") || strings.HasPrefix(name, "cat") || name == "key" || name == "family"
		return names && slices.ContainsFunc(f.values, SecretName)
	})
}
