package actions

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

func TestChaos_ResponseTwice(t *testing.T) {
	t.Parallel()
	sim, r := harness.ChaosBridge(t, amisim.Config{}, nil)
	sim.Next("Getvar", func(s *amisim.Session, a *amisim.Action) { s.Write([]byte(harness.Echo(a) + harness.Echo(a))) })
	sim.Next("Setvar", func(s *amisim.Session, a *amisim.Action) { s.Write([]byte(harness.Echo(a))) })
	sim.Next("QueueStatus", amisim.Twice())
	first, second := r.Ask("pbx1", "Getvar", `{"Variable":"one"}`), r.Ask("pbx1", "Setvar", `{"Variable":"two"}`)
	if got := r.Answer(first); got.Fields["Value"] != "one" {
		t.Errorf("the first got %+v", got)
	}
	if got := r.Answer(second); got.Fields["Value"] != "two" {
		t.Errorf("the second got %+v", got)
	}
	list := r.Ask("pbx1", "QueueStatus", "")
	if got := r.Answer(list); len(got.Events) != 8 || got.Error != nil {
		t.Errorf("the list has %d events, %+v", len(got.Events), got.Error)
	}
	r.NoMore("pbx1", first, second, list)
	// Nine frames of the list came again.
	if n := r.Metric("responses_late_total"); n != 10 {
		t.Errorf("%v late frames were counted, want 10", n)
	}
	r.Untouched(t, sim, 0)
}

// A pending action is completed by nothing but its own ID on its own session:
// neither by that of another node, nor by its ID on the event session or on
// another server.
func TestChaos_ForeignActionIDs(t *testing.T) {
	t.Parallel()
	one, oneAddr := harness.Sim(t, amisim.Config{NotBooted: true})
	two, twoAddr := harness.Sim(t, amisim.Config{NotBooted: true})
	r := harness.Bridge(t, harness.NATS(t), harness.ChaosConfig, harness.ChaosServer("pbx1", oneAddr), harness.ChaosServer("pbx2", twoAddr))
	came := harness.Hold(t, one, "CoreStatus")
	pending := r.Ask("pbx1", "CoreStatus", "")
	h := harness.Within(t, "the action", came)

	forged := func(id string) string {
		return "Response: Success\r\nActionID: " + id + "\r\nMessage: forged\r\n\r\n" +
			"Event: CoreStatusComplete\r\nActionID: " + id + "\r\nEventList: Complete\r\nListItems: 0\r\n\r\n"
	}
	two.Next("Getvar", amisim.Before(forged(h.ID)))
	harness.Succeeds(t, r.Call("pbx2", "Getvar", `{"Variable":"x"}`))
	one.EmitRaw([]byte(forged(h.ID)))
	events := r.Subscribe("ami.events.pbx1.Tick")
	one.Emit("Event", "Tick", "N", "0")
	r.Next(events)
	if n, _, _ := pending.Pending(); n != 0 {
		t.Fatalf("the action was completed: %s", r.Next(pending).Data)
	}
	strangers := []string{
		"", "b2" + strings.TrimPrefix(h.ID, "b1"), strings.Replace(h.ID, ".pbx1.", ".pbx2.", 1), h.ID + "0",
		h.ID[:strings.LastIndexByte(h.ID, '.')+1] + "999999", strings.ToUpper(h.ID), "x" + h.ID,
	}
	unmatched := len(strangers) + 2
	var before strings.Builder
	session := h.ID[strings.LastIndexByte(h.ID[:strings.LastIndexByte(h.ID, '.')], '.') : strings.LastIndexByte(h.ID, '.')+1]
	for _, id := range strangers {
		before.WriteString(forged(id))
		if strings.Contains(id, session) {
			unmatched++ // its event is no event of anybody, either
		}
	}
	h.Release <- before.String()
	got := r.Answer(pending)
	harness.Succeeds(t, got)
	if got.Message == "forged" || len(got.Events) != 0 || got.ActionID != h.ID {
		t.Errorf("the answer is %+v", got)
	}
	one.Next("Getvar", amisim.WithActionID("b2.pbx1.zzzz.1"))
	foreign := r.Ask("pbx1", "Getvar", `{"Variable":"x"}`, "Ami-Timeout", "4s")
	harness.Fails(t, r.Answer(foreign), "timeout", "unknown")
	r.NoMore("pbx1", pending, foreign)
	if n := r.Metric("responses_unmatched_total", "server", "pbx1"); n != float64(unmatched) {
		t.Errorf("%v responses are unmatched, want %d", n, unmatched)
	}
	r.Drained("pbx1", 1)
	story := harness.CheckStory(t, r.Story("pbx1"))
	forgeries := 0 // that came by the event session, where they are events of nobody
	for _, e := range story.Events {
		if e.Name != "Tick" {
			forgeries++
		}
	}
	if len(story.Events) != forgeries+1 || forgeries > 1 || len(story.Gaps) != 0 {
		t.Errorf("%d events, %d of them forged, %d gaps", len(story.Events), forgeries, len(story.Gaps))
	}
}

