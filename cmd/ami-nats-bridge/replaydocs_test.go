package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The example of a call in docs/replay.md is what is printed.
func TestDocs_ReplayShowsACall(t *testing.T) {
	a := newArchive(t)
	a.story()
	out, _ := printed(t, 0, "replay", "--call", storyID)
	page, err := os.ReadFile("../../docs/replay.md")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(page), "\n```\npbx1: from ")
	shown, _, _ = strings.Cut(shown, "```")
	lines := strings.Split(strings.TrimRight(shown, "\n"), "\n")
	if len(lines) != 6 {
		t.Fatalf("docs/replay.md shows %q", lines)
	}
	for _, line := range lines[1:] {
		line, _, isGap := strings.Cut(line, ", from ") // its times are local
		if !isGap {
			line += "\n"
		}
		if !strings.Contains(out, line) {
			t.Errorf("no %q in\n%s", line, out)
		}
	}
}

// The audit's example in docs/audit.md is what is printed.
func TestDocs_AuditShowsSentences(t *testing.T) {
	a := newArchive(t)
	a.record("pbx1", "Originate", time.Now(), `"phase":"outcome","requester":"crm/7","decision":"allowed","outcome":"timeout","code":504,"sent":"unknown","error":"no response","fields":{"Channel":"PJSIP/100"}`)
	a.record("pbx2", "Ping", time.Now(), `"phase":"outcome","nats_request_info":{"acc":"APPS","user":"dialer"},"requester":"bob","decision":"refused","rule":"ACTIONS_DENY=Ping","outcome":"forbidden","code":403,"sent":"no"`)
	out, _ := printed(t, 0, "audit")
	page, err := os.ReadFile("../../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(page), "\n```\nWHEN")
	shown, _, _ = strings.Cut("WHEN"+shown, "```")
	at := regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}`)
	if got, want := at.ReplaceAllString(out, "T"), at.ReplaceAllString(shown, "T"); got != want {
		t.Errorf("printed\n%swant\n%s", got, want)
	}
}
