package main

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var commands = strings.Fields("run demo check config tail call replay audit version completion")

func TestCompletion_NamesEveryCommandAndFlag(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		var out bytes.Buffer
		if code := run([]string{"x", "completion", shell}, stdio{"x", &out, &out}); code != 0 {
			t.Fatalf("%s: exit code %d: %s", shell, code, &out)
		}
		for _, word := range append(commands, "output", "count", "grep", "timeout", "rate", "for", "nats", "zsh") {
			if !strings.Contains(out.String(), word) {
				t.Errorf("%s: no %q", shell, word)
			}
		}
	}
}

func TestCompletion_WorksInBash(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	var script bytes.Buffer
	run([]string{"x", "completion", "bash"}, stdio{"x", &script, &script})
	for words, want := range map[string]string{"ami-nats-bridge ch": "check", "ami-nats-bridge tail --co": "--count", "ami-nats-bridge completion f": "fish"} {
		test := script.String() + "\nCOMP_WORDS=(" + words + "); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _ami_nats_bridge; echo \"${COMPREPLY[@]}\""
		got, err := exec.CommandContext(t.Context(), bash, "--norc", "-c", test).CombinedOutput()
		if err != nil || strings.TrimSpace(string(got)) != want {
			t.Errorf("%q completes to %q, %v; want %q", words, got, err, want)
		}
	}
}

func TestHelp_NamesEveryCommandAndHoldsNoSecret(t *testing.T) {
	envtest.Set(t, envtest.One("BRIDGE_NATS_PASSWORD="+envtest.Canary, "BRIDGE_NATS_URL=nats://u:"+envtest.Canary+"@n")...)
	for _, args := range append([]string{""}, commands...) {
		var out bytes.Buffer
		if code := run(append(append([]string{"x"}, strings.Fields(args)...), "--help"), stdio{"x", &out, &out}); code != 0 {
			t.Errorf("%s --help: exit code %d", args, code)
		}
		if strings.Contains(out.String(), envtest.Canary) {
			t.Errorf("%s --help prints a secret", args)
		}
		for _, c := range commands {
			if args == "" && !strings.Contains(out.String(), "\n  "+c+" ") {
				t.Errorf("--help does not name %s", c)
			}
		}
	}
}

func TestRun_RefusesABadConfigurationWith2(t *testing.T) {
	envtest.Set(t, envtest.One("BRIDGE_AMI_SESSIONS=3")...)
	var out, problems bytes.Buffer
	if code := run([]string{"x", "run"}, stdio{"x", &out, &problems}); code != 2 || problems.String() != "BRIDGE_AMI_SESSIONS: wants 1 or 2\n" {
		t.Errorf("exit code %d, %q", code, &problems)
	}
}

func TestCall_SaysThatNothingIsThere(t *testing.T) {
	envtest.Set(t, "BRIDGE_NATS_URL=nats://u:"+envtest.Canary+"@127.0.0.1:1")
	var out, problems bytes.Buffer
	code := run([]string{"x", "call", "pbx1", "Ping"}, stdio{"x", &out, &problems})
	if code != 1 || !strings.Contains(problems.String(), "is the bridge or NATS running there?") || strings.Contains(problems.String(), envtest.Canary) {
		t.Errorf("exit code %d, %q", code, &problems)
	}
}
