package main

import (
	"errors"
	"strings"
)

// names is a list of servers.
type names []string

// Decode reads names separated by commas.
func (n *names) Decode(text string) error {
	*n = nil
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name != "" {
			*n = append(*n, name)
		}
	}
	return nil
}

func (n names) String() string { return strings.Join(n, ",") }

// logFormat is how log lines are written.
type logFormat bool

const (
	formatJSON    logFormat = false
	formatConsole logFormat = true
)

func (f logFormat) String() string {
	if f == formatConsole {
		return "console"
	}
	return "json"
}

// UnmarshalText accepts json and console.
func (f *logFormat) UnmarshalText(text []byte) error {
	switch string(text) {
	case "json":
		*f = formatJSON
	case "console":
		*f = formatConsole
	default:
		return errors.New("wants json or console")
	}
	return nil
}
