package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
)

// shapeOf is a line without what is another one's each time.
func shapeOf(line string) string {
	line = regexp.MustCompile(`=("[^"]*"|\S+)`).ReplaceAllString(line, "=")
	line = regexp.MustCompile(`\d+`).ReplaceAllString(line, "0")
	return strings.Join(strings.Fields(line), " ")
}

func shapesOf(text string) (all []string) {
	for line := range strings.Lines(text) {
		all = append(all, shapeOf(line))
	}
	return all
}

// What README shows of the demo is what it prints, and its commands print what
// stands under them, but for what the simulated callers happen to do.
func TestDocs_ReadmeIsRecorded(t *testing.T) {
	envtest.Set(t)
	t.Setenv("TMPDIR", t.TempDir())
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if words := len(strings.Fields(string(text))); words > 900 {
		t.Errorf("README has %d words: who reads that?", words)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	show, done := newScreen(), make(chan error, 1)
	var group sync.WaitGroup
	group.Go(func() {
		done <- (&demoCmd{Rate: 20}).demo(ctx, stdio{"./bin/ami-nats-bridge", show, show}, zap.NewNop())
	})
	defer group.Wait()
	defer cancel()
	show.await(t, `Ctrl-C ends it`)
	url := regexp.MustCompile(`NATS is at (\S+)\.\n`).FindStringSubmatch(show.String())[1]

	var commands []string
	for _, block := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		shown := strings.Split("\n"+block[1], "\n$ ")
		for _, one := range shown[1:] {
			command, output, _ := strings.Cut(one, "\n")
			args := strings.Fields(strings.ReplaceAll(command, "'", ""))
			if args[0] != "./bin/ami-nats-bridge" {
				continue
			}
			commands = append(commands, args[1])
			var out, problems bytes.Buffer
			if args[1] == "tail" {
				args = append(args, "--count", "40")
			}
			until(t, command, func() bool { // call ends with 1 while the servers are logged in to
				out.Reset()
				problems.Reset()
				return run(append(args, "--nats", url), stdio{args[0], &out, &problems}) == 0
			})
			if problems.Len() > 0 {
				t.Errorf("%s: %s", command, &problems)
			}
			is := shapesOf(out.String())
			for _, line := range shapesOf(output) {
				if !slices.Contains(is, line) {
					t.Errorf("README shows %q of %s, which prints\n%s", line, command, &out)
				}
			}
		}
	}
	if !slices.Equal(commands, []string{"tail", "call"}) {
		t.Errorf("README shows the commands %q", commands)
	}

	var event string
	if m := regexp.MustCompile("(?s)```json\n(.*?)```").FindStringSubmatch(string(text)); m != nil {
		event = strings.ReplaceAll(m[1], "\n ", "")
	}
	var out bytes.Buffer
	run([]string{"x", "tail", "--nats", url, "--count", "1", "-o", "json", "ami.events.pbx1.Hangup"}, stdio{"x", &out, &out})
	var told struct{ Event json.RawMessage }
	if err := json.Unmarshal(out.Bytes(), &told); err != nil {
		t.Fatalf("%v in %s", err, &out)
	}
	if is, shown := namesOf(fieldsOf(told.Event)), namesOf(fieldsOf([]byte(event))); len(shown) == 0 || !slices.Equal(is, shown) {
		t.Errorf("README shows an event of %q, and it is of %q", shown, is)
	}
	show.await(t, `pbx1 +[1-9]\d* events/s`)
	cancel()
	if err := <-done; err != nil {
		t.Error("demo:", err)
	}

	var introduction bytes.Buffer
	introduce(stdio{name: "./bin/ami-nats-bridge", out: &introduction}, nats.DefaultURL, "127.0.0.1:9108")
	if !strings.Contains(string(text), introduction.String()) {
		t.Errorf("README does not show what the demo says first:\n%s", &introduction)
	}
	counts := regexp.MustCompile(`(?m)^pbx1 .* in all$`).FindString(string(text))
	if counts == "" || !slices.Contains(shapesOf(show.String()), shapeOf(counts)) {
		t.Errorf("README shows %q, and the demo prints\n%s", counts, show)
	}
}

func namesOf(fields []field) (names []string) {
	for _, f := range fields {
		names = append(names, f.Name)
	}
	return names
}

// README has each command.
func TestDocs_ReadmeHasTheCommands(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	parser, err := newParser(stdio{"x", &out, &out}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range parser.Model.Children {
		if !command.Hidden && !regexp.MustCompile("(?m)^\\| .*`"+command.Name+"[ `]").Match(text) {
			t.Errorf("README has no command %s", command.Name)
		}
	}
}
