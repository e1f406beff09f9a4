package logging

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/redact"
)

type named string

func (n named) String() string { return string(n) }

// Whatever way a secret takes into a line, it does not come out.
func TestRedact_EveryWayIntoALine(t *testing.T) {
	const canary = "c4n4ry-v4lue"
	r := NewRedactor(redact.Options{
		Known: []string{"literal-secret"}, Names: setting.Globs{"card*"}.Match, Pattern: regexp.MustCompile(`pin=[0-9]+`),
	})
	for name, write := range map[string]func(*zap.Logger){
		"key":             func(l *zap.Logger) { l.Info("x", zap.String("ami_secret", canary)) },
		"key with a dash": func(l *zap.Logger) { l.Info("x", zap.String("api-token", canary)) },
		"configured key":  func(l *zap.Logger) { l.Info("x", zap.String("CardNumber", canary)) },
		"with":            func(l *zap.Logger) { l.With(zap.String("password", canary)).Info("x") },
		"message":         func(l *zap.Logger) { l.Info("login with Secret: " + canary) },
		"query":           func(l *zap.Logger) { l.Info("x", zap.String("url", "https://h/?token="+canary+"&x=1")) },
		"url":             func(l *zap.Logger) { l.Info("x", zap.String("url", "nats://user:"+canary+"@host:4222")) },
		"bearer":          func(l *zap.Logger) { l.Info("x", zap.String("header", "Bearer "+canary)) },
		"variable":        func(l *zap.Logger) { l.Info("x", zap.ByteString("line", []byte("Variable: SIP_PASSWORD="+canary))) },
		"json":            func(l *zap.Logger) { l.Info("x", zap.String("body", `{"Secret":"`+canary+`"}`)) },
		"error":           func(l *zap.Logger) { l.Info("x", zap.Error(errors.New("auth: password="+canary))) },
		"stringer":        func(l *zap.Logger) { l.Info("x", zap.Stringer("what", named("secret="+canary))) },
		"array":           func(l *zap.Logger) { l.Info("x", zap.Strings("lines", []string{"secret=" + canary})) },
		"object":          func(l *zap.Logger) { l.Info("x", zap.Any("what", map[string]string{"Secret": canary})) },
		"literal":         func(l *zap.Logger) { l.Info("x", zap.String("anything", "is literal-secret here")) },
		"pattern":         func(l *zap.Logger) { l.Info("dialled pin=4711 now") },
		"md5 key":         func(l *zap.Logger) { l.Info("x", zap.String("frame", "Key: 0123456789abcdef0123456789abcdef")) },
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			log, output := New(&out, JSON, zapcore.InfoLevel, r)
			write(log)
			if err := output.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			line := out.String()
			for _, secret := range []string{canary, "literal-secret", "4711", "0123456789abcdef"} {
				if strings.Contains(line, secret) {
					t.Errorf("%s is in %s", secret, line)
				}
			}
			if !strings.Contains(line, redact.Hidden) {
				t.Errorf("nothing is redacted in %s", line)
			}
		})
	}
}

func TestRedact_LeavesTheRest(t *testing.T) {
	var out bytes.Buffer
	log, output := New(&out, JSON, zapcore.InfoLevel, NewRedactor(redact.Options{}))
	log.Info("session lost", zap.String("monkey", "a"), zap.String("author", "b"), zap.String("keypad", "c"),
		zap.Error(errors.New("dial tcp 10.0.0.1:5038: connection refused")),
		zap.String("hint", "check USERNAME and SECRET, and the user's permit"), zap.Strings("servers", []string{"pbx1"}))
	if err := output.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), redact.Hidden) {
		t.Errorf("%s", out.String())
	}
}
