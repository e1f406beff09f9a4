package main

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
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

// readme is README.md.
func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// recorded wants what README shows of the demo to be what it prints, and its commands to
// print what stands under them, but for what the simulated callers happen to do.
func recorded(t *testing.T, text, url string) {
	t.Helper()
	var introduction bytes.Buffer
	introduce(stdio{name: "./bin/ami-nats-bridge", out: &introduction}, nats.DefaultURL, "127.0.0.1:9108")
	if !strings.Contains(text, introduction.String()) {
		t.Errorf("README does not show what the demo says first:\n%s", &introduction)
	}
	var commands []string
	for _, block := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(text, -1) {
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
	if m := regexp.MustCompile("(?s)```json\n(.*?)```").FindStringSubmatch(text); m != nil {
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
}

func namesOf(fields []field) (names []string) {
	for _, f := range fields {
		names = append(names, f.Name)
	}
	return names
}

// README has each command, and few words.
func TestDocs_ReadmeHasTheCommands(t *testing.T) {
	text := readme(t)
	if words := len(strings.Fields(text)); words > 900 {
		t.Errorf("README has %d words: who reads that?", words)
	}
	var out bytes.Buffer
	parser, err := newParser(stdio{"x", &out, &out}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range parser.Model.Children {
		if !command.Hidden && !regexp.MustCompile("(?m)^\\| .*`"+command.Name+"[ `]").MatchString(text) {
			t.Errorf("README has no command %s", command.Name)
		}
	}
}
