package amisim

import (
	"bytes"
	"strings"
)

const (
	maxInput   = 1024 // bytes of a line with its end: sizeof inbuf less the NUL (manager.h)
	maxHeaders = 128  // AST_MAX_MANHEADERS
)

// Action is one message as Asterisk reads it (manager.c get_input).
type Action struct {
	Name     string   // value of the header Action
	ActionID string   // as sent, "" if none
	Lines    []string // the header lines as received, at most 128

	defect string // why it could not be parsed
}

// Get returns the value of the first header named key, compared ignoring case,
// without leading blanks (manager.c astman_get_header).
func (a *Action) Get(key string) string {
	for _, line := range a.Lines {
		if v, ok := headerValue(line, key); ok {
			return v
		}
	}
	return ""
}

func headerValue(line, key string) (string, bool) {
	if len(line) <= len(key) || line[len(key)] != ':' || !strings.EqualFold(line[:len(key)], key) {
		return "", false
	}
	return strings.TrimLeft(line[len(key)+1:], " \t\r\n"), true
}

// input cuts received bytes into Actions.
type input struct {
	line   [maxInput]byte
	n      int
	lines  []string
	defect string
}

// feed takes p and hands each Action that it completes to take, until that
// returns false.
func (in *input) feed(p []byte, take func(*Action) bool) bool {
	for _, c := range p {
		if in.n == len(in.line) {
			// Asterisk 14 and later keep the last byte, which may be the CR of
			// the line end (ASTERISK-20524); then the LF ends the message.
			in.defect = "Failed to parse message: line too long"
			in.line[0], in.n = in.line[in.n-1], 1
		}
		in.line[in.n] = c
		in.n++
		if c != '\n' {
			continue
		}
		line := bytes.TrimSuffix(in.line[:in.n-1], []byte("\r"))
		in.n = 0
		if a := in.add(line); a != nil && !take(a) {
			return false
		}
	}
	return true
}

// add takes a line, and returns the Action that an empty one ends.
func (in *input) add(line []byte) *Action {
	if i := bytes.IndexByte(line, 0); i >= 0 {
		line = line[:i]
	}
	switch {
	case len(line) == 0:
		a := &Action{Lines: in.lines, defect: in.defect}
		a.ActionID = a.Get("ActionID")
		for _, line := range a.Lines {
			if v, ok := headerValue(line, "Action"); ok && v != "" {
				a.Name = v
				break
			}
		}
		in.lines, in.defect = nil, ""
		return a
	case len(in.lines) == maxHeaders:
		in.defect = "Too many lines in message or allocation failure"
	default:
		in.lines = append(in.lines, string(line))
	}
	return nil
}
