package sessions

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

func TestBridge_AnswersInEveryForm(t *testing.T) {
	for _, version := range []string{"11.0.0", "2.5.0", "1.1"} {
		t.Run(version, func(t *testing.T) {
			s, addr := harness.Sim(t, amisim.Config{Version: version})
			allow := func(c *config.Config) { c.ActionsAllow = setting.Globs{"Command"} }
			pbx := harness.Server("pbx1", addr, "bridge", "s3cret")
			harness.NoState(&pbx)
			r := harness.Bridge(t, harness.NATS(t), allow, pbx)
			queues := r.Call("pbx1", "QueueStatus", "")
			if n := len(queues.Events); queues.Error != nil || n < 3 || queues.Events[n-1]["Event"] != "QueueStatusComplete" {
				t.Errorf("QueueStatus: %+v", queues)
			}
			if id := queues.ActionID; !strings.HasPrefix(id, "b1.pbx1.") || len(id) > 67 || queues.Node != "b1" || queues.Server != "pbx1" {
				t.Errorf("QueueStatus: %+v", queues)
			}
			if none := r.Call("pbx1", "VoicemailUsersList", ""); none.Error != nil || len(none.Events) != 0 {
				t.Errorf("an empty list: %+v", none)
			}
			command := r.Call("pbx1", "Command", `{"Command":"long 300"}`)
			if len(command.Output) != 300 || command.Error != nil {
				t.Errorf("Command: %d lines, %+v", len(command.Output), command.Error)
			}
			if s.Received("QueueStatus") != 1 {
				t.Errorf("QueueStatus was sent %d times", s.Received("QueueStatus"))
			}
		})
	}
}

func TestBridge_ListErrorsAfterTheStart(t *testing.T) {
	_, r := harness.SimBridge(t, amisim.Config{}, nil)
	reply := r.Call("pbx1", "CoreShowChannelMap", `{"Channel":"none"}`)
	if reply.Error == nil || reply.Error.Kind != "asterisk_error" || reply.Error.Sent != "yes" {
		t.Errorf("an Error after EventList: start: %+v", reply)
	}
}

func TestBridge_ErrorsSayWhatReachedAsterisk(t *testing.T) {
	t.Parallel()
	sim, r := harness.SimBridge(t, amisim.Config{}, func(s *config.ServerConfig) { s.BreakerFailures = 1000 })
	sim.Next("CoreStatus", amisim.Stall)
	if e := r.Call("pbx1", "CoreStatus", "", "Ami-Timeout", "4s").Error; e == nil || e.Code != 504 || e.Sent != "unknown" {
		t.Errorf("a timeout: %+v", e)
	}
	// The stalled session answers nothing any more: what is written into it
	// and lost with it is unknown as well.
	states := r.Subscribe("ami.status.pbx1.connection")
	sim.Next("CoreSettings", amisim.Refuse)
	sim.Kick()
	for up := 0; up < 2; {
		if strings.Contains(string(r.Next(states).Data), `"to":"up"`) {
			up++
		}
	}
	if e := r.Call("pbx1", "CoreSettings", "").Error; e == nil || e.Code != 502 || e.Sent != "unknown" {
		t.Errorf("a disconnect: %+v", e)
	}
	sim.Always(amisim.Accept, amisim.Refuse)
	sim.Kick()
	for !strings.Contains(string(r.Next(states).Data), `"role":"event","from":"connecting","to":"waiting"`) {
		continue
	}
	if e := r.Call("pbx1", "Ping", "").Error; e == nil || e.Code != 503 || e.Kind != "not_connected" || e.Sent != "no" {
		t.Errorf("not connected: %+v", e)
	}
	sim.Always(amisim.Accept, nil)
}

// The bridge must not publish where a caller likes.
func TestBridge_RefusesAReplyOutsideAnInbox(t *testing.T) {
	sim, r := harness.SimBridge(t, amisim.Config{}, nil)
	forged := r.Subscribe("ami.events.pbx1.Hangup")
	if err := r.Client.PublishRequest("ami.actions.pbx1.CoreStatus", "ami.events.pbx1.Hangup", nil); err != nil {
		t.Fatal(err)
	}
	if reply := r.Call("pbx1", "CoreSettings", ""); reply.Error != nil {
		t.Fatalf("%+v", reply)
	}
	if n := sim.Received("CoreStatus"); n != 0 {
		t.Errorf("the action was sent %d times", n)
	}
	if n, _, err := forged.Pending(); n != 0 || err != nil {
		t.Errorf("%d messages where the caller pointed (%v)", n, err)
	}
}

// After a reconnect the Gap is in the stream, before the new session's first
// event, and as a status.
func TestBridge_ReconnectIsAGap(t *testing.T) {
	sim, r := harness.SimBridge(t, amisim.Config{NotBooted: true}, nil)
	events, gaps := r.Subscribe("ami.events.pbx1.>"), r.Subscribe("ami.status.pbx1.gap")
	sim.Emit("Event", "Before")
	r.Next(events)
	states := r.Subscribe("ami.status.pbx1.connection")
	sim.Kick()
	r.AwaitText(states, `"role":"event","from":"connecting","to":"up"`)
	sim.Emit("Event", "After")
	var gap struct{ Event, From, To, Reason, Lost string }
	msg := r.Next(events)
	if err := json.Unmarshal(msg.Data, &gap); err != nil || gap.Event != "Gap" || !harness.HungUp(gap.Reason) || gap.Lost != "unknown" {
		t.Errorf("first came %s", msg.Data)
	}
	if after := r.Next(events); !strings.HasSuffix(after.Subject, ".After") || !strings.HasSuffix(after.Header.Get("Ami-Seq"), ":1") {
		t.Errorf("then came %s with %s", after.Subject, after.Header.Get("Ami-Seq"))
	}
	if status := r.Next(gaps); !strings.Contains(string(status.Data), `"lost":null,"restarted":null`) {
		t.Errorf("status %s", status.Data)
	}
}

