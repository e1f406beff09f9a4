package main

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
)

//go:embed telling.tsv
var tellingTable string

// telling is what to show of each event and status that the table knows.
// Nobody changes it.
var telling = sync.OnceValue(func() map[string][]string {
	all := make(map[string][]string)
	for line := range strings.Lines(tellingTable) {
		if name, headers, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok && !strings.HasPrefix(line, "#") {
			all[name] = strings.Fields(headers)
		}
	}
	return all
})

// plumbing are the headers that say nothing of what happened.
var plumbing = []string{"Event", "ActionID", "Privilege", "EventList", "SystemName", "SequenceNumber", "Timestamp", "File", "Line", "Func"}

// repeated are the headers that each event of a channel has, without what may
// stand before them, such as Dest.
var repeated = []string{"ChannelState", "ChannelStateDesc", "ConnectedLineNum", "ConnectedLineName", "Language", "AccountCode", "Context",
	"Exten", "Priority", "Uniqueid", "Linkedid", "CallerIDName"}

// shownFields are the fields to show of an event or status of that name.
func shownFields(name string, fields []field) []field {
	var all []field
	for _, h := range telling()[name] {
		if value := saying(valueOf(fields, h)); value != "" {
			all = append(all, field{h, value})
		}
	}
	if all == nil {
		return others(fields)
	}
	return all
}

// others are the fields of what the table does not know: all that say something.
func others(fields []field) []field {
	var all []field
	for _, f := range fields {
		usual := slices.Contains(plumbing, f.name) || slices.Contains([]string{"at", "server", "node"}, f.name) ||
			!strings.HasPrefix(f.name, "Bridge") && slices.ContainsFunc(repeated, func(h string) bool { return strings.HasSuffix(f.name, h) })
		if saying(f.value) != "" && !usual {
			all = append(all, f)
		}
	}
	return all
}

// saying is value, or "" where Asterisk says that it has none.
func saying(value string) string {
	if value == "<unknown>" || value == "<none>" {
		return ""
	}
	return value
}
