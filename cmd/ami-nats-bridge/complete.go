package main

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/catalog"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/replay"
)

// completeCmd is what the scripts of completion ask. It is silent about what goes
// wrong: there is no place to say it.
type completeCmd struct {
	Line  string   `help:"The line up to the cursor."`
	Words []string `arg:"" optional:"" help:"Or its words, without the program's name; the last is to be completed."`
}

// candidate is a word that may stand there, and what it is.
type candidate struct{ word, help string }

// wordRule is a word of a shell's line, quoted or not.
var wordRule = regexp.MustCompile(`(?:'[^']*'?|"[^"]*"?|\\.|[^\s'"\\])+`)

// Run prints the candidates, each in a line with its meaning behind a tab.
func (c *completeCmd) Run(std stdio) error {
	words := c.Words
	if c.Line != "" {
		words = wordRule.FindAllString(c.Line, -1)
		if strings.TrimRight(c.Line, " \t") != c.Line {
			words = append(words, "")
		}
		if len(words) > 0 {
			words = words[1:]
		}
	}
	if len(words) == 0 {
		words = []string{""}
	}
	for i := range words {
		words[i] = strings.Trim(words[i], `'"`)
	}
	parser, err := newParser(std, func(int) {})
	if err != nil {
		return err
	}
	l := completing{app: parser.Model.Node, before: words[:len(words)-1], current: words[len(words)-1]}
	for _, one := range l.candidates() {
		if strings.HasPrefix(one.word, l.current) {
			fmt.Fprintf(std.out, "%s\t%s\n", one.word, one.help)
		}
	}
	return nil
}

// completing is a line whose current word is wanted.
type completing struct {
	app     *kong.Node
	before  []string
	current string
}

func (l *completing) candidates() []candidate {
	if len(l.before) == 0 {
		return append(l.commands(), flagsOf(l.app)...)
	}
	command := child(l.app, l.before[0])
	if command == nil {
		return nil
	}
	if name, _, ok := strings.Cut(l.current, "="); ok && strings.HasPrefix(name, "--") {
		var all []candidate
		for _, c := range l.values(flagOf(command, name)) {
			all = append(all, candidate{name + "=" + c.word, c.help})
		}
		return all
	}
	if strings.HasPrefix(l.current, "-") {
		return flagsOf(command)
	}
	if f := flagOf(command, l.before[len(l.before)-1]); f != nil && !f.IsBool() {
		return l.values(f)
	}
	return l.positional(command)
}

func (l *completing) commands() (all []candidate) {
	for _, c := range commandsOf(l.app) {
		all = append(all, candidate{c.Name, c.Help})
	}
	return all
}

func child(app *kong.Node, name string) *kong.Node {
	for _, c := range app.Children {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// flagOf is the flag of a command that word is; nil if it is none.
func flagOf(command *kong.Node, word string) *kong.Flag {
	for _, f := range command.Flags {
		if word == "--"+f.Name || f.Short != 0 && word == "-"+string(f.Short) {
			return f
		}
	}
	return nil
}

func flagsOf(command *kong.Node) []candidate {
	all := []candidate{{"--help", "Show the help."}}
	for _, f := range command.Flags {
		if f.Name != "help" {
			all = append(all, candidate{"--" + f.Name, f.Help})
		}
	}
	return all
}

// values are those that a flag may have.
func (l *completing) values(f *kong.Flag) []candidate {
	if f == nil {
		return nil
	}
	switch f.Name {
	case "server":
		servers, _ := l.served()
		return plainly(servers)
	case "group":
		_, groups := l.served()
		return plainly(groups)
	case "event":
		return plainly(catalog.EventNames())
	case "action":
		return plainly(catalog.Actions())
	case "outcome":
		return plainly(replay.Ends())
	case "decision":
		return plainly(replay.Decisions())
	}
	if f.Enum != "" {
		return plainly(f.EnumSlice())
	}
	return nil
}
