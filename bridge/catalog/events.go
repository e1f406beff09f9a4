package catalog

import (
	_ "embed"
	"maps"
	"slices"
	"strings"
	"sync"
)

//go:embed events.tsv
var eventTable string

// Event is one that Asterisk sends by itself, not as part of a reply.
type Event struct {
	Name string
	// Classes are those that a user has to read, all of them.
	Classes []string
}

// Events returns the events of Asterisk 1.8 to 23. Nobody changes them.
var Events = sync.OnceValue(func() []Event {
	var all []Event
	for line := range strings.Lines(eventTable) {
		if name, classes, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok && !strings.HasPrefix(line, "#") {
			all = append(all, Event{name, strings.Split(classes, ",")})
		}
	}
	return all
})

// EventNames returns the names of Events.
func EventNames() []string {
	names := make([]string, len(Events()))
	for i, e := range Events() {
		names[i] = e.Name
	}
	return names
}

// Actions returns the names of the Actions that are known, sorted.
func Actions() []string {
	names := make(map[string]bool)
	for _, r := range rows() {
		names[r.action] = true
	}
	return slices.Sorted(maps.Keys(names))
}
