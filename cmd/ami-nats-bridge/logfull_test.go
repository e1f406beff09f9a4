package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/redact"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/logging"
)

// echoed is a secret that the configuration does not hold, so that only what
// stands around it tells that it is one.
const echoed = "3ch0ed"

func hasSecret(text string) bool {
	return strings.Contains(text, envtest.Canary) || strings.Contains(text, echoed) || strings.Contains(text, md5)
}

// until waits for cond, which changes with what others log.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.After(patience); !cond(); {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatal("timeout:", what)
		}
	}
}

// The observer stands in front of everything and sees what the bridge logs;
// behind the redactor no canary may be left of it.
func TestRedactor_HidesEverySecretOfAFullRun(t *testing.T) {
	good, goodAddr := simulate(t, amisim.Config{Users: map[string]string{"bridge": envtest.Canary}})
	bad, badAddr := simulate(t, amisim.Config{Users: map[string]string{"bridge": "another"}})
	bad.Always("Challenge", amisim.Deny("Login with Secret: "+echoed))
	rude, rudeAddr := simulate(t, amisim.Config{})
	rude.Always(amisim.Accept, amisim.Say("Welcome, token="+echoed+"\r\n"))
	password := envtest.Canary + "-nats"
	natsAddr := guardedNATS(t, password)
	url := "nats://u:" + password + "@" + natsAddr
	s := load(t, envtest.One("BRIDGE_SERVERS=pbx1,bad,rude", "BRIDGE_SERVER_PBX1_ADDR="+goodAddr, "BRIDGE_HTTP_ADDR=",
		"BRIDGE_AMI_USERNAME=bridge", "BRIDGE_SERVER_BAD_SECRET=wrong-"+envtest.Canary, "BRIDGE_SERVER_BAD_ADDR="+badAddr,
		"BRIDGE_SERVER_RUDE_SECRET="+envtest.Canary, "BRIDGE_SERVER_RUDE_ADDR="+rudeAddr, "BRIDGE_AMI_MAX_FRAME_BYTES=4KiB",
		"BRIDGE_STREAM_MAX_BYTES=64MiB", "BRIDGE_NATS_URL="+url, "BRIDGE_NATS_PASSWORD="+password, "BRIDGE_LOG_LEVEL=debug",
		"BRIDGE_LOG_REDACT_KEYS=subject")...)
	var out bytes.Buffer
	log, sink := logging.New(&out, logging.JSON, s.LogLevel, newRedactor(s))
	raw, seen := observer.New(zapcore.DebugLevel)
	log = zap.New(zapcore.NewTee(frozen{raw}, log.Core()))
	stop := serving(t, s, log, sink)
	logged := func(message string, n int) func() bool {
		return func() bool { return seen.FilterMessage(message).Len() >= n }
	}
	until(t, "session up", logged("session up", 2))
	for _, reason := range []string{"auth", "banner"} {
		until(t, "session lost: "+reason, func() bool {
			return seen.FilterMessage("session lost").FilterField(zap.String("reason", reason)).Len() > 0
		})
	}
	nc := dialNATS(t, url)
	for _, body := range []string{`{"Channel":"Local/1@x","Application":"Wait","Variable":{"PIN":"` + envtest.Canary + `"}}`,
		`{"Secret":"` + envtest.Canary + `\r\n"}`, `not JSON: secret=` + envtest.Canary} {
		if _, err := nc.Request("ami.actions.pbx1.Originate", []byte(body), patience); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.PublishRequest("ami.actions.pbx1.Token-"+echoed, "elsewhere", []byte(envtest.Canary)); err != nil {
		t.Fatal(err)
	}
	until(t, "request refused", logged("request refused", 1))
	good.Emit("Event", "Say-"+envtest.Canary, "Pad", strings.Repeat("x", 8<<10))
	good.EmitRaw([]byte("Secret: " + envtest.Canary + "\r\n\r\n"))
	until(t, "corrupt frame", logged("corrupt frame", 1))
	for i, text := range []string{"dial nats://u:a,\"<" + echoed + "@h:4222", "Bearer a!" + echoed, "refused: Key: " + md5,
		`secret="a b"` + echoed, `secret="a ` + echoed} {
		log.Error(fmt.Sprint("caller's text ", i), zap.String("text", text))
	}
	log.Error("caller's own", zap.Error(fmt.Errorf("dial %s: %w", url, errors.New("secret="+echoed))), zap.String("password", echoed))
	stop()
	if err := sink.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); hasSecret(text) {
		t.Errorf("a secret is in the log:\n%s", text)
	}
	for _, message := range canaries(t, seen) {
		found := false
		for l := range strings.Lines(out.String()) {
			found = found || strings.Contains(l, `"msg":"`+message) && strings.Contains(l, redact.Hidden)
		}
		if !found {
			t.Errorf("%q had a secret, and no line of it has %s", message, redact.Hidden)
		}
	}
}

// frozen copies what an observer would keep although it is the caller's.
type frozen struct{ zapcore.Core }

func (f frozen) With(fields []zapcore.Field) zapcore.Core {
	return frozen{f.Core.With(logging.Freeze(nil, fields))}
}

func (f frozen) Write(e zapcore.Entry, fields []zapcore.Field) error {
	return f.Core.Write(e, logging.Freeze(nil, fields))
}

func (f frozen) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	return to.AddCore(e, f)
}

// canaries returns the messages of the lines with a secret. Without those that
// are expected the test would show nothing.
func canaries(t *testing.T, seen *observer.ObservedLogs) (messages []string) {
	t.Helper()
	for _, e := range seen.All() {
		if hasSecret(e.Message + fmt.Sprint(e.ContextMap())) {
			messages = append(messages, e.Message)
		}
	}
	for _, want := range []string{"session lost", "login refused", "request refused", "event dropped", "caller's own", "caller's text 4"} {
		if !strings.Contains(strings.Join(messages, "\n"), want) {
			t.Errorf("no secret has come by in a line %q: it proves nothing", want)
		}
	}
	return messages
}

// md5 is the answer to a challenge.
const md5 = "0f9a0f9a0f9a0f9a0f9a0f9a0f9a0f9a"
