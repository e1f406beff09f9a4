package catalog

import (
	_ "embed"
	"strings"
	"sync"
)

//go:embed actions.tsv
var table string

// row is one line of the table. A 0 in a header stands for any digit, and "*" for
// any header.
type row struct {
	action  string
	reads   bool
	headers []string
}

// rows returns the table by the names of the Actions as Asterisk spells them
// and in lower case. Nobody changes it.
var rows = sync.OnceValue(func() map[string]row {
	m := make(map[string]row)
	for line := range strings.Lines(table) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Fields(line)
		r := row{action: f[0], reads: f[2] == "yes", headers: f[3:]}
		m[r.action], m[strings.ToLower(r.action)] = r, r
	}
	return m
})

func find(action string) (row, bool) {
	if r, ok := rows()[action]; ok {
		return r, true
	}
	r, ok := rows()[strings.ToLower(action)]
	return r, ok
}

// Canonical returns action as Asterisk spells it, or action itself if it is none
// that is known. AMI ignores the case of an Action.
func Canonical(action string) string {
	if r, ok := find(action); ok {
		return r.action
	}
	return action
}

// Known reports whether some Asterisk has action, however it is spelled.
func Known(action string) bool {
	_, ok := find(action)
	return ok
}

// Read reports whether action only asks Asterisk for what it has and changes
// nothing, so that any server may answer it. It is false for one that is not
// known.
func Read(action string) bool {
	r, _ := find(action)
	return r.reads
}
