package name

import (
	"errors"
	"fmt"
	"strings"
)

// Action is an Action's name, parsed once from the subject: letters, digits,
// _ and -. All who read it then read the same: Asterisk skips control characters
// and blanks in front of a value (manager.c astman_get_header), so that it runs
// \x01Command, which no comparison here takes for Command. The zero value is
// what was no name.
type Action struct{ text string }

// UnknownAction stands for what is no Action's name, in replies and as the
// subject of its audit, and for all Actions that no Asterisk has where refusals
// are counted: callers invent their names.
const UnknownAction = "_unknown"

const (
	maxAction = 64
	maxServer = 32
)

var ErrNoAction = errors.New("the subject's last token is not an Action: it wants 1 to 64 of A-Z a-z 0-9 _ -")

// ParseAction reads the last token of a request's subject.
func ParseAction(token string) (Action, error) {
	if !Valid(token, maxAction) {
		return Action{}, ErrNoAction
	}
	return Action{token}, nil
}

// String returns the name as the subject spells it.
func (n Action) String() string {
	if n.text == "" {
		return UnknownAction
	}
	return n.text
}

// Is reports whether n is the Action called name: Asterisk ignores the case of
// it (manager.c action_find).
func (n Action) Is(name string) bool { return strings.EqualFold(n.text, name) }

// Server is the name of a server or of a group of them.
type Server struct{ text string }

// String returns the name as it was given, or "" for none.
func (n Server) String() string { return n.text }

// ParseServer reads the name of a server or a group: 1 to 32 of A-Z a-z 0-9 _ -.
func ParseServer(text string) (Server, error) {
	if !Valid(text, maxServer) {
		return Server{}, fmt.Errorf("%.40q names no server and no group: wants 1 to 32 of A-Z a-z 0-9 _ -", text)
	}
	return Server{text}, nil
}

// Valid reports whether text is 1 to most of the bytes that NATS, Asterisk and
// every comparison take for themselves.
func Valid(text string, most int) bool {
	for i := range len(text) {
		c := text[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-') {
			return false
		}
	}
	return text != "" && len(text) <= most
}

// CheckHeader wants printable ASCII without a colon and without a blank at
// either end: Asterisk would read another name there, or none.
func CheckHeader(name string) error {
	for i := range len(name) {
		if name[i] < ' ' || name[i] > '~' || name[i] == ':' {
			return fmt.Errorf("%.40q is not a header's name: wants printable ASCII without a colon", name)
		}
	}
	if name == "" || name[0] == ' ' || name[len(name)-1] == ' ' {
		return fmt.Errorf("%.40q is not a header's name: it is empty, or begins or ends with a blank", name)
	}
	return nil
}
