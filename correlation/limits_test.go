package correlation

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

func TestRegister_HoldsASlotUntilRelease(t *testing.T) {
	d := newDesk(t, Limits{Pending: 2, ReplyBytes: 1 << 10, TotalBytes: 1 << 20})
	d.start(Call{ActionID: "a", Action: "Ping"})
	if err := d.register(Call{ActionID: "a", Action: "Ping"}); !errors.Is(err, ErrDuplicate) {
		t.Errorf("same id: %v", err)
	}
	d.start(Call{ActionID: "b", Action: "Ping"})
	if err := d.register(Call{ActionID: "c", Action: "Ping"}); !errors.Is(err, ErrBusy) {
		t.Errorf("full: %v", err)
	}
	d.play(actions, ack)
	if err := d.register(Call{ActionID: "c", Action: "Ping"}); !errors.Is(err, ErrBusy) {
		t.Errorf("not released: %v", err)
	}
	r := d.mustEnd("a", Answered, SentYes)
	if s := d.Stats(); s.Pending != 1 || s.Held != 1 || s.Bytes == 0 {
		t.Errorf("before Release: %+v", s)
	}
	r.Release()
	r.Release()
	if s := d.Stats(); s.Pending != 1 || s.Held != 0 || s.Bytes != 0 {
		t.Errorf("after Release: %+v", s)
	}
	if err := d.register(Call{ActionID: "c", Action: "Ping"}); err != nil {
		t.Errorf("released: %v", err)
	}
}

func TestLimits_AReplyOverReplyBytesIsNotKeptButEnds(t *testing.T) {
	d := newDesk(t, Limits{Pending: 10, ReplyBytes: 2 << 10, TotalBytes: 1 << 20})
	d.start(Call{ActionID: "a", Action: "QueueStatus"})
	d.play(actions, listStart)
	for range 1000 {
		d.play(actions, item("QueueMember"))
		if got := d.Stats().Bytes; got > 8<<10 {
			t.Fatalf("%d bytes are held", got)
		}
	}
	d.mustPend("a")
	d.play(actions, item("QueueStatusComplete"))
	r := d.mustEnd("a", TooLarge, SentYes)
	if r.Fields != nil || r.Events != nil || r.EventCount != 0 || d.Stats().Bytes != 0 {
		t.Errorf("kept: %d events, %d bytes", r.EventCount, d.Stats().Bytes)
	}
}

func TestLimits_AllRepliesTogetherStayUnderTotalBytes(t *testing.T) {
	l := Limits{Pending: 100, ReplyBytes: 1 << 20, TotalBytes: 10 << 10}
	d := newDesk(t, l)
	for i := range 50 {
		id := fmt.Sprint(i)
		d.start(Call{ActionID: id, Action: "Command"})
		d.play(actions, "Response: Success\nActionID: "+id+"\nOutput: "+strings.Repeat("x", 1000)+"\n\n")
		if got := d.Stats().Bytes; got > l.TotalBytes {
			t.Fatalf("%d bytes are held", got)
		}
	}
	d.mustEnd("0", Answered, SentYes)
	d.mustEnd("49", TooLarge, SentYes)
	for i := range 50 {
		d.result(fmt.Sprint(i)).Release()
	}
	d.start(Call{ActionID: "z", Action: "Command"})
	d.play(actions, "Response: Success\nActionID: z\nOutput: x\n\n")
	d.mustEnd("z", Answered, SentYes)
}

func TestDeliver_ATruncatedFrameMakesItsReplyTooLarge(t *testing.T) {
	long := "X: " + strings.Repeat("x", 10<<10) + "\n\n"
	const response = "Response: Success\nActionID: a\n"
	for name, tc := range map[string]struct {
		action, wire string
		want         Outcome
	}{
		"single Response":          {"GetConfigJSON", response + long, TooLarge},
		"Response of a list":       {"QueueStatus", response + "EventList: start\n" + long + item("QueueStatusComplete"), TooLarge},
		"item":                     {"QueueStatus", listStart + "Event: QueueMember\nActionID: a\n" + long + item("QueueStatusComplete"), TooLarge},
		"item cut before its id":   {"QueueStatus", listStart + "Event: QueueMember\n" + long + item("QueueStatusComplete"), TooLarge},
		"async event in between":   {"QueueStatus", listStart + "Event: VarSet\nPrivilege: dialplan,all\n" + long + item("QueueStatusComplete"), Answered},
		"Response of someone else": {"Ping", strings.Replace(response, ": a", ": b", 1) + long + ack, Answered},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, roomy)
			d.start(Call{ActionID: "a", Action: tc.action})
			truncated := 0
			eachFrame(t, tc.wire, 8<<10, func(f *frames.Frame) {
				if f.Truncated {
					truncated++
				}
				d.Deliver(actions, f)
			})
			if truncated != 1 {
				t.Fatalf("%d frames of the test are truncated", truncated)
			}
			d.mustEnd("a", tc.want, SentYes)
		})
	}
}

func TestResult_MessageIsInTheServersCharset(t *testing.T) {
	for charset, want := range map[frames.Charset]string{frames.UTF8: "M\uFFFDller", frames.Latin1: "Müller"} {
		if got := text([]byte("M\xfcller"), charset); got != want {
			t.Errorf("%v: %q, want %q", charset, got, want)
		}
	}
}
