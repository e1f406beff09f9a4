package policy

import (
	"strings"
	"testing"
)

// What Asterisk would cut is refused, in any spelling and whichever of several it is,
// so that a rule judges what is read.
func TestUncut(t *testing.T) {
	long := strings.Repeat("n", 300)
	for _, c := range []struct {
		action, headers string
		ok              bool
	}{
		{"Originate", "Channel: PJSIP/100\nCallerID: x <100>\nVariable: X=" + long, true},
		{"Originate", "Channel: " + long[:255], true},
		{"Originate", "Channel:    " + long[:255], true}, // blanks in front do not count
		{"Originate", "Channel: " + long[:256], false},
		{"originate", "CALLERID: x\ncallerid: \"x\" <110>" + strings.Repeat(" ", 250) + "<100>", false},
		{"Originate", "Exten: " + long[:80], false},
		{"Redirect", "ExtraContext: " + long[:80], false},
		{"QueueAdd", "Interface: " + long[:79], true},
		{"QueueAdd", "Interface: Local/1@internal/" + long + "@agents", false},
		{"UserEvent", "Channel: " + long, true},
	} {
		if err := Uncut(actionOf(c.action), testHeaders(c.headers)); (err == nil) != c.ok {
			t.Errorf("%s %.80q: %v", c.action, c.headers, err)
		} else if err != nil && strings.Contains(err.Error(), "nnn") {
			t.Errorf("%q holds the value", err)
		}
	}
}
