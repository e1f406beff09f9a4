package actions

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// What an endpoint's requests hold is bounded: the next one is busy, those of
// other endpoints are not, and there is room again once some have ended.
func TestHeld_IsBoundedByEndpoint(t *testing.T) {
	a := askingOf(t, func(c *config.Config) { c.IdempotencyWindow = 0 }, "pbx1", "pbx2")
	for _, sim := range a.sims {
		sim.Always("CoreStatus", amisim.Ignore)
	}
	one := &a.Endpoints()[0].held
	if one.limit != requestBytes {
		t.Errorf("at most %d bytes are held", one.limit)
	}
	one.limit = 20 * requestOverhead
	replies, err := a.nc.SubscribeSync("_INBOX.test.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	for range 40 {
		a.to(requestFor("pbx1", "CoreStatus", ""))
	}
	refused := one.refused.Load()
	if refused < 20 || refused > 30 || one.bytes.Load() > one.limit {
		t.Errorf("%d of 40 are refused, %d bytes of %d are held", refused, one.bytes.Load(), one.limit)
	}
	for range refused {
		m, err := replies.NextMsg(natstest.Patience)
		if err != nil {
			t.Fatal(err)
		}
		if m.Header.Get("Nats-Service-Error-Code") != "429" || !strings.Contains(string(m.Data), `"kind":"busy","sent":"no","retry_after_ms":100`) {
			t.Fatalf("refused with %v %s", m.Header, m.Data)
		}
	}
	a.to(requestFor("pbx2", "CoreSettings", ""))
	if m, err := replies.NextMsg(natstest.Patience); err != nil || m.Header.Get("Nats-Service-Error-Code") != "" {
		t.Errorf("another endpoint answers %+v, %v", m, err)
	}
	a.sims["pbx1"].Kick()
	natstest.Within(t, "room again", func() bool { return one.bytes.Load() == 0 })
}

// However a request ends, nothing of it stays held.
func TestHeld_IsGivenBackAtEachEnd(t *testing.T) {
	a := askingOf(t, func(c *config.Config) {
		c.ActionsDeny = setting.Globs{"CoreSettings"}
		c.Servers[2].Addr = "127.0.0.1:1" // away
	}, "pbx1", "pbx2", "pbx3")
	a.sims["pbx1"].Always("Originate", amisim.Deny("no"))
	body := `{` + members(100, `"Variable":"v#=`+strings.Repeat("x", 900)+`"`) + `}`
	for _, to := range []string{"pbx1", "pbx3", "any", "all"} {
		for _, action := range []string{"CoreStatus", "Originate", "CoreSettings", "ping"} {
			for n, headers := range [][]string{
				nil, {"Ami-Idempotency-Key", "k"}, {"Ami-Idempotency-Key", "k"}, {"Ami-Idempotency-Key", "k"},
				{"Ami-Reply", "stream"}, {"Ami-Validate", "strict"}, {"Ami-Timeout", "1ns"}, {"Ami-Group", "x"},
			} {
				for _, b := range []string{"", body, body + " ", "{"} {
					m := requestFor(to, action, b, headers...)
					a.to(m)
					if n == 3 {
						m.Reply = "nowhere"
						a.to(m)
					}
				}
			}
		}
	}
	for _, sim := range a.sims {
		sim.Kick()
	}
	a.to(requestFor("any", "CoreStatus", body))
	natstest.Within(t, "all have ended", func() bool {
		a.shared.inFlight.mu.Lock()
		defer a.shared.inFlight.mu.Unlock()
		return a.shared.inFlight.n == 0
	})
	for _, e := range a.Endpoints() {
		if n := e.held.bytes.Load(); n != 0 {
			t.Errorf("%s holds %d bytes of nothing", e.Name, n)
		}
	}
}

// A request counts with all of its texts, those that the audit keeps as well; one
// of several that share a text with itself alone.
func TestHeld_CountsAllTexts(t *testing.T) {
	a := unconnected(t, "pbx1")
	e := a.Endpoints()[0]
	one, err := readAt(e, requestFor("pbx1", "CoreStatus", `{"ActionID":"mine","Note":"text"}`, "Ami-Requester", "alice"))
	if err != nil {
		t.Fatal(err)
	}
	texts := len(one.subject) + len(one.to) + len("mine") + len("Note") + len("text") + headerBytes + one.recorded.Size()
	if !one.hold() || one.held != int64(requestOverhead+texts) || e.held.bytes.Load() != one.held {
		t.Errorf("%d bytes are held, of %d; want %d", one.held, e.held.bytes.Load(), requestOverhead+texts)
	}
	one.shares, one.held = true, 0
	if !one.hold() || one.held != requestOverhead {
		t.Errorf("%d bytes are held beside what is shared", one.held)
	}
	e.held.limit = e.held.bytes.Load() + requestOverhead - 1
	if before := e.held.bytes.Load(); one.hold() || e.held.bytes.Load() != before || e.held.refused.Load() != 1 {
		t.Errorf("without room %d bytes are held, were %d; %d are refused", e.held.bytes.Load(), before, e.held.refused.Load())
	}
}

