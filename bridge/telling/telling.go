package telling

import (
	_ "embed"
	"regexp"
	"slices"
	"strings"
	"sync"
)

//go:embed telling.tsv
var table string

// Headers is what to show of each event and status that the table knows, in this order; a
// status has a dot before its name. Nobody changes it.
var Headers = sync.OnceValue(func() map[string][]string {
	all := make(map[string][]string)
	for line := range strings.Lines(table) {
		if name, headers, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok && !strings.HasPrefix(line, "#") {
			all[name] = strings.Fields(headers)
		}
	}
	return all
})

// Plumbing are the headers that say nothing of what happened.
var Plumbing = []string{"Event", "ActionID", "Privilege", "EventList", "SystemName", "SequenceNumber", "Timestamp", "File", "Line", "Func"}

// repeated are the headers that each event of a channel has, without what may
// stand before them, such as Dest.
var repeated = []string{"ChannelState", "ChannelStateDesc", "ConnectedLineNum", "ConnectedLineName", "Language", "AccountCode", "Context",
	"Exten", "Priority", "Uniqueid", "Linkedid", "CallerIDName"}

// Shown are the fields to show of an event or status of that name.
func Shown(name string, fields []Field) []Field {
	var all []Field
	for _, h := range Headers()[name] {
		if value := Saying(Value(fields, h)); value != "" {
			all = append(all, Field{h, value})
		}
	}
	if all == nil {
		return Others(fields)
	}
	return all
}

// Others are the fields of what the table does not know: all that say something.
func Others(fields []Field) []Field {
	var all []Field
	for _, f := range fields {
		usual := slices.Contains(Plumbing, f.Name) || slices.Contains([]string{"at", "server", "node"}, f.Name) ||
			!strings.HasPrefix(f.Name, "Bridge") && slices.ContainsFunc(repeated, func(h string) bool { return strings.HasSuffix(f.Name, h) })
		if Saying(f.Value) != "" && !usual {
			all = append(all, f)
		}
	}
	return all
}

// Saying is value, or "" where Asterisk says that it has none.
func Saying(value string) string {
	if value == "<unknown>" || value == "<none>" {
		return ""
	}
	return value
}

// Matches reports whether grep, which may be nil, finds a message whose payload is raw: in its
// subject, in one of its fields as Name=value, or, where it is no object, in the payload.
func Matches(grep *regexp.Regexp, subject string, fields []Field, raw []byte) bool {
	if grep == nil || grep.MatchString(subject) {
		return true
	}
	for _, f := range fields {
		if grep.MatchString(f.Name + "=" + f.Value) {
			return true
		}
	}
	return fields == nil && grep.Match(raw)
}
