package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
)

type configCmd struct {
	Output string `short:"o" enum:"table,json,markdown" default:"table" placeholder:"FORMAT" help:"table, or json (one object a line): the values in force; markdown: the table of docs/variables.md, defaults only."`
}

// Run prints the variables and returns problems after them, so that one look
// shows both.
func (c *configCmd) Run(std stdio) error {
	if c.Output == "markdown" {
		return writeMarkdown(std.out)
	}
	s, problems := env.Load()
	write := writeTable
	if c.Output == "json" {
		write = writeRows
	}
	if err := write(std, s.Rows()); err != nil {
		return err
	}
	return configError(problems)
}

// configError is nil if there is no problem.
func configError(problems []string) error {
	if len(problems) == 0 {
		return nil
	}
	return &exitError{code: 2, text: strings.Join(problems, "\n")}
}

// writeTable leaves nothing out, for a value is to be copied: on a terminal, which is
// narrower than the table, a variable has lines of its own.
func writeTable(std stdio, rows []env.Row) error {
	screen := std.screen()
	if screen.Width > 0 {
		return writeLines(std.out, screen, shown(rows))
	}
	t := terminal.Table{Head: []string{"VARIABLE", "VALUE", "DEFAULT", "FROM", "MEANING"}}
	for _, r := range shown(rows) {
		t.Rows = append(t.Rows, []string{r.Name, orDash(r.Value), orDash(r.ByDefault), r.From, r.Meaning})
	}
	_, err := screen.PrintTable(std.out, &t)
	return err
}

// writeLines prints each variable with its value and, where that is another one, its default
// and who says so; below it what it means, in lines that fit.
func writeLines(w io.Writer, screen terminal.Screen, rows []env.Row) error {
	for _, r := range rows {
		said := ""
		if r.From != "default" {
			said = "  " + r.From + ", default " + orDash(r.ByDefault)
		}
		line := r.Name + "=" + r.Value
		long := terminal.Screen{Colour: screen.Colour} // a value is not cut
		style := terminal.Plain
		if said != "" {
			style = terminal.Bold
		}
		if err := long.Print(w, terminal.Line{{Style: style, Text: line}, {Style: terminal.Dim, Text: said}}); err != nil {
			return err
		}
		for _, part := range folded(r.Meaning, screen.Width-4) {
			if err := screen.Print(w, terminal.Line{{Style: terminal.Dim, Text: "    " + part}}); err != nil {
				return err
			}
		}
	}
	return nil
}

// folded is text in lines of so many columns; a longer word has a line of its own.
func folded(text string, columns int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case terminal.Width(line+" "+word) > columns:
			lines, line = append(lines, line), word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

// writeRows is writeTable for programs.
func writeRows(std stdio, rows []env.Row) error {
	for _, r := range shown(rows) {
		err := encodeLine(std.out, struct {
			Variable string `json:"variable"`
			Value    string `json:"value"`
			Default  string `json:"default"`
			From     string `json:"from"`
			Meaning  string `json:"meaning"`
		}{r.Name, r.Value, r.ByDefault, r.From, r.Meaning})
		if err != nil {
			return err
		}
	}
	return nil
}

// shown are the rows without what a server has in common with all others.
func shown(rows []env.Row) []env.Row {
	return slices.DeleteFunc(slices.Clone(rows), func(r env.Row) bool {
		return strings.HasPrefix(r.Name, env.ServerPrefix) && !worthShowing(r)
	})
}

// worthShowing leaves out what a server merely has in common with all others.
func worthShowing(r env.Row) bool {
	must := strings.HasSuffix(r.Name, "_ADDR") || strings.HasSuffix(r.Name, "_USERNAME") || strings.HasSuffix(r.Name, "_SECRET")
	return must || r.From == "set" || r.From == env.EnvFile || r.From == "refused"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// writeMarkdown prints what stands in docs/variables.md. It does not look
// at the environment.
func writeMarkdown(w io.Writer) error {
	s := env.Defaults()
	s.Bridge.Node = "<hostname>"
	text := new(strings.Builder)
	text.WriteString("| variable | default | meaning |\n|---|---|---|\n")
	for _, r := range s.Rows() {
		value := ""
		if r.Value != "" {
			value = "`" + r.Value + "`"
		}
		fmt.Fprintf(text, "| `%s` | %s | %s |\n", r.Name, value, strings.ReplaceAll(r.Meaning, "<", "&lt;"))
	}
	_, err := io.WriteString(w, text.String())
	return err
}
