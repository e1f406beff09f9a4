package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
)

func TestRedact_BadSettingsAreProblems(t *testing.T) {
	envtest.Set(t, "BRIDGE_LOG_REDACT_PATTERN=c4n4ry(", "BRIDGE_LOG_REDACT_KEYS=c4n4ry[", "BRIDGE_SERVERS=pbx1",
		"BRIDGE_SERVER_PBX1_ADDR=10.0.0.1:5038", "BRIDGE_SERVER_PBX1_USERNAME=u", "BRIDGE_SERVER_PBX1_SECRET=s3cret")
	_, problems := env.Load()
	text := strings.Join(problems, "\n")
	for _, want := range []string{"BRIDGE_LOG_REDACT_PATTERN: wants a regular expression", "BRIDGE_LOG_REDACT_KEYS: wants patterns"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %q", want, text)
		}
	}
	if len(problems) != 2 || strings.Contains(text, "c4n4ry") {
		t.Errorf("problems: %q", problems)
	}
}

func TestRedactor_KnowsTheConfiguredSecrets(t *testing.T) {
	s := load(t, envtest.One("BRIDGE_SERVERS=pbx1,pbx2", "BRIDGE_SERVER_PBX2_ADDR=h:1", "BRIDGE_SERVER_PBX2_USERNAME=u",
		`BRIDGE_SERVER_PBX2_SECRET=q"u o/te`, "BRIDGE_NATS_PASSWORD=pass-word", "BRIDGE_NATS_TOKEN=abc",
		"BRIDGE_NATS_URL=nats://u:per%40cent@h1,tokentoken@h2", "BRIDGE_LOG_REDACT_KEYS=caller*,*_number",
		`BRIDGE_LOG_REDACT_PATTERN=\b[0-9]{16}\b`)...)
	s.Bridge.Servers[0].Secret, s.Base.Secret = envtest.Canary, "caf\xe9<>"
	r := newRedactor(s)
	for text, want := range map[string]string{
		"say " + envtest.Canary + "!":    "say [redacted]!",
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
		if got := r.Line(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	if !r.Key("caller_id") || !r.Key("card_number") || r.Key("server") {
		t.Error("BRIDGE_LOG_REDACT_KEYS does not hold")
	}
}
