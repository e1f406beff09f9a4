package security

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

func TestSecurity_ADialerCallsWhatIsGranted(t *testing.T) {
	s := harness.SecuredNATS(t, nil)
	_, r, _ := s.Bridge()
	dialer := s.As(r, "dialer")
	harness.Succeeds(t, dialer.Call("pbx1", "QueueStatus", ""))
	harness.Succeeds(t, dialer.Call("pbx1", "Originate", `{"Channel":"PJSIP/alice","Application":"Wait","Data":"1","Async":true}`))
	s.MayPublish("dialer", false, "ami.actions.pbx1.Command", "ami.actions.any.Hangup", "ami.actions.pbx1.originate",
		"ami.events.pbx1.Hangup", "_INBOX_reader.x", "_R_.x", "$SRV.PING")
	s.MaySubscribe("dialer", false, ">", "ami.events.>", "ami.actions.>", "_INBOX.>", "_INBOX_reader.>", "_INBOX_amibridge_b1.>", "_R_.>")
}

// AMI ignores case and NATS does not, so that a deny list alone would let
// through what is spelled otherwise.
func TestSecurity_AnotherSpellingIsNoWayAround(t *testing.T) {
	s := harness.SecuredNATS(t, func(text string) string {
		return strings.Replace(text, `allow: [ "ami.actions.*.Originate", "ami.actions.*.QueueStatus" ]`,
			`allow: [ "ami.actions.>" ], deny: [ "ami.actions.*.Originate" ]`, 1)
	})
	sim, r, _ := s.Bridge()
	s.MayPublish("dialer", false, "ami.actions.pbx1.Originate")
	harness.Fails(t, s.As(r, "dialer").Call("pbx1", "originate", `{"Channel":"PJSIP/alice"}`), "bad_request", "no")
	if n := sim.Received("Originate"); n != 0 {
		t.Errorf("Originate was sent %d times", n)
	}
}

// A caller may name any subject for the reply. From another account it reaches
// only that account; from its own the bridge refuses it.
func TestSecurity_RepliesGoToTheAskerAlone(t *testing.T) {
	s := harness.SecuredNATS(t, nil)
	sim, r, _ := s.Bridge(harness.NoState)
	dialer := s.Connect("dialer")
	ask := func(nc *nats.Conn, action, reply string, headers ...string) {
		t.Helper()
		msg := nats.NewMsg("ami.actions.pbx1." + action)
		msg.Reply = reply
		for i := 0; i < len(headers); i += 2 {
			msg.Header.Set(headers[i], headers[i+1])
		}
		if err := errors.Join(nc.PublishMsg(msg), nc.Flush()); err != nil {
			t.Fatal(err)
		}
	}
	ask(r.Client, "CoreStatus", "ami.events.pbx1.Forged")
	ask(r.Client, "CoreStatus", "_INBOX_amibridge_b1.x")
	ask(dialer, "QueueStatus", "ami.events.pbx1.Forged")
	// Replies and parts of them are no requests, although an import leads back.
	ask(dialer, "QueueStatus", "ami.actions.pbx1.CoreStatus")
	ask(dialer, "QueueStatus", "ami.actions.pbx1.CoreStatus", "Ami-Reply", "stream")
	harness.Eventually(t, "the dialer's questions", func() bool { return sim.Received("QueueStatus") == 3 })
	for range 3 {
		harness.Succeeds(t, r.Call("pbx1", "Ping", ""))
	}
	if n := sim.Received("CoreStatus"); n != 0 {
		t.Errorf("CoreStatus was sent %d times", n)
	}
	if n := storedOn(s, r, "ami.events.pbx1.Forged"); n != 0 {
		t.Errorf("%d forged events are stored", n)
	}
}

// Between accounts nats-server says who asked, whatever the asker says. Within
// one it says nothing, and does not take out what the sender says.
func TestSecurity_WhoAsked(t *testing.T) {
	s := harness.SecuredNATS(t, nil)
	admin, dialer := s.Connect("admin"), s.Connect("dialer")
	asked, err := admin.SubscribeSync("ami.actions.pbx1.QueueStatus")
	if err := errors.Join(err, admin.Flush()); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		nc                    *nats.Conn
		header, account, user string
	}{
		{dialer, "", "CALLERS", "dialer"},
		{dialer, `{"acc":"AMI","user":"admin"}`, "CALLERS", "dialer"},
		{admin, "", "", ""},
		{admin, `{"acc":"CALLERS","user":"dialer"}`, "CALLERS", "dialer"},
	} {
		msg := nats.NewMsg("ami.actions.pbx1.QueueStatus")
		if test.header != "" {
			msg.Header.Set("Nats-Request-Info", test.header)
		}
		if err := test.nc.PublishMsg(msg); err != nil {
			t.Fatal(err)
		}
		got, err := asked.NextMsg(harness.Patience)
		if err != nil {
			t.Fatal(err)
		}
		var who struct{ Acc, User string }
		if text := got.Header.Get("Nats-Request-Info"); text != "" {
			if err := json.Unmarshal([]byte(text), &who); err != nil {
				t.Fatalf("%v in %s", err, text)
			}
		}
		if who.Acc != test.account || who.User != test.user || len(got.Header.Values("Nats-Request-Info")) > 1 {
			t.Errorf("who asked with %q is %+v", test.header, got.Header)
		}
	}
}
