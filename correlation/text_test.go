package correlation

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

func outputLines(t *testing.T, r *Result) (lines []string) {
	t.Helper()
	if err := json.Unmarshal([]byte("["+string(r.Output)+"]"), &lines); err != nil || len(lines) != r.OutputLines {
		t.Fatalf("%d lines: %v: %s", r.OutputLines, err, r.Output)
	}
	return lines
}

func TestText_IsKeptAsItCameButForExtraBlankLines(t *testing.T) {
	const pong = "Response: Success\r\nActionID: a\r\nPing: Pong\r\nTimestamp: 1.000000\r\n\r\n"
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"CRLF":            {"q has 0 calls, W:0, C: 0\r\n   Members: \r\n\r\n:x\r\nno colon\r\n\r\n\r\n\r\n", []string{"q has 0 calls, W:0, C: 0", "   Members: ", "", ":x", "no colon"}},
		"LF":              {"IAX2/a:4569-1   1  2\nIAX2/b: 3\n\r\n", []string{"IAX2/a:4569-1   1  2", "IAX2/b: 3"}},
		"a blank line":    {"\r\n", nil},
		"bytes, not text": {"M\xfcller \"x\"\r\n\r\n", []string{"M\uFFFDller \"x\""}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, roomy)
			d.start(Call{ActionID: "a", Action: "Queues"})
			r := frames.NewReader(strings.NewReader(pong+tc.text+pong), 1<<20)
			for f, err := r.Next(); err == nil; f, err = r.Next() {
				d.mustPend("a")
				if !d.Deliver(actions, f) {
					t.Errorf("not consumed: %q", f.Raw)
				}
			}
			got := d.mustEnd("a", Answered, SentYes)
			if lines := outputLines(t, got); !slices.Equal(lines, tc.want) {
				t.Errorf("lines %q, want %q", lines, tc.want)
			}
			if got.Response != "" || got.Fields != nil {
				t.Errorf("the Pong became its Response: %q %s", got.Response, got.Fields)
			}
		})
	}
}

func TestText_BelongsToTheActionBetweenItsPongs(t *testing.T) {
	for name, tc := range map[string]struct {
		action, before, session string
	}{
		"before the first Pong":   {"Queues", "", actions},
		"on another session":      {"Queues", pongA, events},
		"of a list":               {"QueueStatus", listStart, actions},
		"of an Action with event": {"FAXSession", pongA + ack, actions},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, roomy)
			d.start(Call{ActionID: "a", Action: tc.action})
			d.play(actions, tc.before)
			if left := d.play(tc.session, "raw text\n\n"); len(left) != 1 {
				t.Error("it was taken")
			}
			d.mustPend("a")
		})
	}
}

func TestText_ThatComesLateIsNotTheNextActions(t *testing.T) {
	pongB := strings.Replace(pongA, ": a\n", ": b\n", 1)
	for name, seen := range map[string]string{"nothing yet": "", "the first Pong": pongA, "some text": pongA + "x\n\n"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t, roomy)
				d.start(Call{ActionID: "a", Action: "Queues", Timeout: time.Second})
				d.start(Call{ActionID: "b", Action: "Queues"})
				d.play(actions, seen)
				time.Sleep(time.Second)
				synctest.Wait()
				d.mustEnd("a", TimedOut, map[bool]SentState{true: SentYes, false: SentUnknown}[strings.Contains(seen, "x")])
				late := strings.TrimPrefix(pongA, seen) + "late\n\n" + pongA
				if seen != "" && seen != pongA {
					late = "late\n\n" + pongA
				}
				if seen == "" {
					if left := d.play(actions, "stray\n\n"); len(left) != 1 {
						t.Error("text before the first Pong was taken")
					}
				}
				if left := d.play(actions, late); left != nil {
					t.Errorf("left as corrupt: %q", left)
				}
				if left := d.play(actions, "stray\n\n"); len(left) != 1 {
					t.Error("text after the last Pong was taken")
				}
				d.play(actions, pongB+"own\n\n"+pongB)
				if lines := outputLines(t, d.mustEnd("b", Answered, SentYes)); !slices.Equal(lines, []string{"own"}) {
					t.Errorf("lines %q", lines)
				}
				if s := d.Stats(); s.Late < 2 || s.Unmatched != 0 {
					t.Errorf("late %d, unmatched %d", s.Late, s.Unmatched)
				}
			})
		})
	}
}

// A Pong says that Asterisk reads, not that it has read what is behind the Ping.
func TestText_TheFirstPongDoesNotSayThatTheActionWasRead(t *testing.T) {
	d := newDesk(t, roomy)
	d.start(Call{ActionID: "a", Action: "Queues"})
	d.play(actions, pongA)
	d.FailSession(actions, errGone)
	d.mustEnd("a", ConnectionLost, SentUnknown)
}

func TestText_OverReplyBytesIsTooLarge(t *testing.T) {
	d := newDesk(t, Limits{Pending: 10, ReplyBytes: 4 << 10, TotalBytes: 1 << 20})
	d.start(Call{ActionID: "a", Action: "Queues"})
	d.play(actions, pongA)
	for range 100 {
		d.play(actions, strings.Repeat("x", 1000)+"\n\n")
		if got := d.Stats().Bytes; got > 8<<10 {
			t.Fatalf("%d bytes are held", got)
		}
	}
	d.play(actions, pongA)
	d.mustEnd("a", TooLarge, SentYes)
}

func TestText_AServerThatIsGoingDownRefusesThePingToo(t *testing.T) {
	d := newDesk(t, roomy)
	d.start(Call{ActionID: "a", Action: "Queues"})
	d.play(actions, refusal)
	d.mustEnd("a", AsteriskError, SentYes)
}
