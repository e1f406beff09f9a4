package correlation

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

var errGone = errors.New("connection reset")

func TestTimeout_SaysWhetherTheActionReachedAsterisk(t *testing.T) {
	for name, tc := range map[string]struct {
		sent bool
		wire string
		want SentState
	}{
		"never written":     {false, "", SentNo},
		"written":           {true, "", SentUnknown},
		"list half way":     {true, listStart + item("QueueMember"), SentYes},
		"item, no Response": {true, item("QueueMember"), SentYes},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t, roomy)
				if err := d.register(Call{ActionID: "a", Action: "QueueStatus", Timeout: 3 * time.Second}); err != nil {
					t.Fatal(err)
				}
				if tc.sent {
					d.Sent("a")
				}
				d.play(actions, tc.wire)
				time.Sleep(3*time.Second - 1)
				synctest.Wait()
				d.mustPend("a")
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				if r := d.mustEnd("a", TimedOut, tc.want); r.Duration != 3*time.Second {
					t.Errorf("duration %v", r.Duration)
				}
				if d.Sent("a") {
					t.Error("an action that timed out would still be written")
				}
				d.play(actions, listStart)
				d.mustEnd("a", TimedOut, tc.want)
			})
		})
	}
}

func TestTimeout_DoesNotOutliveTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, roomy)
		d.start(Call{ActionID: "a", Action: "Ping", Timeout: time.Second})
		time.Sleep(300 * time.Millisecond)
		d.play(actions, ack)
		time.Sleep(time.Minute)
		synctest.Wait()
		if r := d.mustEnd("a", Answered, SentYes); r.Duration != 300*time.Millisecond {
			t.Errorf("duration %v", r.Duration)
		}
	})
}

func TestFailSession_EndsWhatCanNoLongerBeAnswered(t *testing.T) {
	const originated = "Event: OriginateResponse\nPrivilege: call,all\nActionID: a\nResponse: Success\n\n"
	originate := Call{Action: "Originate", WaitComplete: true, WaitSession: events}
	for name, tc := range map[string]struct {
		call      Call
		unsent    bool
		wire, pub string
		fail      string
		want      Outcome
		sent      SentState
	}{
		"not written":                        {Call{Action: "Ping"}, true, "", "", actions, NotSent, SentNo},
		"written":                            {Call{Action: "Ping"}, false, "", "", actions, ConnectionLost, SentUnknown},
		"list half way":                      {Call{Action: "QueueStatus"}, false, listStart, "", actions, ConnectionLost, SentYes},
		"other session":                      {Call{Action: "Ping"}, false, "", "", events, 0, 0},
		"originate, not written":             {originate, true, "", "", events, NotSent, SentNo},
		"originate, event session":           {originate, false, "", "", events, ConnectionLost, SentUnknown},
		"originate, answered, event session": {originate, false, ack, "", events, ConnectionLost, SentYes},
		"originate, event seen":              {originate, false, "", originated, events, 0, 0},
		"originate, event seen, own session": {originate, false, "", originated, actions, ConnectionLost, SentYes},
		"originate, own session":             {originate, false, "", "", actions, ConnectionLost, SentUnknown},
		"originate, answered, own session":   {originate, false, ack, "", actions, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, roomy)
			tc.call.ActionID = "a"
			if err := d.register(Call(tc.call)); err != nil {
				t.Fatal(err)
			}
			if !tc.unsent {
				d.Sent("a")
			}
			d.play(actions, tc.wire)
			d.play(events, tc.pub)
			d.FailSession(tc.fail, errGone)
			if tc.want == 0 {
				d.mustPend("a")
				return
			}
			if r := d.mustEnd("a", tc.want, tc.sent); r.Cause != errGone {
				t.Errorf("cause %v", r.Cause)
			}
			if d.Sent("a") {
				t.Error("it would still be written")
			}
		})
	}
}

