package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
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
	seen := map[string]int{}
	for page, text := range pagesOf(t) {
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
			switch {
			case len(words) == 0:
			case words[0] == "make" && len(words) > 1:
				seen["make"]++
				for _, target := range words[1:] {
					if !strings.Contains(target, "=") && !regexp.MustCompile(`(?m)^`+target+`:`).Match(makefile) {
						t.Errorf("%s: `%s`: no target %s", page, span, target)
					}
				}
			case words[0] == "go" && len(words) > 1:
				seen["go"]++
				for _, place := range words {
					if dir, isPlace := strings.CutPrefix(place, "./"); isPlace && !strings.HasSuffix(dir, "...") {
						if _, err := os.Stat("../../" + dir); err != nil {
							t.Errorf("%s: `%s`: %v", page, span, err)
						}
					}
				}
			case own && child(parser.Model.Node, words[0]) == nil && regexp.MustCompile(`^[a-z]`).MatchString(words[0]):
				t.Errorf("%s: `%s`: no command %s", page, span, words[0])
			case child(parser.Model.Node, words[0]) != nil && (own || strings.Contains(span, " -")):
				seen["own"]++
				for _, flag := range regexp.MustCompile(` (--?[a-z][a-z-]*)`).FindAllStringSubmatch(" "+strings.Join(words[1:], " "), -1) {
					if flag[1] != "--help" && flagOf(child(parser.Model.Node, words[0]), flag[1]) == nil {
						t.Errorf("%s: `%s`: no flag %s", page, span, flag[1])
					}
				}
			}
		}
	}
	if seen["make"] < 15 || seen["go"] < 5 || seen["own"] < 60 {
		t.Errorf("found only %v", slices.Sorted(maps.Keys(seen)))
	}
}
