package actions

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/name"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/policy/policytest"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// requested is one header that a body asks for: a plain one, or a variable of an
// object.
type requested struct{ header, variable, value string }

// askedFor walks the tokens of a body for Action Test. It is false of a body
// that must be refused. members is of how many members it is, those of its
// objects included.
func askedFor(body string) (all []requested, members int, ok bool) {
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber()
	if strings.TrimSpace(body) == "" {
		return nil, 0, true
	}
	next := func() json.Token {
		t, err := d.Token()
		ok = ok && err == nil
		return t
	}
	ok = true
	if next() != json.Delim('{') {
		return nil, 0, false
	}
	for ok && d.More() {
		name := next()
		members++
		switch t := next(); {
		case !ok:
		case strings.EqualFold(name.(string), "Action"):
			ok = t == "Test"
		case strings.EqualFold(name.(string), "ActionID"):
			ok = isScalar(t) && len(textOf(t)) <= 256
		case t == json.Delim('['):
			for ok && d.More() {
				one := next()
				ok = ok && isScalar(one)
				all = append(all, requested{name.(string), "", textOf(one)})
			}
			next()
		case t == json.Delim('{'):
			ok = strings.EqualFold(name.(string), "Variable") || strings.EqualFold(name.(string), "ChanVariable")
			for ok && d.More() {
				variable, one := next(), next()
				members++
				ok = ok && isScalar(one) && variable != ""
				if ok {
					all = append(all, requested{name.(string), variable.(string), textOf(one)})
				}
			}
			next()
		default:
			ok = isScalar(t)
			all = append(all, requested{name.(string), "", textOf(t)})
		}
	}
	next()
	_, err := d.Token()
	return all, members, ok && errors.Is(err, io.EOF)
}

// isScalar reports whether t becomes a value: neither null nor a bracket.
func isScalar(t json.Token) bool { return textOf(t) != "" || t == "" }

func textOf(t json.Token) string {
	switch t := t.(type) {
	case string:
		return t
	case json.Number:
		return t.String()
	case bool:
		return strconv.FormatBool(t)
	}
	return ""
}

// messagesOf reads wire as Asterisk does (manager.c get_input, do_message):
// a line ends at CRLF or LF and fits 1024 bytes with its end, an empty line ends
// a message, and a message has at most 128 headers. It returns the headers of
// each message, and false if Asterisk would discard any of it.
func messagesOf(wire []byte) (messages [][]string, ok bool) {
	var headers []string
	for len(wire) > 0 {
		n := bytes.IndexByte(wire, '\n')
		if n < 0 || n >= 1024 {
			return messages, false
		}
		line := string(bytes.TrimSuffix(wire[:n], []byte("\r")))
		wire = wire[n+1:]
		line, _, _ = strings.Cut(line, "\x00") // a C string
		if line != "" {
			headers = append(headers, line)
			continue
		}
		if len(headers) > 128 {
			return messages, false
		}
		messages, headers = append(messages, headers), nil
	}
	return messages, len(headers) == 0
}

// appArgs splits as AST_STANDARD_APP_ARGS does (app.c
// __ast_app_separate_args, delimiter comma, quotes and backslashes removed).
func appArgs(s string) (args []string) {
	var arg []byte
	parens, brackets, quoted := 0, 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
			continue
		case c == '\\':
			if i++; i == len(s) {
				return append(args, "a backslash before the end")
			}
		case c == ',' && parens == 0 && brackets == 0 && !quoted:
			args, arg = append(args, string(arg)), nil
			continue
		case c == '(':
			parens++
		case c == ')':
			parens = max(0, parens-1)
		case c == '[':
			brackets++
		case c == ']':
			brackets = max(0, brackets-1)
		}
		arg = append(arg, s[i])
	}
	return append(args, string(arg))
}

// encoded is s as a server of charset has it; false if it has no such bytes.
func encoded(s string, charset frames.Charset) (string, bool) {
	if charset == frames.UTF8 {
		return s, true
	}
	var b []byte
	for _, r := range s {
		if r > 0xFF {
			return "", false
		}
		b = append(b, byte(r))
	}
	return string(b), true
}

