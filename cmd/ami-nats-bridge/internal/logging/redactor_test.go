package logging

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/redact"
)

const canary = "c4n4ry"

// card is shown by its text or by its JSON.
type card struct{ Number, Owner string }

func (c card) String() string { return "card=" + c.Number }

func (c card) MarshalLogObject(e zapcore.ObjectEncoder) error {
	e.AddString("pin", c.Number)
	e.AddDuration("age", time.Minute)
	return e.AddReflected("nested", []card{c})
}

// line logs one line through r and returns it.
func line(t *testing.T, r *Redactor, with []zap.Field, message string, fields ...zap.Field) string {
	t.Helper()
	var out bytes.Buffer
	log, sink := New(&out, JSON, zapcore.DebugLevel, r)
	log.With(with...).Info(message, fields...)
	if err := sink.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(out.String(), `"msg":`)
	return strings.TrimSpace(rest)
}

func TestRedactor_HidesInFieldsOfEveryType(t *testing.T) {
	hidden := "Secret: " + canary
	secret := card{canary, "Ann"}
	for want, field := range map[string]zap.Field{
		`"s":"Secret: [redacted]"`:                    zap.String("s", hidden),
		`"b":"Secret: [redacted]"`:                    zap.ByteString("b", []byte(hidden)),
		`"c":"card=[redacted]"`:                       zap.Stringer("c", secret),
		`"error":"x: [redacted]"`:                     zap.Error(fmt.Errorf("x: %w", errors.New("[redacted]"))),
		`"e":"token: [redacted]"`:                     zap.NamedError("e", errors.New("token: "+canary)),
		`"l":["a","[redacted]@h"]`:                    zap.Strings("l", []string{"a", canary + "@h"}),
		`"m":{"Secret":"[redacted]"}`:                 zap.Any("m", map[string]string{"Secret": "hunter2"}),
		`"v":[{"Number":"[redacted]","Owner":"Ann"}]`: zap.Reflect("v", []card{secret}),
		`"o":{"age":"1m0s","nested":[{"Number":"[redacted]","Owner":"Ann"}],"pin":"[redacted]"}`: zap.Object("o", secret),
		`"age":"1m0s","nested":[{"Number":"[redacted]","Owner":"Ann"}],"pin":"[redacted]"`:       zap.Inline(secret),
		`"password":"[redacted]"`:  zap.String("password", "hunter2"),
		`"pin":"[redacted]"`:       zap.Int("pin", 4711),
		`"Token":"[redacted]"`:     zap.ByteString("Token", []byte("hunter2")),
		`"monkey":"see"`:           zap.String("monkey", "see"),
		`"delays":["1s","1m0s"]`:   zap.Durations("delays", []time.Duration{time.Second, time.Minute}),
		`"caller_id":"[redacted]"`: zap.String("caller_id", "+49 30 1234"),
		`"n":"to [redacted]."`:     zap.String("n", "to 4111111111111111."),
	} {
		r := NewRedactor(redact.Options{
			Known: []string{canary}, Names: setting.Globs{"CALLER*"}.Match, Pattern: regexp.MustCompile(`[0-9]{16}`),
		})
		for where, got := range map[string]string{
			"field": line(t, r, nil, "x", field), "With": line(t, r, []zap.Field{field}, "x"),
			"namespace": line(t, r, []zap.Field{zap.Namespace("n1")}, "x", field),
		} {
			if !strings.Contains(got, want) || strings.Contains(got, canary) || strings.Contains(got, "hunter2") {
				t.Errorf("%s: %s, want %s", where, got, want)
			}
		}
	}
	if got, want := line(t, NewRedactor(redact.Options{}), nil, "with Secret: x9"), `"with Secret: [redacted]"}`; got != want {
		t.Errorf("message %s, want %s", got, want)
	}
}

func TestLogger_CostsNothingBelowItsLevel(t *testing.T) {
	log, sink := New(new(bytes.Buffer), JSON, zapcore.InfoLevel, NewRedactor(redact.Options{Known: []string{canary}}))
	named := log.Named("x").With(zap.String("server", "pbx1"))
	name := []byte("Newexten")
	if n := testing.AllocsPerRun(1000, func() {
		named.Debug("event")
		if line := named.Check(zapcore.DebugLevel, "event"); line != nil {
			line.Write(zap.ByteString("event", name))
		}
	}); n != 0 {
		t.Errorf("%v allocations for a line that is not written", n)
	}
	if err := sink.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkRedactor_Line(b *testing.B) {
	r := NewRedactor(redact.Options{Known: []string{canary, "pass-word"}})
	fields := []zap.Field{zap.String("server", "pbx1"), zap.String("reason", "read"), zap.Int("failures", 3),
		zap.Error(errors.New("read tcp 10.0.0.1:41234->10.0.0.2:5038: connection reset by peer"))}
	for b.Loop() {
		_ = r.Line("session lost")
		_ = r.fields(slices.Clone(fields))
	}
}

// owner panics where a nil one is asked for its text.
type owner struct{ name string }

func (o *owner) String() string { return o.name }

func TestLogger_SurvivesANilStringer(t *testing.T) {
	if got, want := line(t, NewRedactor(redact.Options{}), nil, "x", zap.Stringer("owner", (*owner)(nil))), `"x","owner":"<nil>"}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
