package main

import (
	"bytes"
	"testing"
)

// A screen is drawn on terminals alone, and not on one that is dumb.
func TestTop_WhereItDraws(t *testing.T) {
	_, terminal := openTerminal(t)
	for term, want := range map[string]bool{"xterm": true, "dumb": false} {
		t.Setenv("TERM", term)
		if got := isDrawnOn(terminal, terminal); got != want {
			t.Errorf("TERM=%s: %v", term, got)
		}
	}
	t.Setenv("TERM", "xterm")
	if isDrawnOn(new(bytes.Buffer), terminal) {
		t.Error("it draws into a pipe")
	}
}
