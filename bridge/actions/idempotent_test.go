package actions

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/idempotency"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn/conntest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// A key is of one subject, and of each server of all. What waits for another's end
// is answered by whoever ends that, which may be a reader of AMI: the endpoint's
// goroutine, which may publish, has gone on.
func TestIdempotent_AKeyIsOfOneSubjectAndServer(t *testing.T) {
	cfg := config.DefaultServerConfig()
	of := func(subject, server string, every bool) idempotency.Key {
		own := cfg
		own.Name = server
		a := &actionRequest{endpoint: &Endpoint{every: every}, subject: subject, options: options{key: "k"}, server: &Target{cfg: &own}}
		return a.key()
	}
	one := of("ami.actions.pbx1.Originate", "pbx1", false)
	if again := of("ami.actions.pbx1.Originate", "pbx1", false); again != one {
		t.Error("the same request has another key")
	}
	seen := map[idempotency.Key]bool{one: true}
	for _, k := range []idempotency.Key{
		of("ami.actions.pbx2.Originate", "pbx2", false), of("ami.actions.pbx1.Redirect", "pbx1", false),
		of("ami.actions.all.Originate", "pbx1", true), of("ami.actions.all.Originate", "pbx2", true),
	} {
		if seen[k] {
			t.Error("two requests share a key")
		}
		seen[k] = true
	}
	a := &actionRequest{endpoint: &Endpoint{shared: &shared{sender: reply.NewSender(conntest.Bare(), zap.NewNop())}}}
	a.Later()
	a.answer(a, reply.Message{}) // by the queue, which nobody empties; without a connection it could not be published
}

// A repeat that comes to another bridge is told what the first knows, also that
// nobody knows, and never sent; while the first is at it the repeat waits as
// long as its own Ami-Timeout, and then nobody knows either.
func TestRepeats_AtAnotherBridge(t *testing.T) {
	url := natstest.Start(t, t.TempDir(), 0).ClientURL()
	one := askingAt(t, url, nil)
	two := askingAt(t, url, func(c *config.Config) { c.Node = "b2" })
	request := func(key, timeout string) *nats.Msg {
		return requestFor("pbx1", "Originate", `{"Channel":"Local/1@x","Exten":"1","Context":"x","Priority":"1"}`,
			"Ami-Idempotency-Key", key, "Ami-Timeout", timeout)
	}
	one.sims["pbx1"].Always("Originate", amisim.Ignore)

	for timeout, sent := 100*time.Millisecond, "no"; sent == "no"; timeout *= 2 { // until it is sent in time
		if kind, was, _, _ := one.answered(request("lost", timeout.String())); kind != "timeout" {
			t.Fatalf("the first: %s, sent %s", kind, was)
		} else {
			sent = was
		}
	}
	kind, sent, message, header := two.answered(request("lost", "25s"))
	if kind != "timeout" || sent != "unknown" || strings.Contains(message, "another bridge") || header.Get("Ami-Idempotent-Replay") != "true" {
		t.Errorf("its repeat elsewhere: %s, sent %s, %s, %v", kind, sent, message, header)
	}

	one.to(request("slow", "25s"))
	natstest.Within(t, "the bucket has the key", func() bool { return one.sims["pbx1"].Received("Originate") == 2 }) // and one that was lost
	kind, sent, message, _ = two.answered(request("slow", "300ms"))
	if kind != "timeout" || sent != "unknown" || !strings.Contains(message, "another bridge has the key") {
		t.Errorf("a repeat that waits in vain: %s, sent %s, %s", kind, sent, message)
	}
	if n := two.sims["pbx1"].Received("Originate"); n != 0 {
		t.Errorf("repeats were sent %d times", n)
	}
}

// A repeat is a request of its own to the audit.
func TestRepeats_LeaveARecord(t *testing.T) {
	a := askingOf(t, nil)
	records, err := a.nc.SubscribeSync("ami.audit.pbx1.CoreStatus")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"answered yes", "repeat no"} {
		a.answered(requestFor("pbx1", "CoreStatus", "", "Ami-Idempotency-Key", "k"))
		m, err := records.NextMsg(natstest.Patience)
		if err != nil {
			t.Fatal(err)
		}
		if r := auditOf(t, m); r.Outcome+" "+r.Sent != want {
			t.Errorf("recorded %s, want %s", m.Data, want)
		}
	}
}
