package security

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// Why readers have an account of their own: in the bridge's, who may only use
// consumers has nats-server publish where nobody but the bridge may.
func TestSecurity_OneAccountIsNotEnough(t *testing.T) {
	const fetch, create = "$JS.API.CONSUMER.MSG.NEXT.AMI_EVENTS.reader", "$JS.API.CONSUMER.CREATE.AMI_EVENTS.push"
	s := harness.SecuredNATS(t, func(text string) string {
		inside := fmt.Sprintf(`{ user: inside, password: %q, permissions: { publish: [%q, %q], subscribe: "_INBOX_inside.>" } }`,
			harness.Password("inside"), fetch, create)
		return strings.Replace(text, "{ user: admin", inside+"\n{ user: admin", 1)
	})
	sim, r, _ := s.Bridge()
	addDurable(s, r, streams.EventStream, "reader")
	s.MayPublish("inside", false, "ami.status.pbx2.connection")
	forged := r.Subscribe("ami.status.pbx2.connection")
	sim.Emit("Event", "UserEvent", "to", "up")
	inside := s.Connect("inside")
	wantForged := func() {
		t.Helper()
		if msg := r.Next(forged); !strings.Contains(string(msg.Data), `"to":"up"`) {
			t.Errorf("came %s", msg.Data)
		}
	}
	if err := inside.PublishRequest(fetch, "ami.status.pbx2.connection", nil); err != nil {
		t.Fatal(err)
	}
	wantForged()
	push := `{"stream_name":"AMI_EVENTS","config":{"name":"push","deliver_subject":"ami.status.pbx2.connection","ack_policy":"none"}}`
	if answer, err := inside.Request(create, []byte(push), harness.Patience); err != nil || strings.Contains(string(answer.Data), "error") {
		t.Fatalf("%+v, %v", answer, err)
	}
	wantForged()
}

// Why nobody else may publish events: the next one's id can be guessed, and who
// is first with it has the genuine one dropped as a duplicate.
func TestSecurity_AGuessedIDPreemptsAnEvent(t *testing.T) {
	s := harness.SecuredNATS(t, nil)
	sim, r, _ := s.Bridge()
	events := r.Subscribe("ami.events.pbx1.Tick")
	sim.Emit("Event", "Tick")
	id := r.Next(events).Header.Get("Nats-Msg-Id")
	at := strings.LastIndexAny(id, ".:-") + 1
	number, err := strconv.Atoi(id[at:])
	if err != nil {
		t.Fatal(err)
	}
	js := harness.JetStream(t, r.Client)
	guess := id[:at] + strconv.Itoa(number+1)
	if _, err := js.Publish(t.Context(), "ami.events.pbx1.Forged", nil, jetstream.WithMsgID(guess)); err != nil {
		t.Fatal(err)
	}
	sim.Emit("Event", "Tick")
	if got := r.Next(events).Header.Get("Nats-Msg-Id"); got != guess {
		t.Errorf("the second event is %s, guessed was %s", got, guess)
	}
	r.Drained("pbx1", 2)
	if n := storedOn(s, r, "ami.events.pbx1.Tick"); n != 1 {
		t.Errorf("%d of the 2 events are stored", n)
	}
}

// What the bridge does where its configuration or a caller asks for it: the
// audit, and the keys that bridges share.
func TestSecurity_TheBridgeMayAuditAndShareKeys(t *testing.T) {
	s := harness.SecuredNATS(t, nil)
	nc := s.Connect("bridge")
	js := harness.JetStream(t, nc)
	keys, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "AMI_IDEMPOTENCY"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Create(t.Context(), "key", nil); err != nil {
		t.Error(err)
	}
	if keys, err = js.KeyValue(t.Context(), "AMI_IDEMPOTENCY"); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Get(t.Context(), "key"); err != nil {
		t.Error(err)
	}
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "AMI_AUDIT", Subjects: []string{"ami.audit.>"}, AllowDirect: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	audit, err := js.Stream(t.Context(), "AMI_AUDIT")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "ami.audit.pbx1.Probe", nil); err != nil {
		t.Error(err)
	}
	if _, err := audit.GetLastMsgForSubject(t.Context(), "ami.audit.pbx1.>"); err != nil {
		t.Error(err)
	}
	if err := nc.LastError(); err != nil {
		t.Error(err)
	}
}

// With an authority to trust, or tls:// in the URL, no password goes to a server
// without TLS.
func TestSecurity_NoPasswordWithoutTLS(t *testing.T) {
	s := harness.SecuredNATS(t, nil)
	plain := harness.NATS(t)
	for _, test := range []struct{ url, caFile string }{{plain, s.CAFile}, {strings.Replace(plain, "nats:", "tls:", 1), ""}} {
		cfg := s.Config("127.0.0.1:1")
		cfg.NATS.URL, cfg.NATS.TLSCaFile = test.url, test.caFile
		nc, err := natsconn.Connect(cfg, "check")
		if err == nil {
			nc.Close()
		}
		if err == nil || !strings.Contains(err.Error(), nats.ErrSecureConnWanted.Error()) {
			t.Errorf("%s: %v", test.url, err)
		}
	}
}
