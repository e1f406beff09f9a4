package main

import (
	"bytes"
	"encoding/json"
	"io"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
)

// outputFlag is that of every command that prints.
type outputFlag struct {
	Output string `short:"o" enum:"table,json" default:"table" placeholder:"FORMAT" help:"table, or json: one object a line."`
}

func (f *outputFlag) json() bool { return f.Output == "json" }

// screen is what standard output is shown on.
func (s stdio) screen() terminal.Screen { return terminal.ScreenOf(s.out) }

// encodeLine writes v as one line of JSON in which nothing drives a terminal.
func encodeLine(w io.Writer, v any) error { return encode(w, v, "") }

// encodeIndented is encodeLine for people too.
func encodeIndented(w io.Writer, v any) error { return encode(w, v, "  ") }

func encode(w io.Writer, v any, indent string) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	if err := encoder.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(terminal.JSON(text.Bytes()))
	return err
}
