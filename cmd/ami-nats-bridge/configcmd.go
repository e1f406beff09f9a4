package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env"
)

type configCmd struct {
	Format string `enum:"text,markdown" default:"text" help:"text: the values in force; markdown: the table of docs/configuration.md, defaults only."`
}

// Run prints the variables and returns problems after them, so that one look
// shows both.
func (c *configCmd) Run(std stdio) error {
	if c.Format == "markdown" {
		return writeMarkdown(std.out)
	}
	s, problems := env.Load()
	if err := writeTable(std.out, s.Rows()); err != nil {
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

func writeTable(w io.Writer, rows []env.Row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "VARIABLE\tVALUE\tDEFAULT\tFROM\tMEANING")
	for _, r := range rows {
		if strings.HasPrefix(r.Name, env.ServerPrefix) && !worthShowing(r) {
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", r.Name, orDash(r.Value), orDash(r.ByDefault), r.From, r.Meaning)
	}
	return t.Flush()
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

// writeMarkdown prints what stands in docs/configuration.md. It does not look
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