func TestBridge_Latin1BothWays(t *testing.T) {
	sim, r := harness.SimBridge(t, amisim.Config{}, func(s *config.ServerConfig) { s.Charset = frames.Latin1 })
	events := r.Subscribe("ami.events.pbx1.Caller")
	sim.EmitRaw([]byte("Event: Caller\r\nPrivilege: call,all\r\nName: Ren\xe9\r\n\r\n"))
	if msg := r.Next(events); !strings.Contains(string(msg.Data), `"Name":"René"`) {
		t.Errorf("event %s", msg.Data)
	}
	if reply := r.Call("pbx1", "Setvar", `{"Variable":"X","Value":"René"}`); reply.Error != nil {
		t.Errorf("Setvar: %+v", reply)
	}
	if reply := r.Call("pbx1", "Getvar", `{"Variable":"X"}`); reply.Fields["Value"] != "René" {
		t.Errorf("Getvar: %+v", reply)
	}
	if e := r.Call("pbx1", "Setvar", `{"Variable":"X","Value":"李"}`).Error; e == nil || e.Code != 400 {
		t.Errorf("a character that Latin-1 does not have: %+v", e)
	}
}

func TestBridge_FiltersAndCounts(t *testing.T) {
	t.Parallel()
	sim, r := harness.SimBridge(t, amisim.Config{NotBooted: true}, func(s *config.ServerConfig) {
		s.EventsAllow, s.EventsDeny = setting.Globs{"Queue*", "Hangup"}, setting.Globs{"QueueMember*"}
	})
	events := r.Subscribe("ami.events.pbx1.>")
	for _, name := range []string{"VarSet", "QueueMemberStatus", "QueueCallerJoin", "Newexten", "Hangup"} {
		sim.Emit("Event", name)
	}
	join, hangup := r.Next(events), r.Next(events)
	if !strings.HasSuffix(join.Subject, ".QueueCallerJoin") || !strings.HasSuffix(join.Header.Get("Ami-Seq"), ":3") ||
		!strings.HasSuffix(hangup.Subject, ".Hangup") || !strings.HasSuffix(hangup.Header.Get("Ami-Seq"), ":5") {
		t.Errorf("came %s %s and %s %s", join.Subject, join.Header.Get("Ami-Seq"), hangup.Subject, hangup.Header.Get("Ami-Seq"))
	}
	buffers := r.Subscribe("ami.status.pbx1.buffers")
	for {
		var b struct{ Received, Published, Filtered uint64 }
		if err := json.Unmarshal(r.Next(buffers).Data, &b); err != nil {
			t.Fatal(err)
		}
		if b.Received == 5 && b.Filtered == 3 && b.Published == 2 {
			return
		}
	}
}

// Everything that was read is in the stream when the bridge has stopped.
func TestBridge_ShutdownLeavesNothing(t *testing.T) {
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	const n, allowed = 20_000, 10 * time.Minute
	r := harness.Bridge(t, harness.NATS(t), func(c *config.Config) { c.ShutdownTimeout = allowed }, harness.Server("pbx1", addr, "bridge", "s3cret"))
	if err := sim.Flood(t.Context(), n, amisim.Traffic{Seed: 1}); err != nil {
		t.Fatal(err)
	}
	sim.Next("CoreStatus", amisim.Delay(300*time.Millisecond))
	inbox := nats.NewInbox()
	answers := r.Subscribe(inbox)
	if err := r.Client.PublishRequest("ami.actions.pbx1.CoreStatus", inbox, nil); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "the action at the server", func() bool { return sim.Received("CoreStatus") == 1 })
	began := time.Now()
	if err := r.Stop(); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if took := time.Since(began); took > allowed/3 { // nothing waits for a part of it to pass
		t.Errorf("shutdown took %v", took)
	}
	if msg := r.Next(answers); !strings.Contains(string(msg.Data), `"response":"Success"`) {
		t.Errorf("the pending action was answered %s", msg.Data)
	}
	js := harness.JetStream(t, r.Client)
	stream, err := js.Stream(t.Context(), streams.EventStream)
	if err != nil {
		t.Fatal(err)
	}
	// The flood may have been cut short by the Logoff; what was read counts.
	status, err := js.Stream(t.Context(), streams.StatusStream)
	if err != nil {
		t.Fatal(err)
	}
	// The stream of statuses takes them in after their publisher has gone.
	stored := stream.CachedInfo().State.Msgs
	harness.Eventually(t, fmt.Sprintf("a last status that tells of the %d events in the stream", stored), func() bool {
		last, err := status.GetLastMsgForSubject(t.Context(), "ami.status.pbx1.buffers")
		if err != nil {
			t.Fatal(err)
		}
		var buffers struct{ Received, Published uint64 }
		if err := json.Unmarshal(last.Data, &buffers); err != nil {
			t.Fatal(err)
		}
		return stored > 0 && buffers.Received == stored && buffers.Published == stored
	})
}
