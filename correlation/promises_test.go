package correlation

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// as is wire with the ActionID id.
func as(id, wire string) string {
	return strings.ReplaceAll(wire, "ActionID: a\n", "ActionID: "+id+"\n")
}

// The last 256 ended Calls are known, each of them.
func TestEnded_ManyTimeoutsAreAllLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, Limits{Pending: 1000, ReplyBytes: 1 << 20, TotalBytes: 1 << 20})
		for i := range endedRemembered + 1 {
			d.start(Call{ActionID: fmt.Sprint(i), Action: "Ping", Timeout: time.Second + time.Duration(i)})
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		for i := range endedRemembered + 1 {
			d.play(actions, as(fmt.Sprint(i), ack))
		}
		if s := d.Stats(); s.Late != endedRemembered || s.Unmatched != 1 || s.Pending != 0 {
			t.Errorf("%d late, %d unmatched", s.Late, s.Unmatched)
		}
	})
}

// So are the last 16 ended sessions; one that ends twice is one.
func TestDead_ManySessionsAreAllRefused(t *testing.T) {
	d := newDesk(t, roomy)
	session := func(i int) string { return fmt.Sprint("s", i) }
	for i := range sessionsRemembered + 1 {
		d.FailSession(session(i), errGone)
		d.FailSession(session(i), errGone)
	}
	for i := range sessionsRemembered + 1 {
		want := ErrSessionEnded
		if i == 0 {
			want = nil // forgotten
		}
		if err := d.register(Call{ActionID: fmt.Sprint(i), Action: "Ping", Session: session(i)}); !errors.Is(err, want) {
			t.Errorf("session %d: %v, want %v", i, err, want)
		}
	}
}

// An Error ends a reply, unless its Action is known to go on behind it.
func TestDeliver_WhatAnErrorEnds(t *testing.T) {
	const complete = "Event: EndpointDetailComplete\nActionID: a\nEventList: Complete\n\n"
	for name, tc := range map[string]struct{ action, first, rest string }{
		"in the middle of PJSIPShowEndpoint": {"PJSIPShowEndpoint", listStart + item("EndpointDetail") + refusal, complete},
		"between the fences":                 {"FAXSession", pongA + refusal, pongA},
		"between the fences, in raw text":    {"Queues", pongA + "text\n\n" + refusal, pongA},
	} {
		d := newDesk(t, roomy)
		d.start(Call{ActionID: "a", Action: tc.action})
		d.play(actions, tc.first)
		if d.result("a") != nil {
			t.Errorf("%s: it has ended", name)
			continue
		}
		d.play(actions, tc.rest)
		if r := d.mustEnd("a", AsteriskError, SentYes); r.Message != "no" {
			t.Errorf("%s: message %q", name, r.Message)
		}
	}
	for action, wire := range map[string]string{
		"PJSIPShowEndpoint":  refusal, // before the list has begun
		"PJSIPShowEndpoints": listStart + item("EndpointList") + refusal,
		"Ping":               refusal,
	} {
		d := newDesk(t, roomy)
		d.start(Call{ActionID: "a", Action: action})
		d.play(actions, wire)
		d.mustEnd("a", AsteriskError, SentYes)
	}
}

// A byte that is no text becomes U+FFFD and is counted, wherever it is.
func TestDeliver_CountsWhatWasNoText(t *testing.T) {
	for name, tc := range map[string]struct {
		charset frames.Charset
		action  string
		wire    string
		want    uint64
	}{
		"in a Response":          {frames.UTF8, "Getvar", "Response: Success\nActionID: a\nValue: M\xfcller\xff\n\n", 2},
		"in its Message":         {frames.UTF8, "Getvar", "Response: Success\nActionID: a\nMessage: M\xfcller\n\n", 1},
		"in a name":              {frames.UTF8, "Getvar", "Response: Success\nActionID: a\nM\xfcller: x\n\n", 1},
		"in an event of a list":  {frames.UTF8, "QueueStatus", listStart + "Event: QueueMember\nActionID: a\nName: M\xfcller\n\n" + item("QueueStatusComplete"), 1},
		"in the last of a list":  {frames.UTF8, "QueueStatus", listStart + "Event: QueueStatusComplete\nActionID: a\nName: \xfc\xfc\n\n", 2},
		"in output":              {frames.UTF8, "Command", "Response: Success\nActionID: a\nOutput: \xfc\nOutput: \xfc\n\n", 2},
		"in the text of a fence": {frames.UTF8, "Queues", pongA + "M\xfcller\n\n" + pongA, 1},
		"as latin1":              {frames.Latin1, "Getvar", "Response: Success\nActionID: a\nValue: M\xfcller\n\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, roomy)
			d.charset = tc.charset
			d.start(Call{ActionID: "a", Action: tc.action})
			d.play(actions, tc.wire)
			r := d.mustEnd("a", Answered, SentYes)
			body := string(r.Fields) + string(r.Events) + string(r.Output)
			if got := d.Stats().Replaced; got != tc.want || strings.Count(body, "\uFFFD") != int(tc.want) {
				t.Errorf("%d counted, want %d: %s", got, tc.want, body)
			}
			if tc.charset == frames.Latin1 && !strings.Contains(body, "Müller") {
				t.Errorf("body %s", body)
			}
		})
	}
}

// docs/design.md says how many are remembered.
func TestDocs_HowManyAreRemembered(t *testing.T) {
	page, err := os.ReadFile("../docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	if row := fmt.Sprintf("| ended calls, ended sessions remembered | %d, %d |", endedRemembered, sessionsRemembered); !strings.Contains(string(page), row) {
		t.Errorf("it has no %q", row)
	}
}
