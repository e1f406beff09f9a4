package correlation

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const (
	announcement = "Response: Success\nActionID: a\nMessage: Device list will follow\n\n"
	otherAck     = "Response: Success\nActionID: other\nMessage: ok\n\n"
)

// A module that answers with a plain acknowledgement before its list sends the
// list all the same.
func TestDeliver_AListThatIsAnnouncedInWordsOnly(t *testing.T) {
	end := "Event: XDevicesComplete\nActionID: a\n"
	for name, tc := range map[string]struct {
		action, wire, want string
		probes             int
	}{
		"list":                 {"XDevices", announcement + item("XDevice") + end + "EventList: Complete\nListItems: 1\n\n", "answered XDevice XDevicesComplete", 1},
		"by its name":          {"XDevices", announcement + item("XDevice") + end + "\n", "answered XDevice XDevicesComplete", 1},
		"a known list":         {"QueueStatus", announcement + item("QueueMember") + item("QueueStatusComplete"), "answered QueueMember QueueStatusComplete", 1},
		"without an end":       {"XDevices", announcement + item("XDevice") + otherAck, "answered XDevice", 1},
		"empty":                {"XDevices", announcement + otherAck, "answered", 1},
		"still going on":       {"XDevices", announcement + item("XDevice"), "", 1},
		"other words":          {"XDevices", strings.Replace(announcement, "Device list will follow", "Following are the devices", 1) + item("XDevice"), "", 1},
		"refused half way":     {"XDevices", announcement + item("XDevice") + refusal, "asterisk_error XDevice", 1},
		"nothing announced":    {"XDevices", ack, "answered", 0},
		"with EventList":       {"XDevices", listStart, "", 0},
		"an Error that says":   {"XDevices", strings.Replace(announcement, "Success", "Error", 1), "asterisk_error", 0},
		"output":               {"Command", "Response: Success\nActionID: a\nMessage: Command output follows\nOutput: \n\n", "answered", 0},
		"an item so named":     {"XDevices", listStart + item("AlmostComplete"), "", 0},
		"a single event":       {"FAXStats", announcement + otherAck, "", 0},
		"an async event in it": {"XDevices", announcement + "Event: XDevicesComplete\nPrivilege: call,all\nActionID: a\n\n" + item("XDevice"), "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, roomy)
			probes := 0
			d.start(Call{ActionID: "other", Action: "Ping"})
			d.start(Call{ActionID: "a", Action: tc.action, Probe: func() { probes++; d.Stats() }})
			d.play(actions, tc.wire)
			got := ""
			if r := d.result("a"); r != nil {
				got = strings.Join(append([]string{r.Outcome.String()}, eventNames(t, r)...), " ")
			}
			if got != tc.want || probes != tc.probes {
				t.Errorf("got %q after %d probes, want %q after %d", got, probes, tc.want, tc.probes)
			}
			if s := d.Stats(); s.Late != 0 || s.Strays != 0 {
				t.Errorf("late: %+v", s)
			}
			d.FailAll(ShuttingDown, nil)
			if len(d.running) != 0 {
				t.Errorf("%d run", len(d.running))
			}
		})
	}
}

func TestAnswered_EndsWhatWasAnnouncedOnThatSessionOnly(t *testing.T) {
	d := newDesk(t, roomy)
	d.start(Call{ActionID: "a", Action: "XDevices"})
	d.start(Call{ActionID: "l", Action: "QueueStatus"})
	d.play(actions, announcement+strings.Replace(listStart, ": a", ": l", 1))
	d.mustEnd("a", Answered, SentYes) // the Response to l came behind it
	d.start(Call{ActionID: "b", Action: "XDevices"})
	d.play(actions, strings.Replace(announcement, ": a", ": b", 1))
	d.Answered(events)
	d.mustPend("b")
	d.Answered(actions)
	d.mustEnd("b", Answered, SentYes)
	d.mustPend("l")
}

func TestStream_HandsOutAListThatIsAnnouncedInWordsOnly(t *testing.T) {
	d := newDesk(t, roomy)
	part, got := collect(0)
	d.start(Call{ActionID: "a", Action: "XDevices", Part: part})
	d.play(actions, announcement+item("XDevice")+item("XDevice"))
	d.Answered(actions)
	if r := d.mustEnd("a", Answered, SentYes); len(*got) != 2 || r.Parts != 2 || r.EventCount != 2 {
		t.Errorf("%d parts, result %+v", len(*got), r)
	}
}

// What nothing announced is too late for the reply, and is counted, and told with
// its Action's name.
func TestDeliver_CountsItemsThatNothingAnnounced(t *testing.T) {
	d := newDesk(t, roomy)
	d.start(Call{ActionID: "a", Action: "XDevices"})
	if left := d.play(actions, ack+item("XDevice")+item("XDevicesComplete")); left != nil {
		t.Errorf("left to publish: %q", left)
	}
	d.mustEnd("a", Answered, SentYes)
	if s := d.Stats(); s.Late != 2 || s.Strays != 2 || s.Stray != "XDevices" {
		t.Errorf("%+v", s)
	}
	for i, before := range []string{listStart + listEnd, refusal} {
		id := fmt.Sprint(i)
		d.start(Call{ActionID: id, Action: "XDevices"})
		d.play(actions, strings.ReplaceAll(before+listEnd, ": a", ": "+id))
	}
	if s := d.Stats(); s.Late != 4 || s.Strays != 2 {
		t.Errorf("behind a list, and behind an Error: %+v", s)
	}
}

// While a list runs whose items carry no ActionID, nothing else is one.
func TestDeliver_AForeignEventIsNoItemOfAListWithoutActionIDs(t *testing.T) {
	d := newDesk(t, roomy)
	d.start(Call{ActionID: "a", Action: "IAXpeers"})
	d.start(Call{ActionID: "b", Action: "QueueStatus"})
	d.start(Call{ActionID: "c", Action: "IAXpeers"})
	d.play(actions, listStart)
	foreign := "Event: Novelty\nK: v\n\nEvent: PeerlistComplete\nEventList: Complete\n\nEvent: PeerEntry\nPrivilege: system,all\n\n"
	if left := d.play(actions, foreign); !slices.Equal(left, []string{"Novelty", "PeerlistComplete", "PeerEntry"}) {
		t.Errorf("left to publish: %q", left)
	}
	if left := d.play(events, "Event: PeerEntry\n\n"); len(left) != 1 {
		t.Error("an item of another session was taken")
	}
	d.play(actions, "Event: PeerEntry\n\n"+item("PeerlistComplete"))
	if r := d.mustEnd("a", Answered, SentYes); r.EventCount != 2 {
		t.Errorf("%d events", r.EventCount)
	}
	if left := d.play(actions, as("b", listStart)+"Event: QueueMember\n\n"); len(left) != 1 {
		t.Error("an item that names no Action was given to a list whose items do")
	}
	d.play(actions, as("b", item("QueueStatusComplete")))
	// None runs now, though one is pending.
	if left := d.play(actions, "Event: PeerEntry\n\n"); len(left) != 1 {
		t.Error("taken without a list that runs")
	}
}
