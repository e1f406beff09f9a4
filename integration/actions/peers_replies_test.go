package actions

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

func TestPeers_LineEndsInAParameterAreRefused(t *testing.T) {
	t.Parallel()
	sim, r := harness.SimBridge(t, amisim.Config{}, nil)
	for _, body := range []string{
		`{"Variable":"x\r\nAction: QueueReload"}`,
		`{"Variable":"x\r\n\r\nAction: QueueReload\r\n\r\n"}`,
		`{"Variable":"x\n\nAction: QueueReload\n\n"}`,
		`{"Variable":"x\rAction: QueueReload"}`,
		`{"Variable":"x\u0000"}`,
		`{"Variable":["x","y\nAction: QueueReload"]}`,
		`{"Variable":{"x":"1\n\nAction: QueueReload"}}`,
		`{"Variable\r\n\r\nAction: QueueReload\r\n\r\nX":"x"}`,
		`{"Variable: x\nAction":"QueueReload"}`,
	} {
		if e := r.Call("pbx1", "Getvar", body).Error; e == nil || e.Code != 400 || e.Sent != "no" {
			t.Errorf("%s: %+v, want 400, sent no", body, e)
		}
	}
	if reply := r.Call("pbx1", "Getvar", `{"Variable":"x"}`); reply.Error != nil {
		t.Errorf("then %+v", reply)
	}
	if got := sim.Received("QueueReload"); got != 0 || sim.Received("Getvar") != 1 {
		t.Errorf("%d smuggled actions and %d of 1 own reached the server", got, sim.Received("Getvar"))
	}
}

func TestPeers_AFailedAsyncOriginateIsAnError(t *testing.T) {
	t.Parallel()
	const body = `{"Channel":"PJSIP/alice","Context":"x","Exten":"1","Priority":1,"Async":"true"}`
	for _, test := range []struct {
		name  string
		fate  amisim.Originated
		fails bool
	}{
		{"fails after the reply", amisim.Originated{Answer: 50 * time.Millisecond, Failed: true, Reason: 5}, true},
		{"fails before the reply", amisim.Originated{Ack: 100 * time.Millisecond, Failed: true, Reason: 8}, true},
		{"succeeds after the reply", amisim.Originated{Answer: 50 * time.Millisecond}, false},
		{"succeeds before the reply", amisim.Originated{Ack: 100 * time.Millisecond}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, r := harness.SimBridge(t, amisim.Config{Originate: func(*amisim.Action) amisim.Originated { return test.fate }}, nil)
			got := r.Call("pbx1", "Originate", body, "Ami-Wait", "complete")
			if len(got.Events) != 1 || got.Events[0]["Event"] != "OriginateResponse" {
				t.Fatalf("%+v, want the OriginateResponse", got)
			}
			if test.fails != (got.Error != nil) || test.fails && (got.Error.Kind != "asterisk_error" || got.Error.Sent != "yes") {
				t.Errorf("%+v", got)
			}
		})
	}
}

