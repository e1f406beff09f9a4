package bridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// request is an Action as a caller asked for it.
type request struct {
	action    actionName
	requestID string // the caller's ActionID, echoed
	headers   []frames.Header
}

// maxRequestID bounds what is echoed into a reply.
const maxRequestID = 256

// parseRequest reads the body of a request for action: a JSON object of AMI
// headers, kept in order, or nothing. Text is encoded in the server's charset.
func parseRequest(action actionName, body []byte, charset frames.Charset) (request, error) {
	r := request{action: action}
	if len(bytes.TrimSpace(body)) == 0 {
		return r, nil
	}
	// The decoder would put U+FFFD in their place.
	if !utf8.Valid(body) || halfCharacter(body) {
		return r, errors.New("the body holds what is no character: it must be UTF-8, without half a surrogate pair")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return r, errors.New("the body is not a JSON object of headers")
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return r, errors.New("the body is not valid JSON")
		}
		// In an object every other token is a name.
		key := t.(string)
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return r, errors.New("the body is not valid JSON")
		}
		if err := r.add(key, value, charset); err != nil {
			return r, err
		}
	}
	if _, err := d.Token(); err != nil {
		return r, errors.New("the body is not valid JSON")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return r, errors.New("the body holds more than one JSON object")
	}
	return r, nil
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
func (r *request) names() []string {
	names := make([]string, len(r.headers))
	for i := range r.headers {
		names[i] = string(r.headers[i].Key)
	}
	return names
}

// add turns one member of the body into headers.
func (r *request) add(key string, value json.RawMessage, charset frames.Charset) error {
	switch {
	case strings.EqualFold(key, "Action"):
		if name, err := scalar(key, value); err != nil || name != r.action.text {
			return fmt.Errorf("the body's Action is not %s, which the subject names", r.action)
		}
		return nil
	case strings.EqualFold(key, "ActionID"):
		id, err := scalar(key, value)
		if err == nil && len(id) > maxRequestID {
			err = fmt.Errorf("ActionID wants at most %d bytes", maxRequestID)
		}
		r.requestID = id
		return err
	}
	var items []json.RawMessage
	switch value[0] {
	case '{':
		return r.addVariables(key, value, charset)
	case '[':
		if err := json.Unmarshal(value, &items); err != nil {
			return errors.New("the body is not valid JSON")
		}
	default:
		items = append(items, value)
	}
	for _, item := range items {
		text, err := scalar(key, item)
		if err != nil {
			return err
		}
		if err := r.addHeader(key, text, charset); err != nil {
			return err
		}
	}
	return nil
}

// variableEscaper keeps a value whole: Asterisk splits a Variable header at
// commas and eats quotes and backslashes (manager.c astman_get_variables).
var variableEscaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `,`, `\,`)

// addVariables turns an object into one header for each variable, in order.
func (r *request) addVariables(key string, value json.RawMessage, charset frames.Charset) error {
	if !strings.EqualFold(key, "Variable") && !strings.EqualFold(key, "ChanVariable") {
		return fmt.Errorf("%.40q is an object, which only Variable and ChanVariable may be", key)
	}
	d := json.NewDecoder(bytes.NewReader(value))
	if _, err := d.Token(); err != nil {
		return errors.New("the body is not valid JSON")
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return errors.New("the body is not valid JSON")
		}
		var item json.RawMessage
		if err := d.Decode(&item); err != nil {
			return errors.New("the body is not valid JSON")
		}
		text, err := scalar(key, item)
		if err != nil {
			return err
		}
		if strings.ContainsAny(name.(string), "=,\"\\") || name == "" {
			return fmt.Errorf("%.40q is no variable's name", name)
		}
		if err := r.addHeader(key, name.(string)+"="+variableEscaper.Replace(text), charset); err != nil {
			return err
		}
	}
	return nil
}

func (r *request) addHeader(key, text string, charset frames.Charset) error {
	if err := checkHeaderName(key); err != nil {
		return err
	}
	value, err := charset.AppendText(nil, text)
	if err != nil {
		return fmt.Errorf("%.40q: %w", key, err)
	}
	r.headers = append(r.headers, frames.Header{Key: []byte(key), Value: value})
	return nil
}

// scalar returns the text of a JSON string, number or boolean.
func scalar(key string, value json.RawMessage) (string, error) {
	switch c := value[0]; {
	case c == '"':
		var text string
		err := json.Unmarshal(value, &text)
		return text, err
	case c == 't' || c == 'f' || c == '-' || c >= '0' && c <= '9':
		return string(value), nil
	}
	return "", fmt.Errorf("%.40q wants a string, number, boolean or an array of them", key)
}

// isAsync reports whether an Originate asks to be answered before the call is
// (manager.c action_originate, ast_true).
func (r *request) isAsync() bool {
	for _, h := range r.headers {
		if strings.EqualFold(string(h.Key), "Async") {
			switch strings.ToLower(string(h.Value)) {
			case "yes", "true", "y", "t", "1", "on":
				return true
			}
			return false
		}
	}
	return false
}
