package amiconn

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// EventClasses returns the names of the classes of events (manager.c perms, the
// same from Asterisk 1.8 to 23 but that message is since 11 and security since
// 12).
func EventClasses() []string {
	return []string{
		"system", "call", "log", "verbose", "command", "agent", "user", "config", "dtmf", "reporting", "cdr",
		"dialplan", "originate", "agi", "cc", "aoc", "test", "security", "message",
	}
}

// The Events that are no list of classes.
const (
	// AllEvents asks for every event that the user may read.
	AllEvents Events = "on"
	// NoEvents asks for none.
	NoEvents Events = "off"
)

// Events is what a Login asks for: AllEvents, NoEvents, or classes as Asterisk
// spells them, separated by commas. Asterisk compares classes with their case
// and blanks, takes the beginning of a name for the name and an empty one for
// all, and says Success to what it does not know (manager.c strings_to_mask,
// ast_instring), so that nothing but whole names may be asked for.
type Events string

const wantsEvents = "wants on, off, or classes of events separated by commas, such as call,agent"

// UnknownClassError means that a list of classes holds a name of none.
type UnknownClassError struct {
	// Number is the entry of the list, from 1; Name is what it says.
	Number int
	Name   string
}

// Error does not hold the name, which may be a secret in the wrong place.
func (e *UnknownClassError) Error() string {
	return fmt.Sprintf("entry %d is not a class of events: %s", e.Number, wantsEvents)
}

// UnmarshalText accepts on, off, all, and lists of classes in any case with
// blanks around commas.
func (e *Events) UnmarshalText(text []byte) error {
	entries := strings.Split(strings.ToLower(string(text)), ",")
	known := EventClasses()
	var wanted []string
	all := false
	for i, entry := range entries {
		entry = strings.TrimSpace(entry)
		switch {
		case entry == "" || slices.Contains(wanted, entry):
		case slices.Contains(known, entry):
			wanted = append(wanted, entry)
		case entry == "all":
			all = true
		case entry == "on" || entry == "off":
			if len(entries) > 1 {
				return errors.New(entry + " stands alone: " + wantsEvents)
			}
			*e = Events(entry)
			return nil
		case strings.ContainsAny(entry, " \t\r\n;|:/+&"):
			return errors.New("has something else than a comma between two classes: " + wantsEvents)
		case strings.Trim(entry, "0123456789") == "":
			return errors.New("has a number, which is not a class: " + wantsEvents)
		default:
			return &UnknownClassError{Number: i + 1, Name: entry}
		}
	}
	switch {
	case all:
		*e = AllEvents
	case len(wanted) == 0:
		return errors.New(wantsEvents)
	default:
		*e = Events(strings.Join(wanted, ","))
	}
	return nil
}

// Valid reports whether e is as UnmarshalText leaves it.
func (e Events) Valid() bool {
	var same Events
	return same.UnmarshalText([]byte(e)) == nil && same == e
}

// Classes returns the classes that are asked for.
func (e Events) Classes() []string {
	switch e {
	case AllEvents:
		return EventClasses()
	case NoEvents:
		return nil
	}
	return strings.Split(string(e), ",")
}

// Has reports whether events of class are asked for.
func (e Events) Has(class string) bool { return slices.Contains(e.Classes(), class) }
