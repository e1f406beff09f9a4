package security

import (
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// taking is what of JetStream only the admin may do to the bridge's streams.
var taking = []string{"DELETE", "UPDATE", "PURGE", "MSG.DELETE", "RESTORE", "SNAPSHOT"}

func TestSecurity_NobodyTakesFromTheStreams(t *testing.T) {
	s := harness.SecuredNATS(t, nil)
	for _, user := range []string{"bridge", "reader", "dialer", "auditor"} {
		for _, stream := range []string{"AMI_EVENTS", "AMI_STATUS", "AMI_AUDIT"} {
			for _, what := range taking {
				s.MayPublish(user, false, "$JS.API.STREAM."+what+"."+stream)
			}
			s.MayPublish(user, false, "$JS.API.CONSUMER.CREATE."+stream, "$JS.API.CONSUMER.DURABLE.CREATE."+stream+".x")
		}
	}
	s.MayPublish("admin", true, "$JS.API.STREAM.PURGE.AMI_EVENTS")
	s.MayPublish("bridge", true, "$JS.API.DIRECT.GET.AMI_EVENTS")
	s.MaySubscribe("bridge", false, ">", "_INBOX.>", "_INBOX_dialer.>", "ami.events.>", "ami.audit.>")
	s.MayPublish("bridge", false, "ami.actions.pbx1.Originate", "_INBOX_dialer.x", "_INBOX_amibridge_b1.x")
}

func TestSecurity_AReaderReads(t *testing.T) {
	s := harness.SecuredNATS(t, nil)
	sim, r, _ := s.Bridge()
	addDurable(s, r, streams.EventStream, "reader")
	sim.Emit("Event", "Tick", "N", "1")
	r.Drained("pbx1", 1)
	reader := s.Connect("reader")
	js, err := jetstream.NewWithAPIPrefix(reader, "ami.js")
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := js.Consumer(t.Context(), streams.EventStream, "reader")
	if err != nil {
		t.Fatal(err)
	}
	msg := fetch(t, consumer)
	if msg.Subject() != "ami.events.pbx1.Tick" || !strings.Contains(string(msg.Data()), `"N":"1"`) {
		t.Errorf("came %s: %s", msg.Subject(), msg.Data())
	}
	if err := msg.DoubleAck(t.Context()); err != nil {
		t.Errorf("acknowledge: %v", err)
	}
	last, err := reader.Request("ami.js.DIRECT.GET.AMI_EVENTS", []byte(`{"last_by_subj":"ami.events.pbx1.Tick"}`), harness.Patience)
	if err != nil || !strings.Contains(string(last.Data), `"N":"1"`) {
		t.Errorf("direct get: %+v, %v", last, err)
	}
}

func TestSecurity_AReaderForgesNothing(t *testing.T) {
	s := harness.SecuredNATS(t, nil)
	s.MayPublish("reader", false, "ami.events.pbx1.Hangup", "ami.status.pbx1.connection", "ami.nodes.b1", "ami.audit.pbx1.Originate",
		"ami.actions.pbx1.QueueStatus", "_INBOX.x", "_INBOX_dialer.x", "_INBOX_amibridge_b1.x", "_R_.x",
		"$JS.ACK.AMI_AUDIT.auditor.1", "$JS.API.DIRECT.GET.AMI_AUDIT", "$KV.AMI_IDEMPOTENCY.x")
	s.MaySubscribe("reader", true, "ami.events.>", "ami.status.*.connection", "_INBOX_reader.>")
	s.MaySubscribe("reader", false, ">", "ami.>", "ami.actions.>", "ami.audit.>", "_INBOX.>", "_INBOX_dialer.>",
		"_INBOX_amibridge_b1.>", "_R_.>", "$JS.ACK.>", "$KV.>")
}

// What nats-server answers goes where the question says, whatever the asker may
// publish: in the asker's own account, where the subjects of another mean
// nothing. So it is with all that a reader without any permissions does.
func TestSecurity_AccountsAreApart(t *testing.T) {
	s := harness.SecuredNATS(t, func(text string) string {
		before, after, _ := strings.Cut(text, "$AMI_READER_PASSWORD,")
		_, after, _ = strings.Cut(after, "} }\n")
		return before + "$AMI_READER_PASSWORD }\n" + after
	})
	sim, r, _ := s.Bridge()
	addDurable(s, r, streams.EventStream, "reader")
	reader := s.Connect("reader")
	seen, err := reader.SubscribeSync("_INBOX_amibridge_b1.>")
	if err != nil {
		t.Fatal(err)
	}
	forged, err := reader.SubscribeSync("ami.events.pbx1.Forged")
	err = errors.Join(err, reader.Publish("ami.events.pbx1.Forged", nil),
		reader.Publish("ami.actions.pbx1.CoreStatus", nil),
		reader.PublishRequest("ami.js.CONSUMER.MSG.NEXT.AMI_EVENTS.reader", "ami.events.pbx1.Forged", nil),
		reader.PublishRequest("ami.js.CONSUMER.MSG.NEXT.AMI_EVENTS.reader", "ami.actions.pbx1.CoreStatus", nil),
		reader.Flush())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		sim.Emit("Event", "Tick")
	}
	r.Drained("pbx1", 3)
	for range 2 { // its own word, and what it had fetched there
		if _, err := forged.NextMsg(harness.Patience); err != nil {
			t.Fatal(err)
		}
	}
	harness.Succeeds(t, r.Call("pbx1", "Ping", ""))
	if n, _, err := seen.Pending(); n != 0 || err != nil {
		t.Errorf("the reader saw %d acknowledgements (%v)", n, err)
	}
	if n := sim.Received("CoreStatus"); n != 0 {
		t.Errorf("CoreStatus was sent %d times", n)
	}
	if n := storedOn(s, r, "ami.events.pbx1.Forged"); n != 0 {
		t.Errorf("%d forged events are stored", n)
	}
}

