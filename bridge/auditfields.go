package bridge

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

const (
	// hidden stands where a secret was.
	hidden = "[redacted]"
	// minSecret is the length from which a configured secret is hidden wherever
	// it stands: a shorter one is part of harmless words.
	minSecret = 4
	// maxAuditValue and maxAuditFields bound a value and the fields of a record,
	// in bytes; what is longer is cut, what is more is counted.
	maxAuditValue  = 256
	maxAuditFields = 4 << 10
)

// concealer takes secrets out of what is recorded. It is safe for concurrent
// use.
type concealer struct {
	known atomic.Pointer[strings.Replacer]

	mu      sync.Mutex // protects the following
	secrets []string
	first   int // how many of them were known at the start
}

// maxLearned is how many secrets are remembered that became known while the
// bridge runs. With more the oldest of those are forgotten.
const maxLearned = 1000

func newConcealer(secrets []string) *concealer {
	c := &concealer{first: len(secrets)}
	c.add(secrets...)
	c.first = len(c.secrets)
	return c
}

// add makes more secrets known.
func (c *concealer) add(secrets ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	more := c.known.Load() == nil
	for _, secret := range secrets {
		if len(secret) >= minSecret && !slices.Contains(c.secrets, secret) {
			c.secrets, more = append(c.secrets, secret), true
		}
		if len(c.secrets) > c.first+maxLearned {
			c.secrets = slices.Delete(c.secrets, c.first, c.first+1)
		}
	}
	if !more {
		return
	}
	var forms, pairs []string
	for _, secret := range c.secrets {
		forms = append(forms, SecretForms(secret)...)
	}
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) }) // one may begin another
	for _, form := range forms {
		pairs = append(pairs, form, hidden)
	}
	c.known.Store(strings.NewReplacer(pairs...))
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
	s = userinfo.ReplaceAllLiteralString(c.known.Load().Replace(s), "://"+hidden+"@")
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

// fields returns the body of a request for action as a JSON object of strings
// and arrays of strings, without secrets, and how many headers are missing from
// it. It is nil if the body is no JSON object, or one of
// more lines than an Action may have.
func (c *concealer) fields(action string, body []byte) (object json.RawMessage, omitted int) {
	fields, ok := readFields(body)
	if !ok {
		return nil, 0
	}
	secret := valuesAreSecret(fields)
	object = append(object, '{')
	for _, f := range fields {
		member := appendString(nil, cut(c.known.Load().Replace(f.name), maxEventToken))
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
			text := hidden
			if !SecretName(name) {
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
