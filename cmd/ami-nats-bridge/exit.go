package main

import (
	"errors"
	"fmt"
)

// exitError ends the program with a code and a text of its own.
type exitError struct {
	code int
	text string
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
