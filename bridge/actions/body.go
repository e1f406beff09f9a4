package actions

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/audit"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/name"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/policy"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/redact"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// body is an Action as a caller asked for it: its text, which every server
// reads in its own charset. It is not changed once it was read.
type body struct {
	action    name.Action
	requestID string          // the caller's ActionID, echoed
	headers   []frames.Header // text
	fields    []audit.Field   // the same as the audit shows it, until that has it
	members   int             // read so far
	raw       *nats.Msg       // for another bridge that may be asked; nil where none is
}

const (
	// maxBody bounds a body, in bytes, before it is read: more than any Action
	// needs, which is at most 128 lines of 1 KiB.
	maxBody = 256 << 10
	// maxOwn is how many headers there may be: what Asterisk takes, less Action
	// and ActionID. maxMembers bounds the members of objects, which need not make
	// any.
	maxOwn     = frames.MaxHeaders - 2
	maxMembers = 2 * frames.MaxHeaders
)

var (
	errNoJSON  = errors.New("the body is not valid JSON")
	errTooMany = fmt.Errorf("the body has more headers than Asterisk takes: %d with Action and ActionID", frames.MaxHeaders)
)

// parseBody reads the body of a request for action: a JSON object of AMI
// headers, kept in order, or nothing. It stops where the body goes over a bound,
// and keeps nothing of it.
func parseBody(action name.Action, text []byte) (body, error) {
	r := body{action: action}
	if len(text) > maxBody {
		return r, fmt.Errorf("the body has %d bytes, and at most %d are read", len(text), maxBody)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return r, nil
	}
	// The decoder would put U+FFFD in their place.
	if !utf8.Valid(text) || halfCharacter(text) {
		return r, errors.New("the body is not UTF-8, or holds half a surrogate pair")
	}
	if members, ok := plainMembers(text); ok {
		if err := r.addMembers(members); err != nil {
			return body{action: action, requestID: r.requestID}, err
		}
		return r, nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // as it is written
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return r, errors.New("the body is not a JSON object of headers")
	}
	if err := r.readMembers(d, r.add); err != nil {
		return body{action: action, requestID: r.requestID}, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return body{action: action, requestID: r.requestID}, errors.New("the body holds more than one JSON object")
	}
	return r, nil
}

// readMembers reads an object to its end. add reads the value of each member,
// of which value is the first token.
func (r *body) readMembers(d *json.Decoder, add func(d *json.Decoder, key string, value json.Token) error) error {
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return errNoJSON
		}
		value, err := d.Token()
		if err != nil {
			return errNoJSON
		}
		if r.members++; r.members > maxMembers {
			return errTooMany
		}
		// In an object every other token is a name.
		if err := add(d, key.(string), value); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return errNoJSON
	}
	return nil
}

// halfCharacter reports whether JSON holds one \u escape of a surrogate pair
// without the other.
func halfCharacter(body []byte) bool {
	for {
		i := bytes.IndexByte(body, '\\')
		if i < 0 || i+1 == len(body) {
			return false
		}
		first := escape(body[i:])
		body = body[i+2:]
		if !utf16.IsSurrogate(first) {
			continue
		}
		body = body[len("XXXX"):]
		if utf16.DecodeRune(first, escape(body)) == utf8.RuneError {
			return true
		}
		body = body[len(`\uXXXX`):]
	}
}

// escape returns the code unit of the \u escape that text begins with, or 0.
func escape(text []byte) rune {
	if len(text) < len(`\uXXXX`) || text[0] != '\\' || text[1] != 'u' {
		return 0
	}
	n, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	if err != nil {
		return 0
	}
	return rune(n)
}

// names are those of the headers.
func (r *body) names() []string {
	names := make([]string, len(r.headers))
	for i := range r.headers {
		names[i] = string(r.headers[i].Key)
	}
	return names
}

