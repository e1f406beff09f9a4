package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/catalog"
)

type manCmd struct {
	Command string `arg:"" optional:"" help:"The command; the program without."`
}

// Help is printed below the command's line in its own help.
func (*manCmd) Help() string { return "  ami-nats-bridge man call | man -l -" }

// Run prints the page, made of what --help is made of.
func (c *manCmd) Run(std stdio) error {
	parser, err := newParser(std, func(int) {})
	if err != nil {
		return err
	}
	app := parser.Model.Node
	if c.Command == "" {
		return writeMan(std.out, app, app)
	}
	node := child(app, c.Command)
	if node == nil || node.Hidden {
		return usage("%s", catalog.Unlike("command", c.Command, commandNames(app)))
	}
	return writeMan(std.out, app, node)
}

// commandsOf are the commands that are shown.
func commandsOf(app *kong.Node) []*kong.Node {
	return slices.DeleteFunc(slices.Clone(app.Children), func(c *kong.Node) bool { return c.Hidden })
}

func commandNames(app *kong.Node) (names []string) {
	for _, c := range commandsOf(app) {
		names = append(names, c.Name)
	}
	return names
}

// roff escapes what man(7) would take for a request or an escape.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "→", "->", "…", "...").Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

// writeMan writes the page of node, which is app or one of its commands.
func writeMan(w io.Writer, app, node *kong.Node) error {
	name := "ami-nats-bridge"
	var text strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }
	title, about := name, "Asterisk's Manager Interface on NATS"
	if node != app {
		title, about = name+"-"+node.Name, strings.TrimSuffix(node.Help, ".")
	}
	say(`.TH %s 1 "" "%s" "%s"`, strings.ToUpper(roff(title)), roff(name+" "+version()), name)
	say(".SH NAME\n%s \\- %s", roff(title), roff(about))
	if node == app {
		say(".SH SYNOPSIS\n.B %s\n.I command\n[flags]", roff(name))
		say(".SH DESCRIPTION\n%s", roff(description))
		say(".SH COMMANDS")
		for _, c := range commandsOf(app) {
			say(".TP\n.BR %s (1)\n%s", roff(name+"-"+c.Name), roff(c.Help))
		}
	} else {
		say(".SH SYNOPSIS\n.B %s\n%s", roff(name+" "+node.Name), roff(strings.TrimPrefix(node.Summary(), node.Name+" ")))
		say(".SH DESCRIPTION\n%s", roff(node.Help))
		manArguments(say, node)
	}
	manFlags(say, node)
	if detail := node.Detail; detail != "" {
		say(".SH NOTES\n.nf\n%s\n.fi", roff(detail))
	}
	if node == app {
		say(".SH EXAMPLES\n.nf\n%s\n.fi", roff(strings.TrimPrefix(strings.TrimSpace(examples), "Examples:\n")))
	}
	say(".SH EXIT STATUS\n0: done. 1: failed, or not all of it. 2: wrong usage or configuration.")
	say(".SH ENVIRONMENT\n.B %s\nprints every BRIDGE_ variable and its meaning.", roff(name+" config"))
	_, err := io.WriteString(w, text.String())
	return err
}

func manArguments(say func(string, ...any), node *kong.Node) {
	if len(node.Positional) == 0 {
		return
	}
	say(".SH ARGUMENTS")
	for _, p := range node.Positional {
		say(".TP\n.I %s\n%s", roff(p.Name), roff(p.Help))
	}
}

func manFlags(say func(string, ...any), node *kong.Node) {
	say(".SH OPTIONS")
	for _, f := range node.Flags {
		if !f.Hidden {
			say(".TP\n.B %s\n%s", roff(f.String()), roff(f.Help))
		}
	}
}
