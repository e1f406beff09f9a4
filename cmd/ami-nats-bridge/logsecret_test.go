package main

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
)

// md5 is the answer to a challenge.
const md5 = "0f9a0f9a0f9a0f9a0f9a0f9a0f9a0f9a"

func TestRedactor_HidesValuesInText(t *testing.T) {
	r := new(redactor)
	for text, want := range map[string]string{
		"login with secret=x9 failed":                      "login with secret=[redacted] failed",
		"Secret: two words":                                "Secret: [redacted]",
		"Action: Login\r\nSecret: x9 y\r\nEvents: on":      "Action: Login\r\nSecret: [redacted]\r\nEvents: on",
		`"Action: Login\r\nSecret: x9 y\r\nEvents: on"`:    `"Action: Login\r\nSecret: [redacted]\r\nEvents: on"`,
		"AuthType: MD5\r\nKey: 0f9a\r\nEvents: on":         "AuthType: MD5\r\nKey: [redacted]\r\nEvents: on",
		`"AuthType: MD5\r\nKey: 0f9a\r\n"`:                 `"AuthType: MD5\r\nKey: [redacted]\r\n"`,
		"Variable: CARD=4111 1111,x=1\r\nAsync: true":      "Variable: CARD=[redacted]\r\nAsync: true",
		"Variable: CDR(pin)=1 2":                           "Variable: CDR(pin)=[redacted]",
		"Variable: __USER_PIN=12":                          "Variable: __USER_PIN=[redacted]",
		`{"Variable":{"PIN":"12\"34","X":"1"}}`:            `{"Variable":{"PIN":[redacted],"X":"1"}}`,
		`"{\"password\":\"x9\",\"user\":\"u\"}"`:           `"{\"password\":[redacted],\"user\":\"u\"}"`,
		"password 'a b'; PASSWORD = 'a b'; user=u":         "password 'a b'; PASSWORD = [redacted]; user=u",
		"MD5Secret: 0f":                                    "MD5Secret: [redacted]",
		"vmsecret => 12 34":                                "vmsecret => [redacted]",
		"x-api-key=abc user=u":                             "x-api-key=[redacted] user=u",
		"authorization: Basic dTpw":                        "authorization: [redacted]",
		"got Bearer eyJh.b-c_d, then":                      "got Bearer [redacted], then",
		"dial nats://u:p/w@h:4222: refused":                "dial nats://[redacted]@h:4222: refused",
		"nats://a:b@h1,tls://tok@h2,nats://h3":             "nats://[redacted]@h1,tls://[redacted]@h2,nats://h3",
		`Secret: "a"b`:                                     "Secret: [redacted]",
		`nats://u:p,w"x<y>z@h1,tls://a@h2 x@y`:             `nats://[redacted]@h1,tls://[redacted]@h2 x@y`,
		`"url":"nats://u:p'w@h:4222", "x"`:                 `"url":"nats://[redacted]@h:4222", "x"`,
		"Bearer a!b, then":                                 "Bearer [redacted], then",
		`Bearer "a b"c d`:                                  "Bearer [redacted] d",
		"refused: Key: " + md5 + " is wrong":               "refused: Key: [redacted]",
		"refused, key=" + md5 + " is wrong":                "refused, key=[redacted] is wrong",
		`secret="a b"c d`:                                  "secret=[redacted] d",
		`secret='a b'"c d"e f`:                             "secret=[redacted] f",
		`secret="a b`:                                      "secret=[redacted]",
		`"secret=\"a b\"c d"`:                              `"secret=[redacted] d"`,
		"secret=[redacted]":                                "secret=[redacted]",
		"open /run/nats.creds: no such file or directory":  "open /run/nats.creds: no such file or directory",
		"read a: open /x/secret: permission denied: again": "read a: open /x/secret: permission denied: again",
		`"stat /x/token: is a directory"`:                  `"stat /x/token: is a directory"`,
		"x/secret: permission denied is mine":              "x/secret: [redacted]",
		"secret: no such file or directory":                "secret: [redacted]",
	} {
		if got := r.text(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func TestRedactor_LeavesTheRest(t *testing.T) {
	r := new(redactor)
	for _, text := range []string{"", "monkey: 1", "keypad=2", "author: Ann", "Monkey=7 keyboard: us", "parse private key: no PEM",
		"key=greeting", "login refused: check USERNAME and SECRET, and the user's permit", "secret=", "password:",
		"dial tcp 10.0.0.1:5038: connection refused", "nats://h:4222", "mail a@b.example", "spin: 3", "cardinal: 4",
		"nats: authorization violation", "12:30:01", "compass=north", "tokens: 3 left"} {
		if got := r.text(text); got != text {
			t.Errorf("%q becomes %q", text, got)
		}
	}
	for _, key := range []string{"monkey", "keypad", "author", "server_key", "action_id", "session", "keys", "pinned", "discard", ""} {
		if r.secret(key) {
			t.Errorf("the field %q is hidden", key)
		}
	}
	for _, key := range []string{"secret", "Secret", "AMI_SECRET", "amiSecret", "MD5Secret", "password", "db.passwd", "token",
		"accessToken", "key", "Key", "api_key", "apiKey", "APIKEY", "privateKey", "Authorization", "credentials", "creds", "pin", "CARD_NUMBER"} {
		if !r.secret(key) {
			t.Errorf("the field %q is shown", key)
		}
	}
}

// card is shown by its text or by its JSON.
type card struct{ Number, Owner string }

func (c card) String() string { return "card=" + c.Number }

func (c card) MarshalLogObject(e zapcore.ObjectEncoder) error {
	e.AddString("pin", c.Number)
	e.AddDuration("age", time.Minute)
	return e.AddReflected("nested", []card{c})
}

// line logs one line through r and returns it.
func line(t *testing.T, r *redactor, with []zap.Field, message string, fields ...zap.Field) string {
	t.Helper()
	var out bytes.Buffer
	log, sink := newLogger(&out, formatJSON, zapcore.DebugLevel, r)
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
		r := &redactor{globList{"CALLER*"}, regexp.MustCompile(`[0-9]{16}`), spelled([]string{canary})}
		for where, got := range map[string]string{
			"field": line(t, r, nil, "x", field), "With": line(t, r, []zap.Field{field}, "x"),
			"namespace": line(t, r, []zap.Field{zap.Namespace("n1")}, "x", field),
		} {
			if !strings.Contains(got, want) || strings.Contains(got, canary) || strings.Contains(got, "hunter2") {
				t.Errorf("%s: %s, want %s", where, got, want)
			}
		}
	}
	if got, want := line(t, new(redactor), nil, "with Secret: x9"), `"with Secret: [redacted]"}`; got != want {
		t.Errorf("message %s, want %s", got, want)
	}
}

func TestRedactor_KnowsTheConfiguredSecrets(t *testing.T) {
	s := load(t, one("BRIDGE_SERVERS=pbx1,pbx2", "BRIDGE_SERVER_PBX2_ADDR=h:1", "BRIDGE_SERVER_PBX2_USERNAME=u",
		`BRIDGE_SERVER_PBX2_SECRET=q"u o/te`, "BRIDGE_NATS_PASSWORD=pass-word", "BRIDGE_NATS_TOKEN=abc",
		"BRIDGE_NATS_URL=nats://u:per%40cent@h1,tokentoken@h2", "BRIDGE_LOG_REDACT_KEYS=caller*,*_number",
		`BRIDGE_LOG_REDACT_PATTERN=\b[0-9]{16}\b`)...)
	s.bridge.Servers[0].Secret, s.base.Secret = canary, "caf\xe9<>"
	r := newRedactor(s)
	for text, want := range map[string]string{
		"say " + canary + "!":            "say [redacted]!",
		`a q"u o/te b`:                   "a [redacted] b",
		fmt.Sprintf("%q", `q"u o/te`):    `"[redacted]"`,
		"?x=q%22u+o%2Fte":                "?x=[redacted]",
		"at per@cent, per%40cent":        "at [redacted], [redacted]",
		"at tokentoken":                  "at [redacted]",
		"the pass-word":                  "the [redacted]",
		"abc is too short":               "abc is too short",
		"caf\xe9<>, café<>, caf\ufffd<>": "[redacted], [redacted], [redacted]",
		`"café\u003c\u003e"`:             `"[redacted]"`,
		"card 4111111111111111 here":     "card [redacted] here",
	} {
		if got := r.text(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	if !r.secret("caller_id") || !r.secret("card_number") || r.secret("server") {
		t.Error("BRIDGE_LOG_REDACT_KEYS does not hold")
	}
}

func TestLogger_CostsNothingBelowItsLevel(t *testing.T) {
	log, sink := newLogger(new(bytes.Buffer), formatJSON, zapcore.InfoLevel, &redactor{literals: spelled([]string{canary})})
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
	r := &redactor{literals: spelled([]string{canary, "pass-word"})}
	fields := []zap.Field{zap.String("server", "pbx1"), zap.String("reason", "read"), zap.Int("failures", 3),
		zap.Error(errors.New("read tcp 10.0.0.1:41234->10.0.0.2:5038: connection reset by peer"))}
	for b.Loop() {
		_ = r.text("session lost")
		_ = r.fields(slices.Clone(fields))
	}
}

// owner panics where a nil one is asked for its text.
type owner struct{ name string }

func (o *owner) String() string { return o.name }

func TestLogger_SurvivesANilStringer(t *testing.T) {
	if got, want := line(t, new(redactor), nil, "x", zap.Stringer("owner", (*owner)(nil))), `"x","owner":"<nil>"}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
