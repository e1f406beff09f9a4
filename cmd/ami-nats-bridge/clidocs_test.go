package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The commands in docs/cli.md work as they are written; a tail is not waited for.
func TestDocs_CommandLineWorks(t *testing.T) {
	text, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	bridged(t, "pbx1 pbx2")
	ran := 0
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(block[1]) {
			command, _, _ := strings.Cut(line, "  #")
			args := words(command)[1:]
			ran++
			if args[0] == "tail" {
				parsed(t, args)
			} else if out, _ := printed(t, 0, args...); out == "" {
				t.Errorf("%s prints nothing", command)
			}
		}
	}
	if ran != 15 {
		t.Errorf("%d commands were found", ran)
	}
	// Each flag that stands on the page is one of the command's.
	page := string(text)
	for _, flag := range regexp.MustCompile("`--([a-z-]+)").FindAllStringSubmatch(page, -1) {
		if help, _ := printed(t, 0, "call", "--help"); !strings.Contains(help, "--"+flag[1]) && !strings.Contains(help, "no-]"+strings.TrimPrefix(flag[1], "no-")) {
			if help, _ = printed(t, 0, "tail", "--help"); !strings.Contains(help, "--"+flag[1]) {
				t.Errorf("no --%s", flag[1])
			}
		}
	}
}

// parsed fails if a tail's arguments are not understood, or can match nothing.
func parsed(t *testing.T, args []string) {
	t.Helper()
	parser, err := newParser(stdio{}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	command, err := parser.Parse(args)
	if err != nil {
		t.Errorf("%q: %v", args, err)
		return
	}
	c := command.Model.Target.Addr().Interface().(*cli).Tail
	if f, err := c.filter("ami"); err != nil || len(f.notes) > 0 {
		t.Errorf("%q: %v, %q", args, err, f.notes)
	}
}
