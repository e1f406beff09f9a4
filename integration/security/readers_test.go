package security

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// twoReaders is deploy/nats/ami-bridge.conf with a second reader as reader.conf
// has it, and whatever edit changes.
func twoReaders(t *testing.T, edit func(string) string) *harness.Secured {
	t.Helper()
	t.Setenv("AMI_READER2_PASSWORD", harness.Password("reader2"))
	add := harness.Adding(t, "reader.conf", 7)
	return harness.SecuredNATS(t, func(text string) string { return edit(add(text)) })
}

// replayed is what a reader asks of a stream in order to have old events appear
// under live subjects: they are the reply subjects.
func replayed(t *testing.T, reader *nats.Conn, live ...string) {
	t.Helper()
	for _, subject := range live {
		for request, body := range map[string]string{
			"ami.js.DIRECT.GET.AMI_EVENTS":               `{"seq":1}`,
			"ami.js.CONSUMER.MSG.NEXT.AMI_EVENTS.reader": `{"batch":1}`,
		} {
			if err := reader.PublishRequest(request, subject, []byte(body)); err != nil {
				t.Fatal(err)
			}
		}
		// Several at once, and by subject: what ami-nats-bridge replay asks for.
		for _, body := range []string{`{"seq":1,"batch":3}`, `{"last_by_subj":"ami.events.pbx1.UserEvent"}`, `{"multi_last":["ami.events.>"]}`} {
			if err := reader.PublishRequest("ami.js.DIRECT.GET.AMI_EVENTS", subject, []byte(body)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := reader.Flush(); err != nil {
		t.Fatal(err)
	}
}

var liveSubjects = []string{
	"ami.events.pbx1.Hangup", "ami.status.pbx1.connection", "ami.nodes.b1", "ami.audit.pbx1.Originate", "ami.actions.pbx1.CoreStatus",
	"_INBOX_reader2.x", "_INBOX_amibridge_b1.x", "_INBOX_dialer.x",
}

// A reader can have nats-server publish old events under a live subject, by the
// reply subject of a direct get or of a fetch. In an account of its own nobody
// else sees them: not the next reader, not the bridge's account, no stream.
func TestSecurity_AReaderReplaysIntoItsOwnAccountOnly(t *testing.T) {
	s := twoReaders(t, func(text string) string { return text })
	sim, r, _ := s.Bridge()
	addDurable(s, r, streams.EventStream, "reader")
	addDurable(s, r, streams.EventStream, "reader2")
	for range 3 {
		sim.Emit("Event", "UserEvent", "to", "up")
	}
	r.Drained("pbx1", 3)
	reader, other := s.Connect("reader"), s.Connect("reader2")
	own, err := reader.SubscribeSync("ami.events.pbx1.Hangup")
	if err != nil {
		t.Fatal(err)
	}
	var seen []*nats.Subscription
	for _, nc := range []*nats.Conn{other, r.Client} {
		for _, subject := range []string{"ami.events.pbx1.Hangup", "ami.status.pbx1.connection", "ami.nodes.b1", "_INBOX_reader2.x"} {
			sub, err := nc.SubscribeSync(subject)
			if err != nil {
				t.Fatal(err)
			}
			seen = append(seen, sub)
		}
	}
	dialer := s.Connect("dialer")
	inbox, err := dialer.SubscribeSync("_INBOX_dialer.x")
	if err != nil {
		t.Fatal(err)
	}
	seen = append(seen, inbox)
	replayed(t, reader, liveSubjects...)
	for range 5 { // what is left: it fools itself
		if m, err := own.NextMsg(harness.Patience); err != nil {
			t.Fatal(err)
		} else if len(m.Data) > 0 && !strings.Contains(string(m.Data), `"to":"up"`) && m.Header.Get("Status") == "" {
			t.Errorf("came %v %s", m.Header, m.Data)
		}
	}
	harness.Succeeds(t, r.Call("pbx1", "Ping", ""))
	sim.Emit("Event", "Tick")
	r.Drained("pbx1", 4)
	last, err := other.Request("ami.js.DIRECT.GET.AMI_EVENTS", []byte(`{"last_by_subj":"ami.events.pbx1.Tick"}`), harness.Patience)
	if err != nil || last.Header.Get("Nats-Subject") != "ami.events.pbx1.Tick" {
		t.Errorf("the second reader reads %+v, %v", last, err)
	}
	if err := dialer.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, sub := range seen {
		for {
			m, err := sub.NextMsg(1)
			if err != nil {
				break
			}
			if strings.Contains(string(m.Data), `"to":"up"`) && strings.Contains(string(m.Data), "UserEvent") {
				t.Errorf("%s: %s", m.Subject, m.Data)
			}
		}
	}
	if n := sim.Received("CoreStatus"); n != 0 {
		t.Errorf("a reader's replay was asked of Asterisk %d times", n)
	}
	if forged, genuine := storedOn(s, r, "ami.events.pbx1.Hangup"), storedOn(s, r, "ami.events.pbx1.UserEvent"); forged != 0 || genuine != 3 {
		t.Errorf("%d forged events are stored, and %d of 3", forged, genuine)
	}
	// The second reader has what the first one has, and nothing of it.
	js, err := jetstream.NewWithAPIPrefix(other, "ami.js")
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := js.Consumer(t.Context(), streams.EventStream, "reader2")
	if err != nil {
		t.Fatal(err)
	}
	if err := fetch(t, consumer).DoubleAck(t.Context()); err != nil {
		t.Error(err)
	}
	s.MayPublish("reader2", false, "ami.js.CONSUMER.MSG.NEXT.AMI_EVENTS.reader", "$JS.ACK.AMI_EVENTS.reader.1", "ami.events.pbx1.Hangup")
}

// Why a second reader is not a second user of the first one's account: what one
// has replayed comes to the other as a live event.
func TestSecurity_TwoReadersInOneAccountFoolEachOther(t *testing.T) {
	s := harness.SecuredNATS(t, func(text string) string {
		second := `{ user: reader2, password: "` + harness.Password("reader2") + `", permissions: { publish: "none", subscribe: "ami.events.>" } }`
		return strings.Replace(text, "      { user: reader,", "      "+second+"\n      { user: reader,", 1)
	})
	sim, r, _ := s.Bridge()
	addDurable(s, r, streams.EventStream, "reader")
	sim.Emit("Event", "UserEvent", "to", "up")
	r.Drained("pbx1", 1)
	fooled, err := s.Connect("reader2").SubscribeSync("ami.events.pbx1.Hangup")
	if err != nil {
		t.Fatal(err)
	}
	if err := fooled.SetPendingLimits(-1, -1); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "a replay", func() bool {
		replayed(t, s.Connect("reader"), "ami.events.pbx1.Hangup")
		n, _, err := fooled.Pending()
		return n > 0 && err == nil
	})
}

// What the bridge answers a caller of another account goes where the caller
// points too: within that account, and as a request to the bridge it has no reply
// subject.
func TestSecurity_ACallersReplyIsNoRequest(t *testing.T) {
	s := harness.SecuredNATS(t, nil)
	sim, r, _ := s.Bridge(harness.NoState)
	events := r.Subscribe("ami.events.pbx1.Hangup")
	dialer := s.Connect("dialer")
	for _, reply := range []string{"ami.events.pbx1.Hangup", "ami.actions.pbx1.CoreStatus", "ami.actions.all.CoreStatus"} {
		for _, to := range []string{"pbx1", "all"} {
			if err := dialer.PublishRequest("ami.actions."+to+".QueueStatus", reply, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := dialer.Flush(); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "they are asked", func() bool { return sim.Received("QueueStatus") == 6 })
	harness.Succeeds(t, s.As(r, "dialer").Call("pbx1", "QueueStatus", ""))
	if n := sim.Received("CoreStatus"); n != 0 {
		t.Errorf("a reply was asked of Asterisk %d times", n)
	}
	if n, _, err := events.Pending(); n != 0 || err != nil {
		t.Errorf("%d forged events (%v)", n, err)
	}
}
