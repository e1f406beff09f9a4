package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
)

func TestMain(m *testing.M) {
	if os.Getenv("AMI_NATS_BRIDGE_AS_PROGRAM") != "" { // that a shell calls
		os.Exit(run(os.Args, stdio{name: os.Args[0], out: os.Stdout, err: os.Stderr}))
	}
	goleak.VerifyTestMain(m)
}

var commands = strings.Fields("run demo check config top status tail call replay audit version completion man help")

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

// An error of the command line names the help that explains it.
func TestErrors_PointToTheCommandsHelp(t *testing.T) {
	for args, want := range map[string]string{
		"":                           "(see ami-nats-bridge --help)\n",
		"tial":                       `did you mean "tail"`,
		"call":                       "(see ami-nats-bridge call --help)\n",
		"call pbx1 Ping --tiemout 1": `did you mean "--timeout"? (see ami-nats-bridge call --help)`,
		"call pbx1 Pnig":             "(see ami-nats-bridge call --help)\n",
		"replay --speed 2":           "(see ami-nats-bridge replay --help)\n",
		"audit --decision x":         "(see ami-nats-bridge audit --help)\n",
		"man x":                      "(see ami-nats-bridge man --help)\n",
		"help x":                     "(see ami-nats-bridge --help)\n",
	} {
		if out, problems := printed(t, 2, strings.Fields(args)...); out != "" || !strings.Contains(problems, want) {
			t.Errorf("%q: %s%s", args, out, problems)
		}
	}
}

func TestHelp_IsACommandToo(t *testing.T) {
	for _, command := range append([]string{""}, commands...) {
		want, _ := printed(t, 0, append(strings.Fields(command), "--help")...)
		if got, _ := printed(t, 0, append([]string{"help"}, strings.Fields(command)...)...); got != want || got == "" {
			t.Errorf("help %s prints\n%s", command, got)
		}
	}
	want, _ := printed(t, 0, "version")
	if got, _ := printed(t, 0, "--version"); got != want || !strings.HasPrefix(got, "ami-nats-bridge ") {
		t.Errorf("--version prints %q, version %q", got, want)
	}
	if out, _ := printed(t, 0, "version", "-o", "json"); !strings.Contains(out, `"version":"`) {
		t.Errorf("%s", out)
	}
	// Examples stand as they are written.
	if out, _ := printed(t, 0, "help", "call"); !strings.Contains(out, "\n  ami-nats-bridge call any CoreStatus\n") && !strings.Contains(out, "\n    ami-nats-bridge call any CoreStatus\n") {
		t.Errorf("%s", out)
	}
}

// What prints can print for programs, by the same flag everywhere.
func TestOutput_IsOneFlagEverywhere(t *testing.T) {
	parser, err := newParser(stdio{}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq("check config tail call replay audit version") {
		f := flagOf(child(parser.Model.Node, name), "-o")
		if f == nil || f.Name != "output" || f.Default != "table" || !strings.HasPrefix(f.Enum, "table,json") {
			t.Errorf("%s: %+v", name, f)
		}
	}
}
