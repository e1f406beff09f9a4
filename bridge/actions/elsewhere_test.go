package actions

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/policy"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// Whichever bridge has a request, every server is reached, once, by who leads it; and whoever
// asks all has one end behind as many replies as it says.
func TestElsewhere_EveryServerIsReached(t *testing.T) {
	p := newPair(t, nil)
	want := []string{"pbx1 by b1: Success", "pbx2 by b2: Success", "pbx3 by b2: Success"}
	for range 8 { // NATS chooses who has it
		if all, said := p.every(nil, requestFor("all", "CoreStatus", "")); !slices.Equal(all, want) || said != "3" {
			t.Errorf("all: %v, %s in all", all, said)
		}
		if all, said := p.every(nil, requestFor("all", "CoreStatus", "", "Ami-Group", "sales")); !slices.Equal(all, want[1:]) || said != "2" {
			t.Errorf("all of sales: %v, %s in all", all, said)
		}
	}
	if n := p.received("CoreStatus"); n != [3]int{8, 16, 16} {
		t.Errorf("Asterisk got %v", n)
	}
	for i, b := range []*asking{p.b1, p.b2} {
		by := map[string]int{}
		for range 6 {
			by[p.to(b, requestFor("any", "CoreSettings", "")).String()]++
			by[p.to(b, requestFor("sales", "CoreSettings", "")).String()]++
		}
		for at := range by {
			if !slices.Contains(want, at) {
				t.Errorf("b%d: %s", i+1, at)
			}
		}
		if i == 0 && (by[want[0]] != 6 || by[want[1]] != 3 || by[want[2]] != 3) || i == 1 && (by[want[0]] != 0 || by[want[1]] != 6) {
			t.Errorf("b%d: %v", i+1, by)
		}
		for _, server := range []string{"pbx1", "pbx2", "pbx3"} {
			if got := p.to(b, requestFor(server, "Ping", `{"ActionID":"mine"}`)); got.Error != nil || got.Server != server || got.RequestID != "mine" {
				t.Errorf("b%d: %s: %v", i+1, server, got.body)
			}
		}
	}
}

// A server that nobody leads, or that is away, is a reply of its own, and any goes on to
// another one.
func TestElsewhere_WhatNobodyLeads(t *testing.T) {
	p := newPair(t, nil)
	p.leads["b2"]["pbx3"].Store(false)
	if err := p.b2.Lead("pbx3", false); err != nil {
		t.Fatal(err)
	}
	want := []string{"pbx1 by b1: Success", "pbx2 by b2: Success", "pbx3: not_connected, sent: no"}
	if all, said := p.every(nil, requestFor("all", "Ping", "")); !slices.Equal(all, want) || said != "3" {
		t.Errorf("all: %v, %s in all", all, said)
	}
	if got := p.to(p.b1, requestFor("pbx3", "Originate", phone)); got.Error == nil || got.Error.Sent != "no" || got.Error.RetryAfter == 0 {
		t.Errorf("pbx3: %v", got)
	}
	if _, err := p.nc.Request("ami.actions.pbx3.Ping", nil, natstest.Patience); err != nats.ErrNoResponders {
		t.Errorf("pbx3: %v", err)
	}
	for range 4 {
		if got := p.to(p.b1, requestFor("sales", "Originate", phone)); got.Error != nil || got.Server != "pbx2" {
			t.Errorf("sales: %v", got)
		}
	}
	if n := p.received("Originate"); n != [3]int{0, 4, 0} {
		t.Errorf("Asterisk got %v", n)
	}
	p.b1.sims["pbx2"].Always(amisim.Accept, amisim.Refuse)
	p.b1.sims["pbx2"].Kick()
	natstest.Within(t, "pbx2 is away", func() bool { return !p.b2.targets[1].link.Takes() })
	if got := p.to(p.b1, requestFor("sales", "Ping", "")); got.Error == nil || got.Error.Sent != "no" || got.Server != "sales" {
		t.Errorf("sales with nobody: %v", got.body)
	}
}