// Headers count until they have become a frame; those of a read that another
// server may have yet, until its end.
func TestHeld_HeadersCountUntilTheyAreAFrame(t *testing.T) {
	a := askingOf(t, nil, "pbx1", "pbx2")
	for _, sim := range a.sims {
		sim.Always("CoreStatus", amisim.Ignore)
		sim.Always("Setvar", amisim.Ignore)
	}
	body := `{` + members(100, `"V#":"`+strings.Repeat("x", 1000)+`"`) + `}`
	for _, test := range []struct {
		to, action string
		kept       bool
	}{{"pbx1", "CoreStatus", false}, {"pbx1", "Setvar", false}, {"any", "Setvar", false}, {"any", "CoreStatus", true}} {
		e := a.Endpoints()[slices.IndexFunc(a.Endpoints(), func(e *Endpoint) bool { return e.Name == test.to })]
		before := e.held.bytes.Load()
		a.to(requestFor(test.to, test.action, body))
		if n := e.held.bytes.Load() - before; n < requestOverhead || (n > int64(len(body))/2) != test.kept {
			t.Errorf("%s to %s, of %d bytes, holds %d", test.action, test.to, len(body), n)
		}
	}
}

// Repeats that wait for the first of their key hold nothing of what they ask.
func TestHeld_RepeatsThatWaitAreSmall(t *testing.T) {
	a := askingOf(t, func(c *config.Config) { c.Delivery = config.DeliverCore })
	a.sims["pbx1"].Always("CoreStatus", amisim.Ignore)
	body := `{` + members(100, `"V#":"`+strings.Repeat("x", 1000)+`"`) + `}`
	replies, err := a.nc.SubscribeSync("_INBOX.test.>")
	if err := errors.Join(err, a.nc.Flush()); err != nil {
		t.Fatal(err)
	}
	const repeats = 64 // as many as may wait
	for range repeats {
		a.to(requestFor("pbx1", "CoreStatus", body, "Ami-Idempotency-Key", "k"))
	}
	if n := a.Endpoints()[0].held.bytes.Load(); n > repeats*8<<10 {
		t.Errorf("%d repeats of %d bytes hold %d", repeats, len(body), n)
	}
	a.sims["pbx1"].Kick()
	for range repeats {
		if _, err := replies.NextMsg(natstest.Patience); err != nil {
			t.Fatal(err)
		}
	}
	natstest.Within(t, "nothing of them is kept", func() bool { return a.Endpoints()[0].held.bytes.Load() == 0 })
}

// What nats.go drops since an endpoint does not keep up is counted; a new
// subscription counts on.
func TestDropped_AreCounted(t *testing.T) {
	a := askingOf(t, nil)
	e := a.Endpoints()[0]
	current := func() *nats.Subscription {
		e.dropped.mu.Lock()
		defer e.dropped.mu.Unlock()
		for sub := range e.dropped.subs {
			if sub.IsValid() && !sub.IsDraining() {
				return sub
			}
		}
		return nil
	}
	if err := current().SetPendingLimits(10, 1<<20); err != nil {
		t.Fatal(err)
	}
	flood := func() {
		a.shared.inFlight.mu.Lock() // the endpoint waits for it
		defer a.shared.inFlight.mu.Unlock()
		before := e.dropped.total()
		for range 100 {
			if err := a.nc.PublishMsg(requestFor("pbx1", "Login", "")); err != nil {
				t.Fatal(err)
			}
		}
		natstest.Within(t, "the drops", func() bool { return e.dropped.total() >= before+80 })
	}
	flood()
	dropped := e.dropped.total()
	old := current()
	natstest.Within(t, "another subscription", func() bool {
		a.control.Failed(fmt.Errorf("%w: Permissions Violation for Subscription to %q", nats.ErrPermissionViolation, e.Subject()))
		return current() != old && !old.IsValid()
	})
	sub := current()
	if msgs, bytes, err := sub.PendingLimits(); msgs != queuedRequests || bytes != queuedBytes || err != nil {
		t.Errorf("at most %d requests, %d bytes wait, %v", msgs, bytes, err)
	}
	if err := sub.SetPendingLimits(10, 1<<20); err != nil {
		t.Fatal(err)
	}
	flood()
	if now := e.dropped.total(); now < dropped+80 || a.Dropped() != now {
		t.Errorf("%d dropped, then %d, %d in all", dropped, now, a.Dropped())
	}
}
