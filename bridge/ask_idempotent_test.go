package bridge

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config/configtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/natstest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/journal/journaltest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn/conntest"
)

// A claim that is there no more, since the window is over, leaves the key to who
// waited for it.
func TestSharedKeys_ThatHaveExpiredAreClaimed(t *testing.T) {
	a := askingOf(t, nil)
	m := requestFor("pbx1", "CoreStatus", "", "Ami-Idempotency-Key", "k")
	m.Reply = a.nc.NewInbox()
	sub, err := a.nc.SubscribeSync(m.Reply)
	if err := errors.Join(err, a.nc.Flush()); err != nil {
		t.Fatal(err)
	}
	one, err := a.endpoints[0].newAsk(m)
	if err != nil {
		t.Fatal(err)
	}
	one.others = a.endpoints[0].servers
	k, first, _, fail := a.repeats.enter(one.key(), one)
	if !first || fail != nil {
		t.Fatalf("%v, %+v", first, fail)
	}
	one.later()
	a.repeats.shared.follow(t.Context(), claim{keyed: k, request: one}) // returns at once
	answer, err := sub.NextMsg(natstest.Patience)
	if err != nil || answer.Header.Get("Nats-Service-Error") != "" || answer.Header.Get("Ami-Idempotent-Replay") != "" {
		t.Errorf("%+v, %v", answer, err)
	}
	if n := a.sims["pbx1"].Received("CoreStatus"); n != 1 {
		t.Errorf("it was sent %d times", n)
	}
}

// Without JetStream, or without a window, no bucket is asked.
func TestSharedKeys_AreForJetStream(t *testing.T) {
	for _, test := range []struct {
		delivery config.Delivery
		window   time.Duration
		want     bool
	}{{config.DeliverJetStream, time.Minute, true}, {config.DeliverCore, time.Minute, false}, {config.DeliverJetStream, 0, false}} {
		cfg := configtest.Valid()
		cfg.Delivery, cfg.IdempotencyWindow = test.delivery, test.window
		r := newSharedRepeats(&cfg, "run1", conntest.Bare(), &journaltest.Fake{}, func(error) {}, zap.NewNop())
		if got := r.shared != nil; got != test.want {
			t.Errorf("%v and a window of %v: they are shared is %v", test.delivery, test.window, got)
		}
	}
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