// The policy and the rates of who leads decide, and who asked is recorded there, once.
func TestElsewhere_WhoLeadsDecidesAndRecords(t *testing.T) {
	p := newPair(t, func(c *config.Config) {
		if c.Node == "b2" {
			c.Servers[1].ActionsDeny = []string{"CoreStatus"}
			c.Servers[2].ActionRates = policy.Rates{{Pattern: "CoreStatus", Value: 0.001}}
		}
	})
	js, err := jetstream.New(p.nc, jetstream.WithDefaultTimeout(natstest.Patience))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(to, action string) answer {
		return p.to(p.b1, requestFor(to, action, `{"Secret":"x"}`, "Ami-Requester", "dialer-7", "Nats-Request-Info", `{"acc":"CALLERS","user":"dialer"}`))
	}
	if got := ask("pbx2", "CoreStatus"); got.Error == nil || got.Error.Kind != "forbidden" {
		t.Errorf("what b2 denies: %v", got.body)
	}
	if got := ask("sales", "CoreStatus"); got.Server != "pbx3" || got.Error != nil {
		t.Errorf("what b2 denies at one of two: %v", got.body)
	}
	if got := ask("sales", "CoreStatus"); got.Error == nil || got.Error.Sent != "no" || got.Server != "sales" {
		t.Errorf("with the rate used up: %v", got.body)
	}
	var records []string
	natstest.Within(t, "the records", func() bool {
		records = nil
		for _, subject := range []string{"ami.audit.pbx2.CoreStatus", "ami.audit.pbx3.CoreStatus", "ami.audit.sales.CoreStatus"} {
			stream, err := js.Stream(t.Context(), "AMI_AUDIT")
			if err != nil {
				t.Fatal(err)
			}
			m, err := stream.GetLastMsgForSubject(t.Context(), subject)
			if err != nil {
				return false
			}
			info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter(subject))
			if err != nil {
				t.Fatal(err)
			}
			var r struct {
				Node, Requester, Outcome, Subject, Inbox string
				Info                                     struct{ User string } `json:"nats_request_info"`
			}
			if err := json.Unmarshal(m.Data, &r); err != nil {
				t.Fatal(err)
			}
			records = append(records, fmt.Sprint(info.State.Subjects[subject], " ", r.Node, " ", r.Subject, " ", r.Outcome, " ", r.Requester, " ", r.Info.User, " ", r.Inbox))
		}
		return true
	})
	if want := []string{
		"1 b2 ami.actions.pbx2.CoreStatus forbidden dialer-7 dialer _INBOX", "1 b2 ami.actions.sales.CoreStatus answered dialer-7 dialer _INBOX",
		"1 b1 ami.actions.sales.CoreStatus forbidden dialer-7 dialer _INBOX",
	}; !slices.Equal(records, want) {
		t.Errorf("recorded is %q,\nwant %q", records, want)
	}
}

// A key holds whoever has the request and whoever leads: a repeat is no second call.
func TestElsewhere_AKeyHolds(t *testing.T) {
	p := newPair(t, nil)
	for i, to := range []string{"pbx2", "sales", "any"} {
		for j, b := range []*asking{p.b1, p.b2, p.b1} {
			got := p.to(b, requestFor(to, "Originate", phone, "Ami-Idempotency-Key", "k"))
			if got.Error != nil || (got.header.Get("Ami-Idempotent-Replay") != "") != (j > 0) {
				t.Errorf("%s, ask %d: %v", to, j, got.body)
			}
		}
		if n := p.received("Originate"); n[0]+n[1]+n[2] != i+1 {
			t.Errorf("%s: Asterisk got %v", to, n)
		}
	}
	for range 4 {
		if all, said := p.every(nil, requestFor("all", "Originate", phone, "Ami-Idempotency-Key", "k")); len(all) != 3 || said != "3" {
			t.Errorf("all: %v", all)
		}
	}
	if n := p.received("Originate"); n[0]+n[1]+n[2] != 6 {
		t.Errorf("with all: Asterisk got %v", n)
	}
}

// A reply in parts comes through another bridge as it is.
func TestElsewhere_AStream(t *testing.T) {
	p := newPair(t, nil)
	last := func(m *nats.Msg) bool { return m.Header.Get("Ami-Part") == "" }
	for _, b := range []*asking{p.b1, p.b2} {
		for _, server := range []string{"pbx1", "pbx2"} {
			all := p.ask(b, requestFor(server, "QueueStatus", "", "Ami-Reply", "stream"), last)
			end := all[len(all)-1]
			if end.Error != nil || end.Parts == nil || *end.Parts != len(all)-1 || *end.Parts == 0 || len(end.Events) > 0 {
				t.Errorf("%s: behind %d parts %v", server, len(all)-1, end.body)
			}
			for i, part := range all[:len(all)-1] {
				if part.header.Get("Ami-Part") != fmt.Sprint(i+1) || part.header.Get("Ami-Server") != server {
					t.Errorf("part %d is %v", i+1, part.header)
				}
			}
		}
	}
}