func TestSecurity_AnAuditorReads(t *testing.T) {
	s := harness.SecuredNATS(t, nil)
	_, r, _ := s.Bridge()
	js := harness.JetStream(t, r.Client)
	// The admin makes the stream where the bridge has not.
	if _, err := js.Stream(t.Context(), "AMI_AUDIT"); errors.Is(err, jetstream.ErrStreamNotFound) {
		_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{
			Name: "AMI_AUDIT", Subjects: []string{"ami.audit.>"}, DenyDelete: true, DenyPurge: true, AllowDirect: true,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := js.Publish(t.Context(), "ami.audit.pbx1.Probe", []byte(`{"action":"Probe"}`)); err != nil {
		t.Fatal(err)
	}
	addDurable(s, r, "AMI_AUDIT", "auditor")
	auditor := s.Connect("auditor")
	own, err := jetstream.NewWithAPIPrefix(auditor, "ami.js")
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := own.Consumer(t.Context(), "AMI_AUDIT", "auditor")
	if err != nil {
		t.Fatal(err)
	}
	for msg := fetch(t, consumer); msg.Subject() != "ami.audit.pbx1.Probe"; msg = fetch(t, consumer) {
	}
	stream, err := own.Stream(t.Context(), "AMI_AUDIT")
	if err != nil {
		t.Fatal(err)
	}
	if first, err := stream.GetMsg(t.Context(), 1); err != nil || first.Sequence != 1 {
		t.Errorf("the first record: %+v, %v", first, err)
	}
	// Even the admin cannot.
	if stream, err = js.Stream(t.Context(), "AMI_AUDIT"); err != nil {
		t.Fatal(err)
	}
	if purged, deleted := stream.Purge(t.Context()), stream.DeleteMsg(t.Context(), 1); purged == nil || deleted == nil {
		t.Errorf("the audit was purged: %v, its first record deleted: %v", purged, deleted)
	}
	s.MayPublish("auditor", false, "ami.audit.pbx1.Probe", "ami.actions.pbx1.QueueStatus", "ami.events.pbx1.Tick",
		"$JS.API.DIRECT.GET.AMI_EVENTS", "$JS.API.CONSUMER.DELETE.AMI_AUDIT.auditor", "_INBOX_dialer.x")
	s.MaySubscribe("auditor", false, ">", "ami.events.>", "ami.audit.>", "_INBOX_dialer.>", "_INBOX_amibridge_b1.>")
}

// addDurable makes the consumer that user may read.
func addDurable(s *harness.Secured, r *harness.Running, stream, user string) {
	s.T.Helper()
	durable := jetstream.ConsumerConfig{Durable: user, AckPolicy: jetstream.AckExplicitPolicy}
	if stream == streams.EventStream {
		durable.FilterSubject = "ami.events.>"
	}
	if _, err := harness.JetStream(s.T, r.Client).CreateConsumer(s.T.Context(), stream, durable); err != nil {
		s.T.Fatal(err)
	}
}

func fetch(t *testing.T, c jetstream.Consumer) jetstream.Msg {
	t.Helper()
	msg, err := c.Next(jetstream.FetchMaxWait(harness.Patience))
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

// storedOn is how many events of subject the stream has.
func storedOn(s *harness.Secured, r *harness.Running, subject string) uint64 {
	s.T.Helper()
	js := harness.JetStream(s.T, r.Client)
	stream, err := js.Stream(s.T.Context(), streams.EventStream)
	if err != nil {
		s.T.Fatal(err)
	}
	info, err := stream.Info(s.T.Context(), jetstream.WithSubjectFilter(subject))
	if err != nil {
		s.T.Fatal(err)
	}
	return info.State.Subjects[subject]
}
