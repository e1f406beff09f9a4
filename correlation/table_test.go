package correlation

import (
	"errors"
	"strings"
	"testing"
)

// A reply of several Responses is no alarm and nobody else's, up to what is
// known of it: an Error of ModuleLoad may be one of three, its Success may not.
func TestDeliver_CountsFurtherResponsesApartFromLateOnes(t *testing.T) {
	for name, tc := range map[string]struct {
		action, wire, extra string
		want                Outcome
		repeated, late      uint64
	}{
		"three errors":      {"ModuleLoad", refusal, refusal + refusal, AsteriskError, 2, 0},
		"error, success":    {"PRIDebugSet", refusal, ack, AsteriskError, 1, 0},
		"success, surprise": {"ModuleLoad", ack, ack, Answered, 0, 1},
		"another action":    {"Ping", refusal, refusal, AsteriskError, 0, 1},
		"line too long":     {"Ping", refusal, "Response: Error\nMessage: Missing action in request\n\n", AsteriskError, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, roomy)
			d.start(Call{ActionID: "a", Action: tc.action})
			d.start(Call{ActionID: "b", Action: tc.action})
			d.play(actions, tc.wire)
			d.mustEnd("a", tc.want, SentYes)
			d.play(actions, tc.extra)
			d.mustPend("b")
			if s := d.Stats(); s.Repeated != tc.repeated || s.Late != tc.late {
				t.Errorf("repeated %d, late %d; want %d, %d", s.Repeated, s.Late, tc.repeated, tc.late)
			}
		})
	}
}

func TestPending_CountsWhatOccupiesASession(t *testing.T) {
	d := newDesk(t, roomy)
	check := func(wantActions, wantEvents int) {
		t.Helper()
		if a, e := d.Pending(actions), d.Pending(events); a != wantActions || e != wantEvents {
			t.Errorf("%d and %d pending, want %d and %d", a, e, wantActions, wantEvents)
		}
	}
	check(0, 0)
	originate := Call{ActionID: "o", Action: "Originate", WaitComplete: true, WaitSession: events}
	d.start(originate)
	if err := d.register(Call{ActionID: "a", Action: "Ping"}); err != nil { // waits to be written
		t.Fatal(err)
	}
	d.start(Call{ActionID: "e", Action: "Ping", Session: events})
	check(2, 1)
	d.play(actions, strings.Replace(ack, ": a", ": o", 1))
	check(1, 1) // the Originate waits elsewhere
	d.Sent("a")
	d.play(actions, ack)
	check(0, 1)
	d.play(events, "Event: OriginateResponse\nPrivilege: call,all\nActionID: o\nResponse: Success\n\n")
	check(0, 1)
	d.FailSession(events, errGone)
	check(0, 0)
	d.start(Call{ActionID: "x", Action: "Ping"})
	if err := d.register(Call{ActionID: "x", Action: "Ping"}); !errors.Is(err, ErrDuplicate) {
		t.Fatal(err)
	}
	check(1, 0)
	d.FailAll(ShuttingDown, nil)
	check(0, 0)
	if len(d.busy) != 0 {
		t.Errorf("%v is remembered of sessions without Calls", d.busy)
	}
}
