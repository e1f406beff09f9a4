package main

import (
	"strings"
	"testing"
	"time"
)

// JSON goes to a terminal too, and encoders leave U+009B as it is.
func TestOutput_JSONHasNothingThatDrivesATerminal(t *testing.T) {
	a := newArchive(t)
	a.event("pbx1", time.Now(), "Event", "Newchannel", "CallerIDNum", "100", "Exten", "\u009b31m<", "Uniqueid", "1.1", "Linkedid", "1.1")
	a.record("pbx1", "Ping", time.Now(), `"phase":"outcome","node":"\u009b31m<"`)
	for args, code := range map[string]int{
		"replay -o json": 0, "replay --find 100 -o json": 0, "audit -o json": 0, "audit --verify -o json": 1,
	} {
		out, _ := printed(t, code, strings.Fields(args)...)
		if strings.Contains(out, "\u009b") || !strings.Contains(out, `\u009b31m<`) {
			t.Errorf("%s: %q", args, out)
		}
	}
}