// What would reach the socket is one Action of exactly the headers requested for, or
// the request is refused.
func FuzzRequest(f *testing.F) {
	for _, body := range []string{
		``, ` `, `{}`, `{"Action":"Test","ActionID":"mine"}`, `{"Action":"Other"}`, `{} {}`, `[]`, `null`, `{"a":null}`,
		`{"Channel":"PJSIP/alice","Priority":1,"Async":true,"Timeout":-1.5e3}`,
		`{"Queue":["a","b"],"queue":"c","Queue":[]}`, `{"Q":[["a"]]}`, `{"Q":{"a":1}}`,
		`{"Variable":{"A":"a,b \"c\" \\d","B":"(x,","C":"]\\","D":""}}`, `{"Variable":{"E=":1}}`,
		`{"Variable":{"A":"a,b"}}`, `{"Variable":{"A":"\""}}`, `{"variable":{"A":"\\"}}`, `{"ChanVariable":{"A":1,"A":2,"":3}}`,
		`{"Variable":"x\r\nAction: Logoff"}`, `{"Variable":{"x":"1\n\nAction: Logoff\n\n"}}`, `{"a\r\n\r\nAction: b":"c"}`,
		`{"a":"\r"}`, `{"a":"\u0000b"}`, `{"a: b":"c"}`, `{"":"c"}`, `{"Variable":{"a\n":1}}`,
		`{"Name":"Zoë Ω"}`, `{"Näme":"é"}`, `{"Variable":{"ä":"ö"}}`, "{\"a\":\"\xe9\"}", "{\"\xe9\":1}", `{"a":"\ud83d"}`,
		`{"a":"\ud83d\ude00 \ufffd"}`, `{"a":"\ude00\ud83d"}`, `{"a\udc00":1}`, `{"a":"\\ud800"}`,
		`{"a":"` + strings.Repeat("x", frames.MaxLine-3) + `"}`, `{"a":"` + strings.Repeat("x", frames.MaxLine-2) + `"}`,
		`{"Variable":{"a":"` + strings.Repeat(",", 506) + `"}}`, `{"Variable":{"a":"` + strings.Repeat(",", 600) + `"}}`,
		`{"a":[` + strings.Repeat("1,", 125) + `1]}`, `{"a":[` + strings.Repeat("1,", 126) + `1]}`,
	} {
		f.Add(body, false)
		f.Add(body, true)
	}
	f.Fuzz(func(t *testing.T, body string, latin1 bool) {
		charset := frames.UTF8
		if latin1 {
			charset = frames.Latin1
		}
		all, members, ok := askedFor(body)
		escaped := strings.Contains(strings.ToLower(body), `\ud`)
		r, err := parseBody(policytest.Name("Test"), []byte(body))
		var wire []byte
		var headers []frames.Header
		if err == nil {
			headers, err = r.in(charset)
		}
		if err == nil {
			// As amiconn does.
			own := []frames.Header{{Key: []byte("Action"), Value: []byte("Test")}, {Key: []byte("ActionID"), Value: []byte("b1")}}
			wire, err = frames.AppendAction(nil, append(own, headers...))
		}
		switch {
		case err != nil && ok && members <= maxMembers && utf8.ValidString(body) && !escaped && clean(all, charset):
			t.Fatalf("refused without need: %v", err)
		case err != nil && r.headers != nil && headers == nil && charset == frames.UTF8:
			t.Fatalf("%v, and its headers are kept", err)
		case err != nil:
			return
		case !ok || !utf8.ValidString(body):
			t.Fatalf("taken: %.300q", wire)
		}
		checkWire(t, wire, all, charset)
		if escaped && !strings.Contains(strings.ToLower(body), `\ufffd`) && !strings.Contains(body, "\ufffd") {
			for _, one := range all {
				if strings.Contains(one.header+one.variable+one.value, "\ufffd") {
					t.Fatalf("half a character became another: %q", wire)
				}
			}
		}
	})
}

// checkWire wants one Action of exactly these headers.
func checkWire(t *testing.T, wire []byte, all []requested, charset frames.Charset) {
	t.Helper()
	messages, whole := messagesOf(wire)
	if !whole || len(messages) != 1 {
		t.Fatalf("Asterisk reads %d messages (all of it: %v) in %.300q", len(messages), whole, wire)
	}
	lines := messages[0]
	if len(lines) != len(all)+2 || lines[0] != "Action: Test" || lines[1] != "ActionID: b1" {
		t.Fatalf("%d headers requested for became %.300q", len(all), lines)
	}
	for i, want := range all {
		name, value, _ := strings.Cut(lines[i+2], ": ")
		got := requested{header: name, value: value}
		if want.variable != "" {
			args := appArgs(value)
			if len(args) != 1 {
				t.Fatalf("a variable became %d: %.300q", len(args), args)
			}
			got.variable, got.value, _ = strings.Cut(args[0], "=")
		}
		for _, s := range []*string{&want.header, &want.variable, &want.value} {
			var ok bool
			if *s, ok = encoded(*s, charset); !ok {
				t.Fatalf("%v has no %q", charset, *s)
			}
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(requested{})); diff != "" {
			t.Fatalf("header %d (-requested for +read by Asterisk):\n%s", i, diff)
		}
	}
}

// clean reports whether there is no reason to refuse all.
func clean(all []requested, charset frames.Charset) bool {
	for _, one := range all {
		_, ok := encoded(one.header+one.variable+one.value, charset)
		// Escapes double a value at most.
		if !ok || name.CheckHeader(one.header) != nil ||
			strings.ContainsAny(one.variable, "=,\"\\\r\n\x00") || strings.ContainsAny(one.value, "\r\n\x00") ||
			len(one.header)+len(one.variable)+2*len(one.value)+3 > frames.MaxLine {
			return false
		}
	}
	return len(all) <= frames.MaxHeaders-2
}
