package main

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// redacted stands in a log line for what must not be there.
const redacted = "[redacted]"

// secretKeys are the words that make a field's key secret. They are compared
// with whole words of it, so that monkey and author stay readable.
var secretKeys = []string{"secret", "password", "passwd", "token", "authorization", "credentials", "creds"}

// secretText matches a secret inside of other text; the first group stays.
var secretText = regexp.MustCompile(`(?i)((?:\b|_)(?:secret|password|passwd|token|authorization)["']?\s*[:=]\s*["']?)[^\s,;"'&]+` +
	`|(\bbearer\s+)\S+|(://)[^\s/@]+@|((?:^|\s|\\n)key:\s*)[0-9a-f]{32}\b`)

// redactor takes secrets out of text. It is read-only once made.
type redactor struct {
	keys     globList
	pattern  *regexp.Regexp // of the operator's, or nil
	literals []string       // the configured secrets themselves
}

// minLiteral is how long a configured secret has to be to be looked for in
// other text: a shorter one would be found in half of all words.
const minLiteral = 4

// newRedactor knows the secrets of s besides what every redactor knows.
func newRedactor(s *settings) *redactor {
	r := &redactor{keys: s.LogRedactKeys, pattern: s.LogRedactPattern.Regexp}
	add := func(secret string) {
		if len(secret) >= minLiteral {
			r.literals = append(r.literals, secret)
		}
	}
	add(string(s.bridge.NATS.Password))
	add(string(s.bridge.NATS.Token))
	add(string(s.base.Secret))
	for _, server := range s.bridge.Servers {
		add(string(server.Secret))
	}
	return r
}

// text returns s without secrets.
func (r *redactor) text(s string) string {
	for _, secret := range r.literals {
		s = strings.ReplaceAll(s, secret, redacted)
	}
	s = secretText.ReplaceAllString(s, "${1}${2}${3}${4}"+redacted)
	if r.pattern != nil {
		s = r.pattern.ReplaceAllLiteralString(s, redacted)
	}
	return s
}

// secretKey reports whether what stands under key is a secret.
func (r *redactor) secretKey(key string) bool {
	key = strings.ToLower(key)
	for word := range strings.FieldsFuncSeq(key, func(c rune) bool { return c == '_' || c == '-' || c == '.' }) {
		if slices.Contains(secretKeys, word) {
			return true
		}
	}
	return slices.ContainsFunc(r.keys, func(glob string) bool {
		ok, _ := path.Match(strings.ToLower(glob), key) // checked when it was read
		return ok
	})
}

// field returns f without secrets.
func (r *redactor) field(f zapcore.Field) zapcore.Field {
	if r.secretKey(f.Key) {
		return zap.String(f.Key, redacted)
	}
	switch f.Type {
	case zapcore.StringType:
		f.String = r.text(f.String)
	case zapcore.ByteStringType, zapcore.BinaryType:
		if b, ok := f.Interface.([]byte); ok {
			return zap.String(f.Key, r.text(string(b)))
		}
	case zapcore.ErrorType:
		if err, ok := f.Interface.(error); ok {
			return zap.NamedError(f.Key, errors.New(r.text(err.Error())))
		}
	case zapcore.StringerType:
		if s, ok := f.Interface.(fmt.Stringer); ok {
			return zap.String(f.Key, r.text(s.String()))
		}
	case zapcore.ReflectType, zapcore.ArrayMarshalerType, zapcore.ObjectMarshalerType, zapcore.InlineMarshalerType:
		return r.encoded(f)
	}
	return f
}

// encoded redacts what has a structure of its own as the text that it would be.
func (r *redactor) encoded(f zapcore.Field) zapcore.Field {
	line, err := zapcore.NewJSONEncoder(zapcore.EncoderConfig{}).EncodeEntry(zapcore.Entry{}, []zapcore.Field{f})
	if err != nil {
		return zap.String(f.Key, redacted)
	}
	defer line.Free()
	before := strings.TrimSpace(line.String())
	if after := r.text(before); after != before {
		return zap.String(f.Key, after)
	}
	return f
}

// redactCore is a zapcore.Core that passes lines on without secrets.
type redactCore struct {
	zapcore.Core
	r *redactor
}

func (c *redactCore) With(fields []zapcore.Field) zapcore.Core {
	return &redactCore{c.Core.With(c.fields(fields)), c.r}
}

func (c *redactCore) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return checked.AddCore(e, c)
	}
	return checked
}

func (c *redactCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	e.Message = c.r.text(e.Message)
	e.Stack = c.r.text(e.Stack)
	return c.Core.Write(e, c.fields(fields))
}

func (c *redactCore) fields(fields []zapcore.Field) []zapcore.Field {
	clean := make([]zapcore.Field, len(fields))
	for i, f := range fields {
		clean[i] = c.r.field(f)
	}
	return clean
}

// globList are patterns as path.Match has them.
type globList []string

// Decode reads patterns separated by commas.
func (g *globList) Decode(text string) error {
	list := globList{}
	for pattern := range strings.SplitSeq(text, ",") {
		if pattern = strings.TrimSpace(pattern); pattern == "" {
			continue
		}
		if _, err := path.Match(pattern, ""); err != nil {
			return errors.New("wants patterns of field keys such as card*,pin")
		}
		list = append(list, pattern)
	}
	*g = list
	return nil
}

func (g globList) String() string { return strings.Join(g, ",") }

// pattern is a regular expression, or none.
type pattern struct{ *regexp.Regexp }

// Decode reads a regular expression of Go's.
func (p *pattern) Decode(text string) error {
	compiled, err := regexp.Compile(text)
	if err != nil || compiled.MatchString("") {
		return errors.New("wants a regular expression (RE2) that does not match empty text, such as card=[0-9]+")
	}
	p.Regexp = compiled
	return nil
}

func (p pattern) String() string {
	if p.Regexp == nil {
		return ""
	}
	return p.Regexp.String()
}
