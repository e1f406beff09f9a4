package main

import (
	"errors"
	"fmt"

	"github.com/alecthomas/kong"
)

// exitError ends the program with a code and a text of its own.
type exitError struct {
	code  int
	text  string
	usage bool // it is of the command line, which the command's help explains
}

func (e *exitError) Error() string { return e.text }

// report prints err and returns the exit code that it stands for.
func report(std stdio, err error) int {
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[*exitError](err); ok {
		if e.text != "" {
			fmt.Fprintln(std.err, e.text)
		}
		return e.code
	}
	fmt.Fprintln(std.err, "ami-nats-bridge:", err)
	return 1
}

// see says where the help for a line is that could not be parsed: that of the
// command as far as it was understood.
func see(std stdio, err error) string {
	var command *kong.Node
	if wrong, ok := errors.AsType[*kong.ParseError](err); ok {
		for _, p := range wrong.Context.Path {
			if p.Command != nil {
				command = p.Command
			}
		}
	}
	return seeHelp(std, command)
}

func seeHelp(std stdio, command *kong.Node) string {
	if command == nil {
		return fmt.Sprintf(" (see %s --help)", std.name)
	}
	return fmt.Sprintf(" (see %s %s --help)", std.name, command.Name)
}

// pointed is err with where the command's help is, if it is of the command line.
func pointed(err error, std stdio, command *kong.Node) error {
	if e, ok := errors.AsType[*exitError](err); ok && e.usage {
		return &exitError{code: e.code, text: e.text + seeHelp(std, command)}
	}
	return err
}
