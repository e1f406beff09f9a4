package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// pageCommand is a command as a page shows it.
type pageCommand struct {
	page string
	text string // what is typed, of all its lines
}

// programs are those whose commands the pages show.
var programs = strings.Fields("ami-nats-bridge ./bin/ami-nats-bridge bin/ami-nats-bridge make nats go git curl openssl journalctl systemctl docker kubectl jq")

// programOf is the program that a line calls, behind the variables that it sets; "" if it
// is none of programs.
func programOf(line string) string {
	for word := range strings.FieldsSeq(line) {
		if !regexp.MustCompile(`^[A-Z][A-Z0-9_]*=`).MatchString(word) {
			if slices.Contains(programs, word) {
				return word
			}
			return ""
		}
	}
	return ""
}

// pagesOf is each page that people read, by its path from the root.
func pagesOf(t *testing.T) map[string]string {
	t.Helper()
	names := []string{"../../README.md", "../../CONTRIBUTING.md"}
	for _, pattern := range []string{"../../docs/*.md", "../../docs/*/*.md", "../../deploy/*.md", "../../deploy/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, found...)
	}
	pages := map[string]string{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		pages[strings.TrimPrefix(name, "../../")] = string(text)
	}
	return pages
}

// shownIn are the commands that stand in a page's blocks, fenced or indented, a command a
// line or, with \ at its end, more. What a block of a session shows without $ is output.
func shownIn(page, text string) (all []pageCommand) {
	fence, more := "", ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if rest, isFence := strings.CutPrefix(line, "```"); isFence {
			switch {
			case fence != "":
				fence = ""
			case rest == "":
				fence = "plain"
			default:
				fence = rest
			}
			continue
		}
		typed, prompted := strings.CutPrefix(line, "$ ")
		switch {
		case more != "":
		case fence == "console" && !prompted, fence == "" && !strings.HasPrefix(line, "    "):
			continue
		case programOf(typed) == "" && !strings.HasSuffix(strings.TrimSpace(line), `\`):
			continue
		}
		typed = more + strings.TrimSpace(typed)
		if before, goesOn := strings.CutSuffix(typed, `\`); goesOn {
			more = before
			continue
		}
		if more = ""; programOf(typed) != "" {
			all = append(all, pageCommand{page, typed})
		}
	}
	return all
}

// spansOf are the pieces of code inside a page's text.
func spansOf(text string) (all []string) {
	text = regexp.MustCompile("(?s)```.*?```").ReplaceAllString(text, "")
	for _, m := range regexp.MustCompile("`([^`\n]+)`").FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

// A command inside a page's text, with or without the name of the program, is one that there
// is, and so are its flags; what it names of make, of the module's tests and of its programs
// is there.
func TestDocs_CommandsInTheTextExist(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	parser, err := newParser(stdio{}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	pages := pagesOf(t)
	for _, command := range parser.Model.Children {
		help, _ := printed(t, 0, command.Name, "--help")
		for _, m := range regexp.MustCompile(`(?m)^ +(ami-nats-bridge .*)$`).FindAllStringSubmatch(help, -1) {
			pages["help "+command.Name] += "`" + m[1] + "`\n"
		}
	}
	seen := map[string]int{}
	for page, text := range pages {
		all := spansOf(text)
		for _, c := range shownIn(page, text) {
			all = append(all, c.text)
		}
		for _, span := range all {
			typed, _, _ := strings.Cut(span, " #")
			words := strings.Fields(typed)
			own := slices.Contains(programs[:3], words[0])
			if own {
				words = words[1:]
			}
			if len(words) > 0 {
				kind, why := wrongWith(parser, string(makefile), words, own, strings.Contains(span, " -"))
				seen[kind]++
				if why != "" {
					t.Errorf("%s: `%s`: %s", page, span, why)
				}
			}
		}
	}
	if seen["make"] < 15 || seen["go"] < 5 || seen["own"] < 90 {
		t.Errorf("found only %v", slices.Sorted(maps.Keys(seen)))
	}
}

// wrongWith says what of a command's words is not there, and whose command it is; own says
// that the program's name stands before them, flagged that there are flags among them.
func wrongWith(parser *kong.Kong, makefile string, words []string, own, flagged bool) (kind, why string) {
	command := child(parser.Model.Node, words[0])
	switch {
	case words[0] == "make" && len(words) > 1:
		for _, target := range words[1:] {
			if !strings.Contains(target, "=") && !regexp.MustCompile(`(?m)^`+target+`:`).MatchString(makefile) {
				return "make", "no target " + target
			}
		}
		return "make", ""
	case words[0] == "go" && len(words) > 1:
		for _, place := range words {
			if dir, isPlace := strings.CutPrefix(place, "./"); isPlace && !strings.HasSuffix(dir, "...") {
				if _, err := os.Stat("../../" + dir); err != nil {
					return "go", err.Error()
				}
			}
		}
		return "go", ""
	case own && command == nil && regexp.MustCompile(`^[a-z]`).MatchString(words[0]):
		return "own", "no command " + words[0]
	case command == nil || !own && !flagged:
		return "other", ""
	}
	for _, flag := range regexp.MustCompile(` (--?[a-z][a-z-]*)`).FindAllStringSubmatch(" "+strings.Join(words[1:], " "), -1) {
		if flag[1] != "--help" && flagOf(command, flag[1]) == nil {
			return "own", "no flag " + flag[1]
		}
	}
	return "own", ""
}
