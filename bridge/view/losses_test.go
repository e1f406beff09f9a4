package view

import (
	"fmt"
	"testing"
)

// What a bridge has lost or cannot do is said, audit first; which requests do not arrive only
// while any could.
func TestLosses(t *testing.T) {
	t.Parallel()
	w := watch(t)
	lost := fields{"audit_lost": 3, "requests_dropped": 1200, "replies_denied": 5, "unanswered": []string{"any"}}
	for state, want := range map[string]string{
		"CONNECTED":    "[{Audit records lost 3} {Requests dropped 1\u202f200} {Replies denied 5} {Requests for any do not arrive}]",
		"RECONNECTING": "[{Audit records lost 3} {Requests dropped 1\u202f200} {Replies denied 5}]",
	} {
		w.node("b1", []string{"pbx1"}, lost, fields{"connections": fields{"events": "CONNECTED", "control": state}})
		equal(t, state, fmt.Sprint(w.snapshot().Bridges[0].Losses()), want)
	}
	w.node("b1", []string{"pbx1"})
	equal(t, "nothing", len(w.snapshot().Bridges[0].Losses()), 0)
}
