package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
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
	s, problems := loadSettings()
	if err := writeTable(std.out, s.rows()); err != nil {
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

func writeTable(w io.Writer, rows []row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "VARIABLE\tVALUE\tDEFAULT\tFROM\tMEANING")
	for _, r := range rows {
		if strings.HasPrefix(r.name, serverPrefix) && !worthShowing(r) {
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", r.name, orDash(r.value), orDash(r.byDefault), r.from, r.meaning)
	}
	return t.Flush()
}

// worthShowing leaves out what a server merely has in common with all others.
func worthShowing(r row) bool {
	must := strings.HasSuffix(r.name, "_ADDR") || strings.HasSuffix(r.name, "_USERNAME") || strings.HasSuffix(r.name, "_SECRET")
	return must || r.from == "set" || r.from == envFile || r.from == "refused"
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
	s := defaultSettings()
	s.bridge.Node = "<hostname>"
	text := new(strings.Builder)
	text.WriteString("| variable | default | meaning |\n|---|---|---|\n")
	for _, r := range s.rows() {
		value := ""
		if r.value != "" {
			value = "`" + r.value + "`"
		}
		fmt.Fprintf(text, "| `%s` | %s | %s |\n", r.name, value, strings.ReplaceAll(r.meaning, "<", "&lt;"))
	}
	_, err := io.WriteString(w, text.String())
	return err
}
