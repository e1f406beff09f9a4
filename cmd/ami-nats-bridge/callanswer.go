package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
)

// answer is a reply of the bridge.
type answer struct {
	Server   string            `json:"server"`
	Node     string            `json:"node"`
	Action   string            `json:"action"`
	Response string            `json:"response"`
	Message  string            `json:"message"`
	Fields   json.RawMessage   `json:"fields"`
	Events   []json.RawMessage `json:"events"`
	Output   []string          `json:"output"`
	Took     float64           `json:"duration_ms"`
	Error    *struct {
		Code         int    `json:"code"`
		Kind         string `json:"kind"`
		Sent         string `json:"sent"`
		RetryAfterMS int64  `json:"retry_after_ms"`
		Message      string `json:"message"`
	} `json:"error"`
}

// reply prints what Asterisk said; an error goes to stderr and into the exit
// code, after whatever came with it. Behind parts there is nothing more to say.
func (r *replies) reply(m *nats.Msg, behindParts bool) error {
	var a answer
	wrong := json.Unmarshal(m.Data, &a)
	var err error
	switch {
	case r.c.json():
		_, err = fmt.Fprintf(r.std.out, "%s\n", terminal.JSON(m.Data))
	case wrong == nil:
		err = r.show(&a, behindParts)
	}
	if err != nil {
		return err
	}
	switch {
	case a.Error != nil && r.every:
		fmt.Fprintf(r.std.err, "%s: %s\n", terminal.Printable(a.Server), a.failure())
		return &exitError{code: 1}
	case a.Error != nil:
		return &exitError{code: 1, text: a.failure()}
	case m.Header.Get("Nats-Service-Error") != "":
		return &exitError{code: 1, text: "error: " + terminal.Printable(m.Header.Get("Nats-Service-Error"))}
	case wrong != nil:
		return fmt.Errorf("the reply is not JSON: %w", wrong)
	}
	return nil
}

// show prints an answer for people. Where others than a named server may have
// answered it says who did.
func (r *replies) show(a *answer, behindParts bool) error {
	took := time.Duration(a.Took * float64(time.Millisecond)).Round(100 * time.Microsecond)
	switch {
	case a.Error != nil && r.every && a.Output == nil && a.Events == nil:
		return nil
	case r.every:
		if r.shown > 1 {
			fmt.Fprintln(r.std.out)
		}
		line := terminal.Line{{Style: terminal.Bold, Text: terminal.Printable(a.Server)}, {Style: terminal.Dim, Text: fmt.Sprintf(", in %v", took)}}
		if err := r.std.screen().Print(r.std.out, line); err != nil {
			return err
		}
	case a.Error == nil && a.Server != "" && a.Server != r.c.Server:
		fmt.Fprintf(r.std.err, "answered by %s in %v\n", terminal.Printable(a.Server), took)
	}
	if behindParts {
		return nil
	}
	return r.print(a)
}

// print prints what Asterisk said.
func (r *replies) print(a *answer) error {
	w := r.std.out
	if len(a.Output) > 0 {
		for _, line := range a.Output {
			if _, err := fmt.Fprintln(w, terminal.Printable(strings.ReplaceAll(line, "\t", "        "))); err != nil {
				return err
			}
		}
		return nil
	}
	if len(a.Events) > 0 {
		for _, note := range noColumns(a.Events, r.c.Columns) {
			if !r.noted {
				fmt.Fprintln(r.std.err, "ami-nats-bridge:", note)
			}
		}
		r.noted = true
		return printTables(w, r.std.screen(), a.Events, r.c.Columns)
	}
	if a.Error != nil {
		return nil // Response and Message are in the error
	}
	for _, f := range fieldsOf(a.Fields) {
		if f.Name == "ActionID" || f.Name == "EventList" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%s: %s\n", f.Name, f.Value); err != nil {
			return err
		}
	}
	return nil
}

// printPart prints lines of output as they are and an event as a line, with the
// server before it where there may be several.
func (r *replies) printPart(server string, part []byte) error {
	var a answer
	before := ""
	if r.every && !r.c.json() {
		before = terminal.Printable(server) + ": "
	}
	if r.c.json() || json.Unmarshal(part, &a) != nil || a.Output == nil {
		_, err := fmt.Fprintf(r.std.out, "%s%s\n", before, terminal.JSON(part))
		return err
	}
	for _, line := range a.Output {
		if _, err := fmt.Fprintln(r.std.out, before+terminal.Printable(strings.ReplaceAll(line, "\t", "        "))); err != nil {
			return err
		}
	}
	return nil
}

// failure is an error in words: what went wrong, whether it reached Asterisk, and
// when to ask again.
func (a *answer) failure() string {
	text := a.Error.Kind
	switch said := a.Error.Message; {
	case a.Error.Kind == "asterisk_error" && a.Message != "":
		text += ": " + a.Message
	case strings.HasPrefix(said, strings.ReplaceAll(text, "_", " ")):
		text = said // it begins with the same words
	case said != "":
		text += ": " + said
	}
	text = fmt.Sprintf("error: %s (sent: %s", text, a.Error.Sent)
	if a.Error.RetryAfterMS > 0 {
		text += ", retry after " + (time.Duration(a.Error.RetryAfterMS) * time.Millisecond).String()
	}
	return terminal.Printable(text + ")")
}
