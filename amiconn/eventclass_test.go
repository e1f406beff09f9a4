package amiconn

import (
	"errors"
	"strings"
	"testing"
)

// What Asterisk would take for less, or for all, is never sent: whole names of
// classes or an error.
func TestEvents_AreClassesOrAnError(t *testing.T) {
	for text, want := range map[string]Events{
		"on": "on", "ON": "on", " on ": "on", "off": "off", "Off": "off", "all": "on", "call,all": "on",
		"call": "call", "CALL": "call", "call, agent": "call,agent", " Call ,\tAGENT , ": "call,agent", "call,call": "call", "call,,agent": "call,agent",
		strings.Join(EventClasses(), ","): Events(strings.Join(EventClasses(), ",")),
	} {
		var got Events
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q becomes %q, %v; want %q", text, got, err, want)
		}
		if !got.Valid() {
			t.Errorf("%q becomes %q, which is not valid", text, got)
		}
	}
	for text, want := range map[string]string{
		"":              wantsEvents,
		" , ":           wantsEvents,
		"calls":         "entry 1 is not a class of events: " + wantsEvents,
		"call,agents":   "entry 2 is not a class of events: " + wantsEvents,
		"c":             "entry 1 is not a class of events: " + wantsEvents, // Asterisk: call, command, config, cdr and cc
		"none":          "entry 1 is not a class of events: " + wantsEvents,
		"yes":           "entry 1 is not a class of events: " + wantsEvents,
		"call;agent":    "has something else than a comma between two classes: " + wantsEvents,
		"call agent":    "has something else than a comma between two classes: " + wantsEvents,
		"ca ll,agent":   "has something else than a comma between two classes: " + wantsEvents,
		"call\nagent":   "has something else than a comma between two classes: " + wantsEvents,
		"call|agent":    "has something else than a comma between two classes: " + wantsEvents,
		"3":             "has a number, which is not a class: " + wantsEvents,
		"0":             "has a number, which is not a class: " + wantsEvents,
		"call,2":        "has a number, which is not a class: " + wantsEvents,
		"on,call":       "on stands alone: " + wantsEvents,
		"call,off":      "off stands alone: " + wantsEvents,
		"call,\xc3\xa4": "entry 2 is not a class of events: " + wantsEvents,
	} {
		got := Events("before")
		if err := got.UnmarshalText([]byte(text)); err == nil || err.Error() != want || got != "before" {
			t.Errorf("%q: %v, %q; want the error %q", text, err, got, want)
		}
	}
	var unknown *UnknownClassError
	if err := new(Events).UnmarshalText([]byte("call, Agents")); !errors.As(err, &unknown) || unknown.Name != "agents" {
		t.Errorf("an unknown class is %#v", unknown)
	}
	cfg := valid()
	for _, bad := range []Events{"", "CALL", "call, agent", "calls", "call\r\nAction: Logoff"} {
		if cfg.Events = bad; !strings.Contains(cfg.Validate().Error(), "EVENTS: ") {
			t.Errorf("%q is valid", bad)
		}
	}
}

func TestEvents_Has(t *testing.T) {
	for events, want := range map[Events]bool{"on": true, "off": false, "call": true, "agent": false, "agent,call": true, "callx": false} {
		if got := events.Has("call"); got != want {
			t.Errorf("%s has call: %v", events, got)
		}
	}
}