// The answer to an action that was given up is nobody's, least of all the next
// one's.
func TestChaos_ResponseAfterTheTimeout(t *testing.T) {
	t.Parallel()
	for _, sessions := range []int{2, 1} {
		t.Run(fmt.Sprint(sessions, " sessions"), func(t *testing.T) {
			t.Parallel()
			sim, r := harness.ChaosBridge(t, amisim.Config{}, func(s *config.ServerConfig) { s.Sessions = sessions })
			came := harness.Hold(t, sim, "QueueStatus")
			late := r.Ask("pbx1", "QueueStatus", "", "Ami-Timeout", "4s")
			h := harness.Within(t, "the action", came)
			sim.Next("QueueStatus", func(s *amisim.Session, a *amisim.Action) {
				s.Write([]byte("Response: Success\r\nActionID: " + a.ActionID + "\r\nMessage: second\r\n\r\n"))
			})
			harness.Fails(t, r.Answer(late), "timeout", "unknown")
			next := r.Ask("pbx1", "QueueStatus", "")
			h.Release <- ""
			if got := r.Answer(next); got.Error != nil || got.Message != "second" || len(got.Events) != 0 {
				t.Errorf("the next action got %+v %+v", got, got.Error)
			}
			r.NoMore("pbx1", late, next)
			if n := r.Metric("responses_late_total"); n != 9 {
				t.Errorf("%v late frames were counted, want the 9 of the list", n)
			}
			r.Untouched(t, sim, 0) // on the one session they could pass for events
		})
	}
}

// A dialplan writes what it likes into a UserEvent. It stays one, and completes
// nothing.
func TestChaos_ForgedUserEvent(t *testing.T) {
	t.Parallel()
	for _, sessions := range []int{2, 1} {
		t.Run(fmt.Sprint(sessions, " sessions"), func(t *testing.T) {
			sim, r := harness.ChaosBridge(t, amisim.Config{}, func(s *config.ServerConfig) { s.Sessions = sessions })
			events := r.Subscribe("ami.events.pbx1.>")
			// A list in its middle, and an Originate that waits for its event.
			list := holdInList(t, sim)
			originate := harness.Hold(t, sim, "Originate")
			status := r.Ask("pbx1", "QueueStatus", "")
			inList := harness.Within(t, "the list", list)
			call := r.Ask("pbx1", "Originate", `{"Channel":"Local/1@x","Application":"Wait","Async":"true"}`, "Ami-Wait", "complete")
			sim.EmitRaw([]byte(forgedUserEvent(inList.ID, "1")))
			inList.Release <- forgedUserEvent(inList.ID, "2")
			got := r.Answer(status)
			harness.Succeeds(t, got)
			if len(got.Events) != 2 || got.Events[1]["Event"] != "QueueStatusComplete" || got.Message == "forged" {
				t.Errorf("the list is %+v", got)
			}
			pending := harness.Within(t, "the Originate", originate)
			sim.EmitRaw([]byte(forgedUserEvent(pending.ID, "3")))
			pending.Release <- forgedUserEvent(pending.ID, "4")
			if got := r.Answer(call); got.Error != nil || len(got.Events) != 1 || got.Events[0]["Reason"] != "4" ||
				got.Events[0]["Event"] != "OriginateResponse" || got.Message == "forged" {
				t.Errorf("the Originate is %+v %+v", got, got.Error)
			}
			r.NoMore("pbx1", status, call)
			// On a session of their own, actions come with no events.
			forged := map[int]int{2: 2, 1: 4}[sessions]
			for names := map[string]int{}; names["UserEvent"] < forged || names["OriginateResponse"] < 1; {
				e := r.Next(events)
				name := strings.TrimPrefix(e.Subject, "ami.events.pbx1.")
				if names[name]++; name != "UserEvent" && name != "OriginateResponse" {
					t.Fatalf("a forged event became %s", e.Subject)
				}
				if name == "UserEvent" && !strings.HasPrefix(string(e.Data), `{"Event":["UserEvent","Hangup"],"Privilege":"user,all"`) {
					t.Errorf("UserEvent %s", e.Data)
				}
			}
			b := r.Drained("pbx1", uint64(forged+1))
			if b.Received != uint64(forged+1) || len(harness.CheckStory(t, r.Story("pbx1")).Events) != forged+1 {
				t.Errorf("%+v, want %d events", b, forged+1)
			}
		})
	}
}

// forgedUserEvent is UserEvent(x,Event: Hangup,…) of a dialplan.
func forgedUserEvent(id, n string) string {
	return "Event: UserEvent\r\nPrivilege: user,all\r\nUserEvent: x\r\nN: " + n +
		"\r\nEvent: Hangup\r\nResponse: Success\r\nMessage: forged\r\nActionID: " + id +
		"\r\nEventList: Complete\r\nReason: 0\r\n\r\n"
}

// holdInList sends half of the next QueueStatus, which is of two events, and
// keeps the rest back.
func holdInList(t *testing.T, sim *amisim.Server) <-chan harness.Held {
	came := make(chan harness.Held, 1)
	sim.Next("QueueStatus", func(s *amisim.Session, a *amisim.Action) {
		id := "\r\nActionID: " + a.ActionID + "\r\n"
		s.Write([]byte("Response: Success" + id + "EventList: start\r\nMessage: Queue status will follow\r\n\r\n" +
			"Event: QueueParams\r\nQueue: support" + id + "\r\n"))
		h := harness.Held{ID: a.ActionID, Release: make(chan string, 1)}
		came <- h
		select {
		case before := <-h.Release:
			s.Write([]byte(before + "Event: QueueStatusComplete" + id + "EventList: Complete\r\nListItems: 1\r\n\r\n"))
		case <-t.Context().Done():
		}
	})
	return came
}
