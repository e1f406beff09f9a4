package main

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
)

func TestConfig_PrintsNoSecret(t *testing.T) {
	for _, more := range [][]string{
		{"BRIDGE_NATS_PASSWORD=" + envtest.Canary, "BRIDGE_NATS_TOKEN=" + envtest.Canary},
		{"BRIDGE_NATS_URL=nats://u:" + envtest.Canary + "@n:4222,nats://" + envtest.Canary + "@n2:4222,u:" + envtest.Canary + "@n3"},
		{"BRIDGE_AMI_SECRET=" + envtest.Canary, "BRIDGE_AMI_READ_TIMEOUT=" + envtest.Canary, "BRIDGE_XYZ=" + envtest.Canary},
		{"BRIDGE_NATS_URL=nats://u:" + envtest.Canary + "%zz@n:4222"},
		{"BRIDGE_LOG_REDACT_PATTERN=" + envtest.Canary},
	} {
		envtest.Set(t, envtest.One(more...)...)
		var out, problems bytes.Buffer
		run([]string{"x", "config"}, stdio{"x", &out, &problems})
		if !strings.Contains(out.String(), "[redacted]") {
			t.Error("nothing was hidden:", out.String())
		}
		if strings.Contains(out.String()+problems.String(), envtest.Canary) {
			t.Errorf("a secret was printed:\n%s%s", &out, &problems)
		}
	}
}

func TestURLs_ThatNATSWouldQuoteInAnErrorAreRefused(t *testing.T) {
	const bad = "nats://u:" + envtest.Canary + "%zz@n:4222"
	envtest.Set(t, envtest.One("BRIDGE_NATS_URL="+bad)...)
	if _, problems := env.Load(); !slices.Equal(problems, []string{"BRIDGE_NATS_URL: " + env.WantsURLs}) {
		t.Errorf("%q", problems)
	}
	envtest.Set(t)
	for _, args := range []string{"tail", "call pbx1 Ping"} {
		var out bytes.Buffer
		code := run(append([]string{"x"}, strings.Fields(args+" --nats "+bad)...), stdio{"x", &out, &out})
		if code != 2 || strings.Contains(out.String(), envtest.Canary) {
			t.Errorf("%s: exit code %d, %s", args, code, &out)
		}
	}
	for _, good := range []string{"nats://h:4222", "h", "h:4222, tls://u:p@h2", "ws://[::1]:80"} {
		if !env.ValidURLs(good) {
			t.Errorf("%q is refused", good)
		}
	}
}

func TestConfig_ExitsWith2AndSaysWhereValuesCameFrom(t *testing.T) {
	const rules = "Originate: Context in (dialer,  outbound); Hangup: Channel matches \";\""
	envtest.Set(t, envtest.One("BRIDGE_AMI_SESSIONS=7", "BRIDGE_AUDIT=off", "BRIDGE_ACTIONS_RULES="+rules)...)
	var out, problems bytes.Buffer
	if code := run([]string{"x", "config"}, stdio{"x", &out, &problems}); code != 2 {
		t.Error("exit code", code)
	}
	if want := "BRIDGE_AMI_SESSIONS: wants 1 or 2\n"; problems.String() != want {
		t.Errorf("stderr %q, want %q", &problems, want)
	}
	if !strings.Contains(out.String(), " "+rules+" ") {
		t.Errorf("the rules are not printed as written:\n%s", &out)
	}
	for line := range strings.Lines(out.String()) {
		if name, rest, _ := strings.Cut(line, " "); name == "BRIDGE_AUDIT" {
			if want := []string{"off", "on", "set"}; !slices.Equal(strings.Fields(rest)[:3], want) {
				t.Errorf("%q", line)
			}
		}
	}
}

func TestDocs_HoldTheTable(t *testing.T) {
	envtest.Set(t)
	doc, err := os.ReadFile("../../docs/variables.md")
	if err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	if err := writeMarkdown(&table); err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- begin: ami-nats-bridge config -o markdown -->\n\n", "\n<!-- end -->"
	_, rest, _ := strings.Cut(string(doc), begin)
	got, _, _ := strings.Cut(rest, end)
	if diff := cmp.Diff(table.String(), got); diff != "" {
		t.Error("docs/variables.md (-want +got):", diff)
	}
}

// What a file of variables says is shown without its secrets. Whoever uses a running
// bridge must not go on without what it says of NATS.
func TestConfig_ShowsTheFileOfVariables(t *testing.T) {
	envtest.Set(t, "BRIDGE_ENV_FILE="+envtest.File(t, strings.Join(envtest.One(), "\n")))
	var out bytes.Buffer
	if code := run([]string{"x", "config"}, stdio{"x", &out, &out}); code != 0 || strings.Contains(out.String(), envtest.Canary) {
		t.Errorf("config: exit code %d\n%s", code, &out)
	}
	if !strings.Contains(out.String(), "BRIDGE_SERVER_PBX1_SECRET ") {
		t.Errorf("config does not show the file's servers:\n%s", &out)
	}
	envtest.Set(t, envtest.One("BRIDGE_ENV_FILE="+t.TempDir())...)
	out.Reset()
	if code := run([]string{"x", "tail"}, stdio{"x", &out, &out}); code != 2 || !strings.Contains(out.String(), "BRIDGE_ENV_FILE") {
		t.Errorf("tail: exit code %d, %s", code, &out)
	}
}

// On a terminal each variable has its value whole, where it came from if that is not the
// default, and what it means in lines that fit.
func TestConfig_FitsATerminal(t *testing.T) {
	long := "nats://" + strings.Repeat("n", 120) + ":4222"
	envtest.Set(t, envtest.One("BRIDGE_NATS_URL="+long, "BRIDGE_AMI_SECRET=")...)
	s, _ := env.Load()
	for _, width := range []int{20, 40, 80, 200} {
		var out strings.Builder
		if err := writeLines(&out, terminal.Screen{Width: width}, shown(s.Rows())); err != nil {
			t.Fatal(err)
		}
		text := out.String()
		for _, want := range []string{"\nBRIDGE_NATS_URL=" + long + "  set, default -\n", "\nBRIDGE_LOG_LEVEL=info\n    debug,", "\nBRIDGE_SERVER_PBX1_SECRET="} {
			if !strings.Contains(text, want) {
				t.Errorf("in %d columns no %q in\n%s", width, want, text)
			}
		}
		meanings := 0
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			if meaning, is := strings.CutPrefix(line, "    "); is {
				meanings += len(strings.Fields(meaning))
				if w := terminal.Width(line); w > width {
					t.Errorf("in %d columns %q has %d", width, line, w)
				}
			}
		}
		words := 0
		for _, r := range shown(s.Rows()) {
			words += len(strings.Fields(r.Meaning))
		}
		if width > 20 && meanings != words || strings.Contains(text, envtest.Canary) {
			t.Errorf("in %d columns %d words of %d, or a secret:\n%s", width, meanings, words, text)
		}
	}
}