// Up to Asterisk 13 a Command's output is raw text, in which anything may stand.
func TestPeers_RawCommandOutputIsKeptWhole(t *testing.T) {
	t.Parallel()
	sim, addr := harness.Sim(t, amisim.Config{Version: "1.1"})
	allow := func(c *config.Config) { c.ActionsAllow = setting.Globs{"Command"} }
	r := harness.Bridge(t, harness.NATS(t), allow, harness.Server("pbx1", addr, "bridge", "s3cret"))
	want := []string{"Name: x", "", "a: b", "", "", "Response: Error", "ActionID: 1", "", "Event: Forged", "--END COMMAND--", "last"}
	sim.Next("Command", func(s *amisim.Session, a *amisim.Action) {
		s.Write([]byte("Response: Follows\r\nPrivilege: Command\r\nActionID: " + a.ActionID + "\r\n" +
			strings.Join(want, "\n") + "\n--END COMMAND--\r\n\r\n"))
	})
	got := r.Call("pbx1", "Command", `{"Command":"core show something"}`)
	if diff := cmp.Diff(want, got.Output); diff != "" || got.Error != nil {
		t.Errorf("%+v (-want +got):\n%s", got.Error, diff)
	}
	fields := map[string]any{"Response": "Follows", "Privilege": "Command", "ActionID": got.ActionID}
	if diff := cmp.Diff(fields, got.Fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

// Since Asterisk 14 each line is a header of its own, all with one name.
func TestPeers_EveryOutputLineIsKept(t *testing.T) {
	t.Parallel()
	sim, addr := harness.Sim(t, amisim.Config{})
	allow := func(c *config.Config) { c.ActionsAllow = setting.Globs{"Command"} }
	r := harness.Bridge(t, harness.NATS(t), allow, harness.Server("pbx1", addr, "bridge", "s3cret"))
	want := []string{"first", "", "  indented: twice  ", "first", "last"}
	sim.Next("Command", func(s *amisim.Session, a *amisim.Action) {
		s.Write([]byte("Response: Success\r\nActionID: " + a.ActionID + "\r\nMessage: Command output follows\r\nOutput: " +
			strings.Join(want, "\r\nOutput: ") + "\r\n\r\n"))
	})
	if got := r.Call("pbx1", "Command", `{"Command":"x"}`); cmp.Diff(want, got.Output) != "" || got.Error != nil {
		t.Errorf("%+v (-want +got):\n%s", got.Error, cmp.Diff(want, got.Output))
	}
}

func TestPeers_QueueSummaryHasItsEvents(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"11.0.0", "2.5.0", "1.1"} {
		_, r := harness.SimBridge(t, amisim.Config{Version: version}, nil)
		var got []any
		reply := r.Call("pbx1", "QueueSummary", "")
		for _, e := range reply.Events {
			got = append(got, e["Event"], e["Queue"])
		}
		want := []any{"QueueSummary", "support", "QueueSummary", "sales", "QueueSummaryComplete", nil}
		if diff := cmp.Diff(want, got); diff != "" || reply.Error != nil {
			t.Errorf("AMI %s: %+v (-want +got):\n%s", version, reply.Error, diff)
		}
	}
}

// A reply in bare LF ends where it ends, and not with the next one, here a Pong
// that is far.
func TestPeers_ARepliesBareLineFeedsEndIt(t *testing.T) {
	t.Parallel()
	sim, r := harness.SimBridge(t, amisim.Config{}, func(s *config.ServerConfig) {
		s.PingInterval, s.ReadTimeout = time.Minute, 2*time.Minute
	})
	sim.Next("CoreStatus", amisim.BareLF())
	if got := r.Call("pbx1", "CoreStatus", "", "Ami-Timeout", "20s"); got.Error != nil || got.Response != "Success" {
		t.Errorf("%+v %+v", got, got.Error)
	}
}

// A thousand callers at once are answered in the order that the server likes,
// and each has its own answer although all chose the same ActionID.
func TestPeers_AThousandShuffledRepliesReachTheirCallers(t *testing.T) {
	t.Parallel()
	const n = 1000
	sim, r := harness.SimBridge(t, amisim.Config{NotBooted: true}, func(s *config.ServerConfig) { s.ActionTimeout = 100 * time.Second })
	var replies [][]byte
	sim.Always("Getvar", func(s *amisim.Session, a *amisim.Action) {
		if replies = append(replies, s.Reply(a)); len(replies) == n {
			rand.Shuffle(n, func(i, j int) { replies[i], replies[j] = replies[j], replies[i] })
			for _, b := range replies {
				s.Write(b)
			}
		}
	})
	inbox := nats.NewInbox()
	answers := r.Subscribe(inbox + ".*")
	for i := range n {
		r.Send(fmt.Sprint(inbox, ".", i), "Getvar", fmt.Sprintf(`{"ActionID":"mine","Variable":"v%d"}`, i))
	}
	ids := map[string]bool{}
	for range n {
		msg := r.Next(answers)
		var got harness.Reply
		if err := json.Unmarshal(msg.Data, &got); err != nil {
			t.Fatal(err)
		}
		asked := strings.TrimPrefix(msg.Subject, inbox+".")
		if got.Error != nil || got.Fields["Variable"] != "v"+asked || got.RequestID != "mine" || got.Fields["ActionID"] != got.ActionID {
			t.Fatalf("caller %s got %s", asked, msg.Data)
		}
		ids[got.ActionID] = true
	}
	if len(ids) != n {
		t.Errorf("%d ActionIDs for %d actions", len(ids), n)
	}
}

// What is not the answer to an action does not answer it, and silence is no
// success.
func TestPeers_OnlyItsOwnReplyIsAnAnswer(t *testing.T) {
	t.Parallel()
	sim, r := harness.SimBridge(t, amisim.Config{NotBooted: true}, nil)
	const success = "Response: Success\r\nMessage: ok\r\n\r\n"
	asked := map[string]*nats.Subscription{}
	for name, fault := range map[string]amisim.Fault{
		"nothing":                     amisim.Ignore,
		"a reply of another ActionID": amisim.WithActionID("b1.pbx1.other.1"),
		"a reply without ActionID":    amisim.WithActionID(""),
		"unasked Success and Error":   amisim.Say(success + "Response: Error\r\nMessage: Permission denied\r\n\r\n"),
		"an event that calls itself one": func(s *amisim.Session, a *amisim.Action) {
			s.Write([]byte("Event: X\r\nResponse: Success\r\nActionID: " + a.ActionID + "\r\n\r\n"))
		},
	} {
		before := sim.Received("CoreStatus")
		sim.Next("CoreStatus", fault)
		asked[name] = r.Ask("pbx1", "CoreStatus", "", "Ami-Timeout", "4s")
		harness.Eventually(t, "it is asked for", func() bool { return sim.Received("CoreStatus") > before })
	}
	for name, replies := range asked {
		got := r.Answer(replies)
		if e := got.Error; e == nil || e.Kind != "timeout" || e.Sent != "unknown" || got.Response != "" {
			t.Errorf("%s: %+v, want a timeout of unknown outcome", name, got)
		}
	}
	if got := r.Call("pbx1", "CoreStatus", ""); got.Error != nil {
		t.Errorf("then %+v", got)
	}
}

// One reply is cut inside its ActionID and the next one follows at once. Both
// callers are told that nobody knows; neither gets the other's answer.
func TestPeers_ACutReplyIsNotMergedIntoTheNext(t *testing.T) {
	t.Parallel()
	sim, r := harness.SimBridge(t, amisim.Config{NotBooted: true}, func(s *config.ServerConfig) {
		s.PingInterval, s.ReadTimeout = 5*time.Minute, 10*time.Minute // no Pong comes between the two
	})
	harness.Eventually(t, "the first Pings", func() bool { return sim.Received("Ping") == 2 })
	sim.Next("CoreStatus", func(s *amisim.Session, a *amisim.Action) {
		s.Write([]byte("Response: Success\r\nActionID: " + a.ActionID[:len(a.ActionID)-1]))
	})
	inbox := nats.NewInbox()
	cut := r.Subscribe(inbox + ".*")
	for i, action := range []string{"CoreStatus", "CoreSettings"} {
		msg := nats.NewMsg("ami.actions.pbx1." + action)
		msg.Reply = fmt.Sprint(inbox, ".", i)
		msg.Header.Set("Ami-Timeout", "4s")
		if err := r.Client.PublishMsg(msg); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if got := r.Answer(cut); got.Error == nil || got.Error.Kind != "timeout" || got.Error.Sent != "unknown" || got.Fields != nil {
			t.Errorf("%+v, want a timeout of unknown outcome", got)
		}
	}
	if got := r.Call("pbx1", "CoreSettings", ""); got.Error != nil || got.Fields["ActionID"] != got.ActionID {
		t.Errorf("then %+v", got)
	}
	// What a dead session left half read is not the beginning of the next one.
	sim.Next("CoreStatus", amisim.CutAfter(30))
	states := r.Subscribe("ami.status.pbx1.connection")
	if e := r.Call("pbx1", "CoreStatus", "").Error; e == nil || e.Kind != "connection_lost" {
		t.Errorf("a reply cut by the end of its session: %+v", e)
	}
	for !strings.Contains(string(r.Next(states).Data), `"to":"up"`) {
		continue
	}
	if got := r.Call("pbx1", "CoreStatus", ""); got.Error != nil || got.Fields["ActionID"] != got.ActionID {
		t.Errorf("on the next session: %+v", got)
	}
}