// Who has just woken from a freeze asks nobody: what it has may have waited for long.
func TestElsewhere_WhoIsNotSureAsksNobody(t *testing.T) {
	p := newPair(t, nil)
	p.b1.sure.Store(false)
	for _, to := range []string{"pbx2", "sales"} {
		if got := p.to(p.b1, requestFor(to, "Originate", phone)); got.Error == nil || got.Error.Sent != "no" || got.Error.Kind != "not_connected" {
			t.Errorf("%s: %v", to, got.body)
		}
	}
	if n := p.received("Originate"); n != [3]int{} {
		t.Errorf("Asterisk got %v", n)
	}
}

// mute has who is asked for pbx2 reply nothing, as one that is killed does.
func (p *pair) mute() {
	p.t.Helper()
	p.unlead()
	sub, err := p.nc.QueueSubscribe("ami.ha.actions.pbx2.*", "q", func(m *nats.Msg) {
		_ = m.Respond([]byte(`{"stream":"S","seq":1}`)) // what a stream says that has it, too
	})
	if err == nil {
		err = p.nc.Flush()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = sub.Unsubscribe() })
}

// begin has b1 ask for m, and returns where the reply comes.
func (p *pair) begin(m *nats.Msg) *nats.Subscription {
	p.t.Helper()
	m.Reply = p.nc.NewInbox()
	replies, err := p.nc.SubscribeSync(m.Reply)
	if err == nil {
		err = p.nc.Flush()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.b1.to(m)
	return replies
}

// One that leads a server no more does not hand on what another bridge asks, and one that asks
// and gets no reply does not know what became of it.
func TestElsewhere_WithoutAReplyNobodyKnows(t *testing.T) {
	p := newPair(t, nil)
	p.leads["b2"]["pbx2"].Store(false) // its subscription is there still
	if got := p.to(p.b1, requestFor("pbx2", "Originate", phone)); got.Error == nil || got.Error.Sent != "no" || got.Node != "b2" {
		t.Errorf("by one that led: %v", got.body)
	}
	p.mute()
	for i := range 2 {
		began := time.Now()
		got := p.to(p.b1, requestFor("pbx2", "Originate", phone, "Ami-Timeout", "100ms", "Ami-Idempotency-Key", "k"))
		if got.Error == nil || got.Error.Sent != "unknown" || got.Error.Kind != "timeout" || (got.header.Get("Ami-Idempotent-Replay") != "") != (i > 0) {
			t.Errorf("ask %d: %v", i, got.body)
		}
		if took := time.Since(began); i == 0 && took < replyGrace {
			t.Errorf("given up after %v", took)
		}
	}
	if n := p.received("Originate"); n != [3]int{} {
		t.Errorf("Asterisk got %v", n)
	}
	if left := len(p.b1.shared.others.waiting); left != 0 {
		t.Errorf("%d wait", left)
	}
}

// One that is not heard any more is not waited for, but for one that was not before either:
// another one leads by then.
func TestElsewhere_OneThatIsGoneIsNotWaitedFor(t *testing.T) {
	p := newPair(t, nil)
	p.mute()
	for _, before := range []bool{false, true} {
		p.b1.gone.Store(before)
		began := time.Now()
		replies := p.begin(requestFor("pbx2", "Originate", phone, "Ami-Timeout", "1s"))
		p.b1.gone.Store(true)
		got, err := replies.NextMsg(natstest.Patience)
		if took := time.Since(began); err != nil || got.Header.Get("Nats-Service-Error-Code") != "504" || before && took < replyGrace {
			t.Errorf("gone before: %v: %v after %v, %v", before, got, took, err)
		}
	}
	if n := len(p.b1.shared.others.waiting); n != 0 {
		t.Errorf("%d wait", n)
	}
}

// One that stops does not wait for what it has asked others for.
func TestElsewhere_OneThatStopsDoesNotWait(t *testing.T) {
	p := newPair(t, nil)
	p.mute()
	replies := p.begin(requestFor("pbx2", "Originate", phone))
	p.b1.Refuse()
	if err := p.b1.Stop(); err != nil || p.b1.Wait(t.Context()) > 0 {
		t.Errorf("its end: %v", err)
	}
	if got, err := replies.NextMsg(natstest.Patience); err != nil || got.Header.Get("Nats-Service-Error-Code") != "503" {
		t.Errorf("at its end: %v, %v", got, err)
	}
}

// What did not come from a bridge is not done, and what bridges say among themselves no caller
// can say to one.
func TestElsewhere_OnlyBridgesAreHeard(t *testing.T) {
	p := newPair(t, nil)
	m := nats.NewMsg("ami.ha.actions.pbx2.Originate")
	m.Data = []byte(phone)
	for _, test := range [][2]string{{"_INBOX.x", "ami.actions.pbx2.Originate"}, {"ami.ha.replies.b1.x", ""}, {"ami.ha.replies.b1.x", "ami.status.pbx2.Originate"}} {
		m.Reply = test[0]
		m.Header.Set(headerSubject, test[1])
		p.b2.endpoint("pbx2").onHanded(m)
	}
	for _, header := range []string{headerSubject, headerInbox, headerRouted} {
		if got := p.to(p.b1, requestFor("pbx2", "Originate", phone, header, "x")); got.Error == nil || got.Error.Kind != "bad_request" {
			t.Errorf("%s: %v", header, got.body)
		}
	}
	if n := p.received("Originate"); n != [3]int{} {
		t.Errorf("Asterisk got %v", n)
	}
}

func (a *asking) endpoint(name string) *Endpoint {
	for _, e := range a.Endpoints() {
		if e.Name == name {
			return e
		}
	}
	return nil
}

// Servers that only other bridges have are among all.
func TestElsewhere_ServersThatOthersHave(t *testing.T) {
	p := newPair(t, func(c *config.Config) {
		if c.Node == "b1" {
			c.Servers, c.Groups = c.Servers[:1], nil
		}
	})
	p.b1.elsewhere = []string{"pbx1", "pbx2", "pbx3"}
	want := []string{"pbx1 by b1: Success", "pbx2 by b2: Success", "pbx3 by b2: Success"}
	if all, said := p.every(p.b1, requestFor("all", "Ping", "")); !slices.Equal(all, want) || said != "3" {
		t.Errorf("all: %v, %s in all", all, said)
	}
}

// Discovery shows each endpoint at the bridge that takes its requests, and nothing at one that
// stands by for all; and it is so again once that one leads.
func TestElsewhere_DiscoveryShowsWhoLeads(t *testing.T) {
	p := newPair(t, nil)
	shown := func(b *asking) (all []string) {
		for _, e := range b.shown().Endpoints {
			all = append(all, e.Name+" "+e.QueueGroup+" "+e.Metadata["servers"])
		}
		return all
	}
	const everyone = "pbx1,pbx2,pbx3"
	for range 2 {
		for b, want := range map[*asking][]string{
			p.b1: {"pbx1 q pbx1", "any q " + everyone, "all q " + everyone},
			p.b2: {"pbx2 q pbx2", "pbx3 q pbx3", "sales q pbx2,pbx3", "any q " + everyone, "all q " + everyone},
		} {
			if got := shown(b); !slices.Equal(got, want) {
				t.Errorf("%s shows %q, want %q", b.cfg.Node, got, want)
			}
		}
		p.lead("b1", "pbx2", "pbx3")
		if got := shown(p.b2); got != nil || len(shown(p.b1)) != 6 || len(p.b2.Taken()) != 0 {
			t.Errorf("who leads nothing shows %q", got)
		}
		if all, said := p.every(nil, requestFor("all", "Ping", "")); len(all) != 3 || said != "3" {
			t.Errorf("all: %v, %s in all", all, said)
		}
		p.lead("b2", "pbx2", "pbx3")
	}
}

// Two processes of one node name, as one that ends and the next, do not get each other's replies.
func TestElsewhere_RepliesAreAProcesssOwn(t *testing.T) {
	o := Options{Config: &config.Config{Node: "b1", SubjectPrefix: "ami"}, Others: new(Others)}
	if one, two := newAskedOthers(&o), newAskedOthers(&o); one.replies == two.replies {
		t.Errorf("both are replied to at %s", one.replies)
	}
}
