package actions

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// A reply keeps what an event keeps: repeats, order, case, odd names, bytes that
// are no text.
func TestPeers_RepliesKeepWhatWasOnTheWire(t *testing.T) {
	t.Parallel()
	sim, r := harness.SimBridge(t, amisim.Config{NotBooted: true}, nil)
	sim.Next("CoreStatus", func(s *amisim.Session, a *amisim.Action) {
		s.Write([]byte("Response: Success\r\nActionID: " + a.ActionID + "\r\nzeta: 1\r\nMember: a\r\nAlpha_x (1): MiXed\r\n" +
			"Member: b\r\nalpha: 2\r\nName: J\xf6rg\r\nMember: a\r\nChanVariable: X=1=2\r\n\r\n"))
	})
	var body struct {
		ActionID string `json:"action_id"`
		Fields   json.RawMessage
	}
	if err := json.Unmarshal(r.Next(r.Ask("pbx1", "CoreStatus", "")).Data, &body); err != nil {
		t.Fatal(err)
	}
	want := `{"Response":"Success","ActionID":"` + body.ActionID + `","zeta":"1","Member":["a","b","a"],"Alpha_x (1)":"MiXed",` +
		"\"alpha\":\"2\",\"Name\":\"J\uFFFDrg\",\"ChanVariable\":[\"X=1=2\"]}"
	if string(body.Fields) != want {
		t.Errorf("\n got %s\nwant %s", body.Fields, want)
	}
}

// Whether an action's reply is a list is known by the action and its headers,
// not by the words of its Message.
func TestPeers_AMessageThatSpeaksOfAListIsNone(t *testing.T) {
	t.Parallel()
	sim, r := harness.SimBridge(t, amisim.Config{NotBooted: true}, nil)
	for _, message := range []string{"Queue status will follow", "Parked calls will follow", "the text follows", "Added interface; list follows"} {
		sim.Next("QueueAdd", func(s *amisim.Session, a *amisim.Action) {
			s.Write([]byte("Response: Success\r\nActionID: " + a.ActionID + "\r\nMessage: " + message + "\r\n\r\n"))
		})
		got := r.Call("pbx1", "QueueAdd", `{"Queue":"support","Interface":"PJSIP/x"}`)
		if got.Error != nil || got.Message != message || len(got.Events) != 0 {
			t.Errorf("%q: %+v, %+v", message, got, got.Error)
		}
	}
}

// Two lists that run at once, with events and another's list between their
// items, each get their own items and end at their own end.
func TestPeers_ListsThatRunAtOnceStayApart(t *testing.T) {
	t.Parallel()
	sim, r := harness.SimBridge(t, amisim.Config{NotBooted: true}, nil)
	var first string
	sim.Always("QueueStatus", func(s *amisim.Session, a *amisim.Action) {
		if first == "" {
			first = a.ActionID
			return
		}
		line := func(event, id, more string) string {
			return "Event: " + event + "\r\nActionID: " + id + "\r\n" + more + "\r\n"
		}
		var wire strings.Builder
		ids := []string{first, a.ActionID, "b9.pbx1.zzzz.1"}
		for _, id := range ids {
			wire.WriteString("Response: Success\r\nActionID: " + id + "\r\nEventList: start\r\nMessage: Queue status will follow\r\n\r\n")
		}
		for i := range 50 {
			for _, id := range ids {
				wire.WriteString(line("QueueParams", id, fmt.Sprintf("Queue: %s\r\nN: %d\r\n", id, i)))
			}
		}
		for _, id := range []string{ids[1], ids[2], ids[0]} { // the later one ends first
			wire.WriteString(line("QueueStatusComplete", id, "EventList: Complete\r\nListItems: 50\r\n"))
		}
		s.Write([]byte(wire.String()))
	})
	one, two := r.Ask("pbx1", "QueueStatus", ""), r.Ask("pbx1", "QueueStatus", "")
	for _, got := range []harness.Reply{r.Answer(one), r.Answer(two)} {
		if got.Error != nil || len(got.Events) != 51 || got.Events[50]["Event"] != "QueueStatusComplete" {
			t.Fatalf("%d events, %+v", len(got.Events), got.Error)
		}
		for i, e := range got.Events[:50] {
			if e["Queue"] != got.ActionID || e["N"] != fmt.Sprint(i) {
				t.Fatalf("item %d of %s is %v", i, got.ActionID, e)
			}
		}
	}
	r.NoMore("pbx1", one, two)
}
