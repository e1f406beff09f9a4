package correlation

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	ack       = "Response: Success\nActionID: a\nMessage: ok\n\n"
	listStart = "Response: Success\nActionID: a\nEventList: start\nMessage: will follow\n\n"
	listEnd   = "Event: XComplete\nActionID: a\nEventList: Complete\nListItems: 1\n\n"
	refusal   = "Response: Error\nActionID: a\nMessage: no\n\n"
)

func item(name string) string { return "Event: " + name + "\nActionID: a\nK: v\n\n" }

// TestDeliver_KnowsWhenAnActionIsComplete plays one Call each: want is
// "answered", "asterisk_error" or "" for one that goes on, then its events.
func TestDeliver_KnowsWhenAnActionIsComplete(t *testing.T) {
	queues := item("QueueParams") + item("QueueMember") + item("QueueEntry")
	for _, tc := range []struct {
		name, wire, want string
		call             Call
	}{
		{"single", ack, "answered", Call{Action: "Ping"}},
		{"single refused", refusal, "asterisk_error", Call{Action: "Ping"}},
		{"single says Goodbye", "Response: Goodbye\nActionID: a\n\n", "answered", Call{Action: "Logoff"}},
		{"list begun", listStart, "", Call{Action: "QueueStatus"}},
		{"list in the middle", listStart + queues, "", Call{Action: "QueueStatus"}},
		{"list", listStart + queues + item("QueueStatusComplete"), "answered QueueParams QueueMember QueueEntry QueueStatusComplete", Call{Action: "queuestatus"}},
		{"list ended by EventList", listStart + item("QueueParams") + listEnd, "answered QueueParams XComplete", Call{Action: "QueueStatus"}},
		{"list with a new kind of item", listStart + item("QueueNovelty") + listEnd, "answered QueueNovelty XComplete", Call{Action: "QueueStatus"}},
		{"list refused", refusal, "asterisk_error", Call{Action: "PJSIPShowEndpoints"}},
		{"completion before the Response", item("QueueParams") + item("QueueStatusComplete"), "", Call{Action: "QueueStatus"}},
		{"Response last", item("QueueParams") + item("QueueStatusComplete") + listStart, "answered QueueParams QueueStatusComplete", Call{Action: "QueueStatus"}},
		{"unknown list", strings.Replace(listStart, "start", "Start", 1) + item("Y") + listEnd, "answered Y XComplete", Call{Action: "VendorList"}},
		{"empty plain", ack, "answered", Call{Action: "VoicemailUserStatus"}},
		{"empty plain, old form", ack, "answered", Call{Action: "QueueStatus"}},
		{"error in the middle", listStart + item("ListDialplan") + refusal, "asterisk_error ListDialplan", Call{Action: "ShowDialPlan"}},
		{"error, then the completion is due", listStart + item("EndpointDetail") + refusal, "", Call{Action: "PJSIPShowEndpoint"}},
		{"error then completion", listStart + item("EndpointDetail") + refusal + item("AuthDetail") + item("EndpointDetailComplete"),
			"asterisk_error EndpointDetail AuthDetail EndpointDetailComplete", Call{Action: "PJSIPShowEndpoint"}},
		{"error at first", refusal, "asterisk_error", Call{Action: "PJSIPShowEndpoint"}},
		{"cancelled", listStart + item("Y") + strings.Replace(listEnd, "Complete\nL", "cancelled\nL", 1), "asterisk_error Y XComplete", Call{Action: "VendorList"}},
		{"cancelled by Response", strings.Replace(listStart, "start", "Cancelled", 1), "asterisk_error", Call{Action: "QueueStatus"}},
		{"old list begun", ack, "", Call{Action: "QueueStatus", OldLists: true}},
		{"old list", ack + queues + item("QueueStatusComplete"), "answered QueueParams QueueMember QueueEntry QueueStatusComplete", Call{Action: "QueueStatus", OldLists: true}},
		{"old list refused in the middle", ack + item("BridgeInfoChannel") + refusal, "asterisk_error BridgeInfoChannel", Call{Action: "BridgeInfo", OldLists: true}},
		{"old server, modern list, empty", ack, "answered", Call{Action: "SIPpeers", OldLists: true}},
		{"old voicemail begun", ack, "", Call{Action: "VoicemailUsersList", OldLists: true}},
		{"old voicemail without users", strings.Replace(ack, "ok", noVoicemailUsers+" currently defined.", 1), "answered", Call{Action: "VoicemailUsersList", OldLists: true}},
		{"single event due", ack, "", Call{Action: "FAXStats"}},
		{"single event", ack + item("FAXStats"), "answered FAXStats", Call{Action: "FAXStats"}},
		{"hangup", ack, "answered", Call{Action: "Hangup"}},
		{"hangup by regex", listStart + item("ChannelHungup") + item("ChannelsHungupListComplete"), "answered ChannelHungup ChannelsHungupListComplete", Call{Action: "Hangup", Regex: true}},
		{"status items say Privilege: Call", listStart + "Event: Status\nPrivilege: Call\nActionID: a\n\n" + item("StatusComplete"), "answered Status StatusComplete", Call{Action: "Status"}},
		{"SIP peers say Privilege: System", listStart + "Event: PeerStatus\nPrivilege: System\nActionID: a\n\n" + item("SIPpeerstatusComplete"), "answered PeerStatus SIPpeerstatusComplete", Call{Action: "SIPpeerstatus"}},
		{"IAX peers without ActionID", listStart + "Event: PeerEntry\nK: v\n\n" + item("PeerlistComplete"), "answered PeerEntry PeerlistComplete", Call{Action: "IAXpeers"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDesk(t, roomy)
			tc.call.ActionID = "a"
			d.start(tc.call)
			if left := d.play(actions, tc.wire); left != nil {
				t.Errorf("not consumed: %q", left)
			}
			got := ""
			if r := d.result("a"); r != nil {
				if r.Sent != SentYes {
					t.Errorf("sent %v, want yes", r.Sent)
				}
				got = strings.Join(append([]string{r.Outcome.String()}, eventNames(t, r)...), " ")
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestDeliver_AsyncOriginateNeedsResponseAndEvent(t *testing.T) {
	const response = "Response: Success\nActionID: a\nMessage: Originate successfully queued\n\n"
	event := func(result string) string {
		return "Event: OriginateResponse\nPrivilege: call,all\nActionID: a\nResponse: " + result + "\nReason: 4\n\n"
	}
	call := Call{ActionID: "a", Action: "Originate", WaitComplete: true, WaitSession: events}
	type step struct{ session, wire string }
	for name, tc := range map[string]struct {
		steps []step
		want  Outcome
	}{
		"response first":     {[]step{{actions, response}, {events, event("Success")}}, Answered},
		"event first":        {[]step{{events, event("Success")}, {actions, response}}, Answered},
		"failure":            {[]step{{actions, response}, {events, event("Failure")}}, AsteriskError},
		"failure first":      {[]step{{events, event("Failure")}, {actions, response}}, AsteriskError},
		"event twice":        {[]step{{events, event("Success")}, {events, event("Failure")}, {actions, response}}, Answered},
		"refused":            {[]step{{actions, refusal}}, AsteriskError},
		"only the response":  {[]step{{actions, response}}, 0},
		"only the event":     {[]step{{events, event("Success")}}, 0},
		"event at the wrong": {[]step{{actions, response}, {actions, event("Success")}}, 0},
		"forged":             {[]step{{actions, response}, {events, strings.Replace(event("Success"), "Event: OriginateResponse", "Event: UserEvent", 1)}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, roomy)
			d.start(call)
			for _, s := range tc.steps {
				left := d.play(s.session, s.wire)
				if isEvent := strings.HasPrefix(s.wire, "Event"); isEvent != (len(left) == 1) {
					t.Errorf("left to publish: %q", left)
				}
			}
			if tc.want == 0 {
				d.mustPend("a")
				return
			}
			r := d.mustEnd("a", tc.want, SentYes)
			if want := min(len(tc.steps)-1, 1); r.EventCount != want {
				t.Errorf("%d events, want %d", r.EventCount, want)
			}
			if tc.want == AsteriskError && len(tc.steps) > 1 && !errors.Is(r.Cause, ErrOriginateFailed) {
				t.Errorf("cause %v", r.Cause)
			}
		})
	}
}

func TestDeliver_PlainOriginateLeavesItsEventAlone(t *testing.T) {
	d := newDesk(t, roomy)
	d.start(Call{ActionID: "a", Action: "Originate"})
	d.play(actions, ack)
	d.mustEnd("a", Answered, SentYes)
}

// TestDeliver_NothingForeignTouchesACall is invariant 4 seen from one Table.
func TestDeliver_NothingForeignTouchesACall(t *testing.T) {
	for name, tc := range map[string]struct {
		session, wire string
		left          int
		unmatched     uint64
	}{
		"response on another session":       {events, ack, 0, 1},
		"response without ActionID":         {actions, "Response: Error\nMessage: Missing action in request\n\n", 0, 1},
		"response with a longer ActionID":   {actions, strings.Replace(ack, ": a\n", ": a \n", 1), 0, 1},
		"response in other case":            {actions, strings.Replace(ack, ": a\n", ": A\n", 1), 0, 1},
		"completion on another session":     {events, item("QueueStatusComplete"), 1, 0},
		"UserEvent that says Complete":      {actions, "Event: UserEvent\nPrivilege: user,all\nUserEvent: x\nActionID: a\nEventList: Complete\n\n", 1, 0},
		"UserEvent without Privilege":       {actions, "Event: UserEvent\nActionID: a\nEventList: Complete\n\n", 1, 0},
		"async event that says Complete":    {actions, "Event: QueueStatusComplete\nPrivilege: call,all\nActionID: a\nEventList: Complete\n\n", 1, 0},
		"async event named as an item":      {actions, "Event: QueueMember\nPrivilege: Call\nActionID: a\n\n", 1, 0},
		"event without ActionID":            {actions, "Event: QueueStatusComplete\nEventList: Complete\n\n", 1, 0},
		"item of an IAX list, none running": {actions, "Event: PeerEntry\n\n", 1, 0},
		"raw text":                          {actions, "no frame at all\n\n", 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, roomy)
			d.start(Call{ActionID: "a", Action: "QueueStatus"})
			d.play(actions, listStart)
			if left := d.play(tc.session, tc.wire); len(left) != tc.left {
				t.Errorf("left to publish: %q, want %d", left, tc.left)
			}
			d.mustPend("a")
			if got := d.Stats().Unmatched; got != tc.unmatched {
				t.Errorf("unmatched = %d, want %d", got, tc.unmatched)
			}
			d.play(actions, item("QueueStatusComplete"))
			if got := eventNames(t, d.mustEnd("a", Answered, SentYes)); !slices.Equal(got, []string{"QueueStatusComplete"}) {
				t.Errorf("events %q", got)
			}
		})
	}
}

func TestDeliver_NothingAnswersAnActionThatWasNotSent(t *testing.T) {
	d := newDesk(t, roomy)
	if err := d.register(Call{ActionID: "a", Action: "Ping"}); err != nil {
		t.Fatal(err)
	}
	d.play(actions, ack)
	d.mustPend("a")
	if got := d.Stats().Unmatched; got != 1 {
		t.Errorf("unmatched = %d", got)
	}
}

func TestDeliver_ItemsWithoutActionIDGoToTheListThatRuns(t *testing.T) {
	d := newDesk(t, roomy)
	for _, id := range []string{"a", "b"} {
		d.start(Call{ActionID: id, Action: "IAXpeers"})
	}
	d.start(Call{ActionID: "e", Action: "IAXpeers", Session: events})
	const entry = "Event: PeerEntry\nObjectName: x\n\n"
	asB := func(wire string) string { return strings.ReplaceAll(wire, "ActionID: a", "ActionID: b") }
	d.play(actions, listStart+entry+item("PeerlistComplete")+asB(listStart+entry+entry+item("PeerlistComplete")))
	for id, want := range map[string]int{"a": 2, "b": 3} {
		if r := d.mustEnd(id, Answered, SentYes); r.EventCount != want {
			t.Errorf("%s has %d events, want %d", id, r.EventCount, want)
		}
	}
	d.mustPend("e")
}

func TestDeliver_ItemsWithoutActionIDAreNobodysIfTwoListsRun(t *testing.T) {
	d := newDesk(t, roomy)
	for _, id := range []string{"a", "b"} {
		d.start(Call{ActionID: id, Action: "IAXpeers"})
		d.play(actions, strings.Replace(listStart, ": a", ": "+id, 1))
	}
	if left := d.play(actions, "Event: PeerEntry\nObjectName: x\n\n"); len(left) != 1 {
		t.Error("the item was given to one of two lists")
	}
	d.play(actions, item("PeerlistComplete"))
	if left := d.play(actions, "Event: PeerEntry\nObjectName: x\n\n"); left != nil {
		t.Error("the item of the only list left was not taken")
	}
}

func TestDeliver_TellsLateFromUnmatched(t *testing.T) {
	d := newDesk(t, roomy)
	d.start(Call{ActionID: "a", Action: "Ping"})
	d.play(actions, ack+ack)
	d.mustEnd("a", Answered, SentYes)
	if left := d.play(actions, item("QueueMember")+listEnd); left != nil {
		t.Errorf("late items would be published: %q", left)
	}
	d.play(actions, strings.Replace(ack, ": a", ": b", 1))
	if s := d.Stats(); s.Late != 3 || s.Unmatched != 1 {
		t.Errorf("late %d, unmatched %d; want 3, 1", s.Late, s.Unmatched)
	}
	for i := range endedRemembered {
		d.start(Call{ActionID: fmt.Sprint(i), Action: "Ping"})
		d.play(actions, strings.Replace(ack, ": a", ": "+fmt.Sprint(i), 1))
		d.result(fmt.Sprint(i)).Release()
	}
	d.play(actions, ack)
	if s := d.Stats(); s.Late != 3 || s.Unmatched != 2 {
		t.Errorf("after many: late %d, unmatched %d; want 3, 2", s.Late, s.Unmatched)
	}
}

func TestDeliver_BuildsTheBodyAsAsteriskSaidIt(t *testing.T) {
	d := newDesk(t, roomy)
	d.start(Call{ActionID: "a", Action: "Command"})
	d.play(actions, "Response: Success\nActionID: a\nMessage: Command output follows\nOutput: one \"1\"\nOutput: \nOutput: \xfftwo\n\n")
	r := d.mustEnd("a", Answered, SentYes)
	got := []string{r.Response, r.Message, string(r.Fields), string(r.Output), fmt.Sprint(r.OutputLines, d.Stats().Replaced)}
	want := []string{
		"Success", "Command output follows",
		`{"Response":"Success","ActionID":"a","Message":"Command output follows"}`,
		`"one \"1\"","","` + "\uFFFD" + `two"`, "3 1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

func TestDeliver_AnErrorTakesThePlaceOfTheListsResponse(t *testing.T) {
	d := newDesk(t, roomy)
	d.start(Call{ActionID: "a", Action: "CoreShowChannelMap"})
	d.play(actions, listStart+refusal)
	r := d.mustEnd("a", AsteriskError, SentYes)
	if want := `{"Response":"Error","ActionID":"a","Message":"no"}`; string(r.Fields) != want || r.Message != "no" || r.Response != "Error" {
		t.Errorf("fields %s, message %q", r.Fields, r.Message)
	}
}

// A list that comes when its Call is long forgotten is no event: it may hold passwords that only replies hide.
func TestDeliver_ForgottenItemsAreNotPublished(t *testing.T) {
	d := newDesk(t, roomy)
	for wire, published := range map[string]bool{
		"Event: AuthList\nActionID: b1.pbx1." + actions + ".7\nPassword: x\n\n":               false,
		"Event: Status\nPrivilege: Call\nActionID: b1.pbx1." + actions + ".7\n\n":             false,
		"Event: AuthList\nActionID: b1.pbx1." + events + ".7\n\n":                             true,
		"Event: AuthList\nActionID: " + actions + "\n\n":                                      true,
		"Event: Hangup\nPrivilege: call,all\nActionID: b1.pbx1." + actions + ".7\n\n":         true,
		"Event: UserEvent\nUserEvent: x\nActionID: b1.pbx1." + actions + ".7\n\n":             true,
		"Event: OriginateResponse\nPrivilege: call,all\nActionID: b1.p." + actions + ".7\n\n": true,
	} {
		if left := d.play(actions, wire); (left != nil) != published {
			t.Errorf("%q is published: %v", wire, left != nil)
		}
	}
	if s := d.Stats(); s.Unmatched != 2 {
		t.Errorf("%d are unmatched", s.Unmatched)
	}
}
