package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
)

func TestChaos_ResponseTwice(t *testing.T) {
	sim, r := chaosBridge(t, amisim.Config{}, nil)
	sim.Next("Getvar", func(s *amisim.Session, a *amisim.Action) { s.Write([]byte(echo(a) + echo(a))) })
	sim.Next("Setvar", func(s *amisim.Session, a *amisim.Action) { s.Write([]byte(echo(a))) })
	sim.Next("QueueStatus", amisim.Twice())
	first, second := r.ask("pbx1", "Getvar", `{"Variable":"one"}`), r.ask("pbx1", "Setvar", `{"Variable":"two"}`)
	if got := r.answer(first); got.Fields["Value"] != "one" {
		t.Errorf("the first got %+v", got)
	}
	if got := r.answer(second); got.Fields["Value"] != "two" {
		t.Errorf("the second got %+v", got)
	}
	list := r.ask("pbx1", "QueueStatus", "")
	if got := r.answer(list); len(got.Events) != 8 || got.Error != nil {
		t.Errorf("the list has %d events, %+v", len(got.Events), got.Error)
	}
	r.noMore("pbx1", first, second, list)
	// Nine frames of the list came again.
	if n := r.metric("responses_late_total"); n != 10 {
		t.Errorf("%v late frames were counted, want 10", n)
	}
	r.untouched(t, sim, 0)
}

// A pending action is completed by nothing but its own ID on its own session:
// neither by that of another node, nor by its ID on the event session or on
// another server.
func TestChaos_ForeignActionIDs(t *testing.T) {
	t.Parallel()
	one, oneAddr := startSim(t, amisim.Config{NotBooted: true})
	two, twoAddr := startSim(t, amisim.Config{NotBooted: true})
	r := startBridge(t, natsURL(t), chaosConfig, chaosServer("pbx1", oneAddr), chaosServer("pbx2", twoAddr))
	came := hold(t, one, "CoreStatus")
	pending := r.ask("pbx1", "CoreStatus", "")
	h := within(t, "the action", came)

	forged := func(id string) string {
		return "Response: Success\r\nActionID: " + id + "\r\nMessage: forged\r\n\r\n" +
			"Event: CoreStatusComplete\r\nActionID: " + id + "\r\nEventList: Complete\r\nListItems: 0\r\n\r\n"
	}
	two.Next("Getvar", amisim.Before(forged(h.id)))
	succeeds(t, r.call("pbx2", "Getvar", `{"Variable":"x"}`))
	one.EmitRaw([]byte(forged(h.id)))
	events := r.subscribe("ami.events.pbx1.Tick")
	one.Emit("Event", "Tick", "N", "0")
	r.next(events)
	if n, _, _ := pending.Pending(); n != 0 {
		t.Fatalf("the action was completed: %s", r.next(pending).Data)
	}
	strangers := []string{
		"", "b2" + strings.TrimPrefix(h.id, "b1"), strings.Replace(h.id, ".pbx1.", ".pbx2.", 1), h.id + "0",
		h.id[:strings.LastIndexByte(h.id, '.')+1] + "999999", strings.ToUpper(h.id), "x" + h.id,
	}
	var before strings.Builder
	for _, id := range strangers {
		before.WriteString(forged(id))
	}
	h.release <- before.String()
	got := r.answer(pending)
	succeeds(t, got)
	if got.Message == "forged" || len(got.Events) != 0 || got.ActionID != h.id {
		t.Errorf("the answer is %+v", got)
	}
	one.Next("Getvar", amisim.WithActionID("b2.pbx1.zzzz.1"))
	foreign := r.ask("pbx1", "Getvar", `{"Variable":"x"}`, "Ami-Timeout", "4s")
	fails(t, r.answer(foreign), "timeout", "unknown")
	r.noMore("pbx1", pending, foreign)
	if n := r.metric("responses_unmatched_total", "server", "pbx1"); n != float64(len(strangers)+2) {
		t.Errorf("%v responses are unmatched, want %d", n, len(strangers)+2)
	}
	r.settled("pbx1", 1)
	story := check(t, r.story("pbx1"))
	forgeries := 0 // that came by the event session, where they are events of nobody
	for _, e := range story.events {
		if e.name != "Tick" {
			forgeries++
		}
	}
	if len(story.events) != forgeries+1 || forgeries > 1 || len(story.gaps) != 0 {
		t.Errorf("%d events, %d of them forged, %d gaps", len(story.events), forgeries, len(story.gaps))
	}
}

