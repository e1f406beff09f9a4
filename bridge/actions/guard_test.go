package actions

import (
	"encoding/json"
	"testing"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// broken has what is behind an endpoint make its requests panic, until sound is called.
func (a *asking) broken(name string) (sound func()) {
	e := a.endpoint(name)
	before := e.behind.Swap(&behind{servers: []*Target{nil}})
	return func() { e.behind.Store(before) }
}

// held wants nothing to be held by requests.
func (a *asking) holdsNothing() {
	a.t.Helper()
	natstest.Within(a.t, "nothing is held", func() bool {
		held := int64(0)
		for _, e := range a.Endpoints() {
			held += e.held.bytes.Load()
		}
		a.shared.inFlight.mu.Lock()
		defer a.shared.inFlight.mu.Unlock()
		return held == 0 && a.shared.inFlight.n == 0
	})
}

// A panic over one request stays there: its caller is told, nothing of it is held, and the next one is answered.
func TestEndpoint_APanicStaysWithItsRequest(t *testing.T) {
	core, lines := observer.New(zapcore.ErrorLevel)
	a := unconnected(t, "pbx1")
	a.shared.log = zap.New(core)
	sound := a.broken("pbx1")
	if kind, sent, _, _ := a.answered(requestFor("pbx1", "Ping", "")); kind != "internal" || sent != "no" {
		t.Errorf("told: %s, sent: %s", kind, sent)
	}
	elsewhere := requestFor("pbx1", "Ping", "")
	elsewhere.Reply = "ami.events.pbx1.Hangup"
	sub, err := a.nc.SubscribeSync("ami.events.>")
	if err != nil || a.nc.Flush() != nil {
		t.Fatal(err)
	}
	broken := a.endpoint("pbx1").behind.Swap(new(behind)) // its reading panics
	a.to(elsewhere)
	if kind, sent, _, _ := a.answered(requestFor("pbx1", "Ping", "")); kind != "internal" || sent != "no" {
		t.Errorf("told: %s, sent: %s", kind, sent)
	}
	a.endpoint("pbx1").behind.Store(broken)
	handed := requestFor("pbx1", "Ping", "", headerSubject, "ami.actions.pbx1.Ping")
	handed.Subject, handed.Reply = "ami.ha.actions.pbx1.Ping", "ami.ha.replies.x.1"
	a.endpoint("pbx1").onHanded(handed)
	sound()
	if told := lines.FilterMessage("request handler panicked").All(); len(told) != 4 || told[0].ContextMap()["subject"] != "ami.actions.pbx1.Ping" {
		t.Errorf("told: %v", told)
	}
	if got := a.reply(requestFor("pbx1", "Ping", "")); got.Header.Get("Nats-Service-Error-Code") != "503" {
		t.Errorf("the next one: %s", got.Data)
	}
	if n, _, err := sub.Pending(); err != nil || n != 0 {
		t.Errorf("%d replies went elsewhere than to an inbox, %v", n, err)
	}
	a.holdsNothing()
}

// Of all servers the ones without a fault answer, and the end comes.
func TestEndpoint_APanicOverOneOfAll(t *testing.T) {
	a := unconnected(t, "pbx1")
	e := a.endpoint("all")
	e.behind.Store(&behind{servers: []*Target{nil, a.targets[0]}})
	inbox := a.nc.NewInbox()
	sub, err := a.nc.SubscribeSync(inbox)
	if err != nil || a.nc.Flush() != nil {
		t.Fatal(err)
	}
	m := requestFor("all", "Ping", "")
	m.Reply = inbox
	e.onRequest(m)
	var kinds []string
	for {
		answer, err := sub.NextMsg(natstest.Patience)
		if err != nil {
			t.Fatal(err)
		}
		if len(answer.Data) == 0 {
			break
		}
		kinds = append(kinds, kindOf(t, answer))
	}
	if len(kinds) != 2 || kinds[0] != "internal" || kinds[1] != "not_connected" {
		t.Errorf("told: %v", kinds)
	}
	a.holdsNothing()
}

func kindOf(t *testing.T, m *nats.Msg) string {
	t.Helper()
	var r struct{ Error reply.Error }
	if err := json.Unmarshal(m.Data, &r); err != nil {
		t.Fatal(err)
	}
	return string(r.Error.Kind)
}

// A panic over a request with a key, which goes on where its claim is stored, and over the end of one that Asterisk
// has answered, end no more than that request; the key of what was not sent is free.
func TestRepeats_APanicFreesTheKey(t *testing.T) {
	a := askingOf(t, nil)
	ping := func(key string) (kind, sent string, header nats.Header) {
		kind, sent, _, header = a.answered(requestFor("pbx1", "Ping", "", "Ami-Idempotency-Key", key))
		return kind, sent, header
	}
	sound := a.broken("pbx1")
	if kind, sent, _ := ping("k1"); kind != "internal" || sent != "no" {
		t.Errorf("told: %s, sent: %s", kind, sent)
	}
	sound()
	if kind, _, header := ping("k1"); kind != "" || header.Get("Ami-Idempotent-Replay") != "" {
		t.Errorf("again: %s, %v", kind, header)
	}
	acted := a.targets[0].acted
	a.targets[0].acted = func(string) { panic("a fault") }
	if kind, sent, _ := ping("k2"); kind != "internal" || sent != "yes" {
		t.Errorf("told of what was answered: %s, sent: %s", kind, sent)
	}
	a.targets[0].acted = acted
	if kind, sent, header := ping("k2"); kind != "internal" || sent != "yes" || header.Get("Ami-Idempotent-Replay") == "" {
		t.Errorf("again: %s, sent: %s, %v", kind, sent, header)
	}
	a.holdsNothing()
	natstest.Within(t, "no call is held", func() bool { return a.targets[0].link.Status().Calls.Held == 0 })
}
