package replay

import (
	"fmt"
	"maps"
	"slices"
)

// ends is how a record can end, each with the decisions that it goes with; none:
// both. docs/audit-records.md describes them.
var ends = map[string][]string{
	"answered": {"allowed"}, "asterisk_error": {"allowed"}, "intent": {"allowed"},
	"forbidden": {"refused"}, "bad_request": {"refused"}, "no_inbox": {"refused"}, "refusals": {"refused"},
	"timeout": nil, "connection_lost": nil, "reply_too_large": nil, "not_connected": nil, "breaker_open": nil, "busy": nil,
	"shutting_down": nil, "audit_unavailable": nil, "idempotency_unavailable": nil, "internal": nil, "repeat": nil,
}

// Ends are the outcomes that a record can have, and intent and refusals; sorted.
func Ends() []string { return slices.Sorted(maps.Keys(ends)) }

// Decisions are those that a record can have.
func Decisions() []string { return []string{"allowed", "refused"} }

// Check reports decisions and outcomes that no record has together. What is in
// none at all is for whoever knows the nearest.
func (w *Wanted) Check() error {
	if len(w.Decisions) == 0 || len(w.Outcomes) == 0 {
		return nil
	}
	for end, with := range ends {
		if with == nil {
			with = Decisions()
		}
		if anyMatch(w.Outcomes, end) && slices.ContainsFunc(with, func(d string) bool { return anyMatch(w.Decisions, d) }) {
			return nil
		}
	}
	return fmt.Errorf("no record has one of the decisions %q and one of the outcomes %q", w.Decisions, w.Outcomes)
}