// add turns one member of the body into headers.
func (r *body) add(d *json.Decoder, key string, value json.Token) error {
	switch {
	case strings.EqualFold(key, "Action"):
		name, err := scalar(key, value)
		if err != nil || name != r.action.String() {
			return fmt.Errorf("the body's Action is not %s, which the subject names", r.action)
		}
		r.record(key, name)
		return nil
	case strings.EqualFold(key, "ActionID"):
		id, err := scalar(key, value)
		if err == nil && len(id) > audit.MaxRequestID {
			return fmt.Errorf("ActionID wants at most %d bytes", audit.MaxRequestID)
		}
		r.requestID = id
		r.record(key, id)
		return err
	case value == json.Delim('{'):
		if !strings.EqualFold(key, "Variable") && !strings.EqualFold(key, "ChanVariable") {
			return fmt.Errorf("%.40q is an object, which only Variable and ChanVariable may be", key)
		}
		return r.readMembers(d, func(_ *json.Decoder, name string, value json.Token) error { return r.addVariable(key, name, value) })
	case value == json.Delim('['):
		return r.addEach(d, key)
	}
	text, err := scalar(key, value)
	if err != nil {
		return err
	}
	r.record(key, text)
	return r.addHeader(key, text)
}

// addEach turns the items of an array into a header each.
func (r *body) addEach(d *json.Decoder, key string) error {
	for d.More() {
		item, err := d.Token()
		if err != nil {
			return errNoJSON
		}
		text, err := scalar(key, item)
		if err != nil {
			return err
		}
		r.record(key, text)
		if err := r.addHeader(key, text); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return errNoJSON
	}
	return nil
}

// variableEscaper keeps a value whole: Asterisk splits a Variable header at
// commas and eats quotes and backslashes (manager.c astman_get_variables).
var variableEscaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `,`, `\,`)

// addVariable turns a member of an object into a header of its own.
func (r *body) addVariable(key, name string, value json.Token) error {
	text, err := scalar(key, value)
	if err != nil {
		return err
	}
	if strings.ContainsAny(name, "=,\"\\") || name == "" {
		return fmt.Errorf("%.40q is not a variable's name", name)
	}
	shown := redact.Hidden
	if !redact.Name(name) {
		shown = text
	}
	r.record(key, name+"="+shown)
	return r.addHeader(key, name+"="+variableEscaper.Replace(text))
}

// addHeader adds a header: the only place where one comes from.
func (r *body) addHeader(key, text string) error {
	if err := name.CheckHeader(key); err != nil {
		return err
	}
	// In no charset it is shorter than its characters.
	if n := utf8.RuneCountInString(key) + len(": ") + utf8.RuneCountInString(text); n > frames.MaxLine {
		return fmt.Errorf("%.40q: %d bytes, Asterisk takes %d", key, n, frames.MaxLine)
	}
	if len(r.headers) == maxOwn {
		return errTooMany
	}
	r.headers = append(r.headers, frames.Header{Key: []byte(key), Value: []byte(text)})
	return nil
}

// record keeps what the audit shows of a header.
func (r *body) record(key, text string) {
	at := slices.IndexFunc(r.fields, func(f audit.Field) bool { return f.Name == key }) // of at most maxMembers
	if at < 0 {
		at = len(r.fields)
		r.fields = append(r.fields, audit.Field{Name: key})
	}
	r.fields[at].Values = append(r.fields[at].Values, text)
}

// in returns the headers as a server of charset has them.
func (r *body) in(charset frames.Charset) ([]frames.Header, error) {
	if charset == frames.UTF8 {
		return r.headers, nil
	}
	headers := make([]frames.Header, len(r.headers))
	for i, h := range r.headers {
		var err error
		headers[i].Key = h.Key // ASCII
		if headers[i].Value, err = charset.AppendText(nil, string(h.Value)); err != nil {
			return nil, fmt.Errorf("%.40q: %w", h.Key, err)
		}
	}
	return headers, nil
}

// headerBytes is what a header costs besides its text.
const headerBytes = 64

// size is what the headers hold, in bytes, and what another bridge may be asked.
func (r *body) size() int {
	n := 0
	if r.raw != nil {
		n = r.raw.Size()
	}
	for _, h := range r.headers {
		n += len(h.Key) + len(h.Value) + headerBytes
	}
	return n
}

// scalar returns the text of a JSON string, number or boolean.
func scalar(key string, value json.Token) (string, error) {
	switch v := value.(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case bool:
		return strconv.FormatBool(v), nil
	}
	return "", fmt.Errorf("%.40q wants a string, number, boolean or an array of them", key)
}

// isAsync reports whether an Originate asks to be answered before the call is
// (manager.c action_originate).
func isAsync(headers []frames.Header) bool {
	all := policy.Values(headers, "Async") // of which Asterisk takes the first
	return len(all) > 0 && frames.True(all[0])
}
