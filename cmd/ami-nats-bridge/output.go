package main

import "github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"

// outputFlag is that of every command that prints.
type outputFlag struct {
	Output string `short:"o" enum:"table,json" default:"table" placeholder:"FORMAT" help:"table, or json: one object a line."`
}

func (f *outputFlag) json() bool { return f.Output == "json" }

// screen is what standard output is shown on.
func (s stdio) screen() terminal.Screen { return terminal.ScreenOf(s.out) }
