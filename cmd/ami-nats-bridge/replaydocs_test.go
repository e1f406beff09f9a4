package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The commands in docs/replay.md and docs/audit.md work as they are written.
func TestDocs_ReplayAndAuditCommandsWork(t *testing.T) {
	a := newArchive(t)
	a.story()
	for i, end := range []string{"timeout", "connection_lost", "answered"} {
		a.record("pbx1", "Originate", time.Now().Add(time.Duration(i-10)*time.Minute), `"phase":"outcome","requester":"crm/7","decision":"allowed","sent":"unknown","outcome":"`+end+`"`)
	}
	a.record("pbx2", "Originate", time.Now(), `"phase":"outcome","requester":"crm","decision":"refused","rule":"ACTIONS_DENY=Originate","sent":"no","outcome":"forbidden","code":403`)
	verified, _ := printed(t, 0, "audit", "--verify")
	head := regexp.MustCompile(`head ([0-9a-f]{64}) sequence 4`).FindStringSubmatch(verified)
	if head == nil {
		t.Fatalf("no head in\n%s", verified)
	}
	ran := 0
	for _, page := range []string{"../../docs/replay.md", "../../docs/audit.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
			for line := range strings.Lines(block[1]) {
				command, _, _ := strings.Cut(line, " #")
				command = regexp.MustCompile(`[0-9a-f]{64}`).ReplaceAllString(command, head[1])
				out, _ := printed(t, 0, words(command)[1:]...)
				// What is of certain days in the past is not in this archive.
				if empty := strings.Contains(command, "2026-") || strings.Contains(command, "-2d") || strings.Contains(command, "--find") || strings.Contains(command, "yesterday"); (out == "") != empty && !empty {
					t.Errorf("%s prints nothing", command)
				}
				ran++
			}
		}
	}
	if ran != 15 {
		t.Errorf("%d commands were found", ran)
	}
}

// words splits a command as a shell does, single quotes alone.
func words(command string) (all []string) {
	for _, m := range regexp.MustCompile(`'([^']*)'|(\S+)`).FindAllStringSubmatch(command, -1) {
		all = append(all, m[1]+m[2])
	}
	return all
}

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
	if len(lines) != 5 {
		t.Fatalf("docs/replay.md shows %q", lines)
	}
	for _, line := range lines[1:] {
		if !strings.Contains(out, line+"\n") {
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