// The answer to an action that was given up is nobody's, least of all the next
// one's.
func TestChaos_ResponseAfterTheTimeout(t *testing.T) {
	t.Parallel()
	for _, sessions := range []int{2, 1} {
		t.Run(fmt.Sprint(sessions, " sessions"), func(t *testing.T) {
			t.Parallel()
			sim, r := chaosBridge(t, amisim.Config{}, func(s *config.ServerConfig) { s.Sessions = sessions })
			came := hold(t, sim, "QueueStatus")
			late := r.ask("pbx1", "QueueStatus", "", "Ami-Timeout", "4s")
			h := within(t, "the action", came)
			sim.Next("QueueStatus", func(s *amisim.Session, a *amisim.Action) {
				s.Write([]byte("Response: Success\r\nActionID: " + a.ActionID + "\r\nMessage: second\r\n\r\n"))
			})
			fails(t, r.answer(late), "timeout", "unknown")
			next := r.ask("pbx1", "QueueStatus", "")
			h.release <- ""
			if got := r.answer(next); got.Error != nil || got.Message != "second" || len(got.Events) != 0 {
				t.Errorf("the next action got %+v %+v", got, got.Error)
			}
			r.noMore("pbx1", late, next)
			if n := r.metric("responses_late_total"); n != 9 {
				t.Errorf("%v late frames were counted, want the 9 of the list", n)
			}
			r.untouched(t, sim, 0) // on the one session they could pass for events
		})
	}
}

// A dialplan writes what it likes into a UserEvent. It stays one, and completes
// nothing.
func TestChaos_ForgedUserEvent(t *testing.T) {
	for _, sessions := range []int{2, 1} {
		t.Run(fmt.Sprint(sessions, " sessions"), func(t *testing.T) {
			sim, r := chaosBridge(t, amisim.Config{}, func(s *config.ServerConfig) { s.Sessions = sessions })
			events := r.subscribe("ami.events.pbx1.>")
			// A list in its middle, and an Originate that waits for its event.
			list := holdInList(t, sim)
			originate := hold(t, sim, "Originate")
			status := r.ask("pbx1", "QueueStatus", "")
			inList := within(t, "the list", list)
			call := r.ask("pbx1", "Originate", `{"Channel":"Local/1@x","Application":"Wait","Async":"true"}`, "Ami-Wait", "complete")
			sim.EmitRaw([]byte(forgedUserEvent(inList.id, "1")))
			inList.release <- forgedUserEvent(inList.id, "2")
			got := r.answer(status)
			succeeds(t, got)
			if len(got.Events) != 2 || got.Events[1]["Event"] != "QueueStatusComplete" || got.Message == "forged" {
				t.Errorf("the list is %+v", got)
			}
			pending := within(t, "the Originate", originate)
			sim.EmitRaw([]byte(forgedUserEvent(pending.id, "3")))
			pending.release <- forgedUserEvent(pending.id, "4")
			if got := r.answer(call); got.Error != nil || len(got.Events) != 1 || got.Events[0]["Reason"] != "4" ||
				got.Events[0]["Event"] != "OriginateResponse" || got.Message == "forged" {
				t.Errorf("the Originate is %+v %+v", got, got.Error)
			}
			r.noMore("pbx1", status, call)
			// On a session of their own, actions come with no events.
			forged := map[int]int{2: 2, 1: 4}[sessions]
			for names := map[string]int{}; names["UserEvent"] < forged || names["OriginateResponse"] < 1; {
				e := r.next(events)
				name := strings.TrimPrefix(e.Subject, "ami.events.pbx1.")
				if names[name]++; name != "UserEvent" && name != "OriginateResponse" {
					t.Fatalf("a forged event became %s", e.Subject)
				}
				if name == "UserEvent" && !strings.HasPrefix(string(e.Data), `{"Event":["UserEvent","Hangup"],"Privilege":"user,all"`) {
					t.Errorf("UserEvent %s", e.Data)
				}
			}
			b := r.settled("pbx1", uint64(forged+1))
			if b.Received != uint64(forged+1) || len(check(t, r.story("pbx1")).events) != forged+1 {
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
func holdInList(t *testing.T, sim *amisim.Server) <-chan held {
	came := make(chan held, 1)
	sim.Next("QueueStatus", func(s *amisim.Session, a *amisim.Action) {
		id := "\r\nActionID: " + a.ActionID + "\r\n"
		s.Write([]byte("Response: Success" + id + "EventList: start\r\nMessage: Queue status will follow\r\n\r\n" +
			"Event: QueueParams\r\nQueue: support" + id + "\r\n"))
		h := held{a.ActionID, make(chan string, 1)}
		came <- h
		select {
		case before := <-h.release:
			s.Write([]byte(before + "Event: QueueStatusComplete" + id + "EventList: Complete\r\nListItems: 1\r\n\r\n"))
		case <-t.Context().Done():
		}
	})
	return came
}