func TestRegister_RefusesASessionThatHasEnded(t *testing.T) {
	d := newDesk(t, roomy)
	d.FailSession(actions, errGone)
	d.FailSession(actions, errGone)
	if err := d.register(Call{ActionID: "a", Action: "Ping"}); !errors.Is(err, ErrSessionEnded) {
		t.Errorf("err = %v", err)
	}
	if err := d.register(Call{ActionID: "a", Action: "Originate", Session: events, WaitComplete: true, WaitSession: actions}); !errors.Is(err, ErrSessionEnded) {
		t.Errorf("waiting on it: err = %v", err)
	}
	if err := d.register(Call{ActionID: "a", Action: "Ping", Session: events}); err != nil {
		t.Errorf("another session: %v", err)
	}
}

func TestFailAll_KeepsTheOutcomeAndTellsWhatWasSent(t *testing.T) {
	d := newDesk(t, roomy)
	for i := range 20 {
		if err := d.register(Call{ActionID: fmt.Sprint(i), Action: "Ping"}); err != nil {
			t.Fatal(err)
		}
	}
	d.Sent("7")
	d.FailAll(ShuttingDown, errGone)
	d.mustEnd("7", ShuttingDown, SentUnknown)
	d.mustEnd("8", ShuttingDown, SentNo)
	if !slices.IsSortedFunc(d.order, func(a, b string) int { return len(a)*10 + int(a[len(a)-1]) - len(b)*10 - int(b[len(b)-1]) }) {
		t.Errorf("ended in the order %v", d.order)
	}
	if s := d.Stats(); s.Pending != 0 || s.Held != 20 {
		t.Errorf("stats %+v", s)
	}
}

func TestFailAll_APanicKeepsNoOtherCallFromItsEnd(t *testing.T) {
	tab := NewTable(roomy, 0)
	ended := 0
	for i := range 5 {
		err := tab.Register(Call{ActionID: fmt.Sprint(i), Session: actions, Timeout: time.Hour, Done: func(r *Result) {
			r.Release()
			ended++
			if i == 2 {
				panic("handler")
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		tab.FailAll(ShuttingDown, errGone)
	}()
	if s := tab.Stats(); ended != 5 || s != (Stats{HighWater: 5}) {
		t.Errorf("%d ended, stats %+v", ended, s)
	}
}

func TestOldestDeadline_IsThatOfTheFirstStillPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, roomy)
		if _, ok := d.OldestDeadline(actions); ok {
			t.Error("an empty table has a deadline")
		}
		start := time.Now()
		d.start(Call{ActionID: "o", Action: "Originate", Timeout: time.Minute, WaitComplete: true, WaitSession: events})
		d.start(Call{ActionID: "a", Action: "Ping", Timeout: 9 * time.Second})
		d.start(Call{ActionID: "b", Action: "Ping", Timeout: 5 * time.Second})
		d.start(Call{ActionID: "e", Action: "Ping", Timeout: time.Second, Session: events})
		check := func(want time.Duration) {
			t.Helper()
			if got, ok := d.OldestDeadline(actions); !ok || got.Sub(start) != want {
				t.Errorf("deadline after %v, %v; want %v", got.Sub(start), ok, want)
			}
		}
		check(time.Minute)
		d.play(actions, "Response: Success\nActionID: o\n\n")
		check(9 * time.Second)
		d.play(actions, ack)
		check(5 * time.Second)
		d.FailAll(ShuttingDown, nil)
	})
}

// A Call that is not going to be written ends at once, for certain unsent; one that was
// written, or has ended, is not touched.
func TestWithdraw_EndsWhatWasNotWritten(t *testing.T) {
	d := newDesk(t, roomy)
	for _, id := range []string{"a", "b"} {
		if err := d.register(Call{ActionID: id, Action: "Originate", Timeout: time.Minute}); err != nil {
			t.Fatal(err)
		}
	}
	d.Sent("b")
	for range 2 {
		d.Withdraw("a", errGone)
		d.Withdraw("b", errGone)
	}
	if r := d.mustEnd("a", NotSent, SentNo); !errors.Is(r.Cause, errGone) {
		t.Errorf("its cause is %v", r.Cause)
	}
	d.mustPend("b")
	if d.Sent("a") {
		t.Error("what was withdrawn would still be written")
	}
}
