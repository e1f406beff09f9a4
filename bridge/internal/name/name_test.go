package name

import (
	"strings"
	"testing"
)

// Names of Actions and of servers are of the characters that NATS, Asterisk and
// every comparison take for themselves.
func TestName_Limits(t *testing.T) {
	for name, want := range map[string]bool{
		"Originate": true, "a-b_C9": true, strings.Repeat("x", 64): true, strings.Repeat("x", 65): false, "": false, "a.b": false, "a b": false,
		"\x01Command": false, "é": false, "a*": false, "a:b": false, "a/b": false,
	} {
		if _, err := ParseAction(name); (err == nil) != want {
			t.Errorf("the Action %q: %v", name, err)
		}
	}
	for name, want := range map[string]bool{
		"sales": true, strings.Repeat("x", 32): true, strings.Repeat("x", 33): false, "": false, "a.b": false, "pbx 1": false,
	} {
		if _, err := ParseServer(name); (err == nil) != want {
			t.Errorf("the server %q: %v", name, err)
		}
	}
	if got := (Action{}).String(); got != UnknownAction {
		t.Errorf("no name is called %q", got)
	}
}
