package bridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/natstest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/journal"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

// fullQueue is a queue that has no room while it is full.
type fullQueue struct {
	queue
	is atomic.Bool
}

func (q *fullQueue) Write(e journal.Entry) error {
	if q.is.Load() {
		return journal.ErrFull
	}
	return q.queue.Write(e)
}

// With AUDIT=strict nothing is sent whose intent does not fit into the queue.
func TestAudit_StrictSendsNothingBesideAFullQueue(t *testing.T) {
	url := natstest.Start(t, t.TempDir(), 0).ClientURL()
	full := &fullQueue{}
	a := askingAs(t, url, func(c *config.Config) { c.Audit = config.AuditStrict }, Deps{}, func(b *Bridge) {
		full.queue, b.audit.journal = b.audit.journal, full
	})
	full.is.Store(true)
	if kind, sent, _, _ := a.answered(requestFor("pbx1", "CoreStatus", "")); kind != "audit_unavailable" || sent != "no" {
		t.Errorf("it ends with %s, sent %s", kind, sent)
	}
	if n := a.sims["pbx1"].Received("CoreStatus"); n != 0 {
		t.Errorf("it was sent %d times", n)
	}
	full.is.Store(false)
	if kind, _, _, _ := a.answered(requestFor("pbx1", "CoreStatus", "")); kind != "" {
		t.Errorf("with room again it ends with %s", kind)
	}
}

// With AUDIT=strict nobody can make intents of what cannot be sent: while a
// server is away they are no more than refusals are. A bridge that stops tells of
// those that it has counted.
func TestRefusals_StrictIntentsOfAServerThatIsAway(t *testing.T) {
	a := askingBridge(t, func(c *config.Config) { c.Audit = config.AuditStrict; c.Servers[0].Addr = "127.0.0.1:1" }, "pbx1", "pbx2")
	const asked = 500
	for range asked {
		a.to(requestFor("pbx1", "CoreStatus", ""))
	}
	natstest.Within(t, "all are refused", func() bool { return a.endpoints[0].tally.results[resultRefused].Load() == asked })
	a.stop()
	_, js := natstest.Client(t, a.nc.ConnectedUrl())
	stream, err := js.Stream(t.Context(), streams.AuditStream)
	if err != nil {
		t.Fatal(err)
	}
	intents, outcomes, counted := 0, 0, 0
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		m, err := stream.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		var r struct {
			Phase string
			Count int
		}
		if err := json.Unmarshal(m.Data, &r); err != nil {
			t.Fatal(err)
		}
		counted += r.Count
		switch r.Phase {
		case "intent":
			intents++
		case "outcome":
			outcomes++
		}
	}
	if intents > asked/2 || intents == 0 || outcomes < intents || counted == 0 || outcomes+counted != asked {
		t.Errorf("of %d requests %d intents, %d outcomes, %d counted", asked, intents, outcomes, counted)
	}
}

// A bridge that runs tells of them each minute, here each 50 ms.
func TestRefusals_AreToldOfWhileTheBridgeRuns(t *testing.T) {
	url := natstest.Start(t, t.TempDir(), 0).ClientURL()
	a := askingAs(t, url, nil, Deps{}, func(b *Bridge) {
		if b.audit.refusals.span != time.Minute {
			t.Errorf("each %v", b.audit.refusals.span)
		}
		b.audit.refusals.span = 50 * time.Millisecond
	})
	records, err := a.nc.SubscribeSync("ami.audit.pbx1.Login")
	if err := errors.Join(err, a.nc.Flush()); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		a.to(requestFor("pbx1", "Login", ""))
	}
	for own, counted := 0, 0; own+counted < 100; {
		m, err := records.NextMsg(natstest.Patience)
		if err != nil {
			t.Fatalf("%d records, %d counted, %v", own, counted, err)
		}
		var r struct{ Count int }
		if err := json.Unmarshal(m.Data, &r); err != nil {
			t.Fatal(err)
		}
		if counted += r.Count; r.Count == 0 {
			own++
		}
	}
}

// Whatever else is wrong with a request, its record says who claims to have made
// it.
func TestOptions_TheRequesterIsRecordedWhateverIsWrong(t *testing.T) {
	a := unconnected(t, "pbx1")
	long := strings.Repeat("x", maxRequester+1)
	spoilt := func(m *nats.Msg, name string, values ...string) *nats.Msg { m.Header[name] = values; return m }
	of := func(server, action, body string) *nats.Msg {
		return requestFor(server, action, body, "Ami-Requester", "alice")
	}
	outside := of("pbx1", "Ping", "")
	outside.Reply = "ami.events.pbx1.Hangup"
	nowhere := of("pbx1", "Ping", "")
	nowhere.Reply = ""
	for name, test := range map[string]struct {
		m    *nats.Msg
		want string // requester, outcome
	}{
		"nothing is":            {of("pbx1", "Ping", ""), "alice not_connected"},
		"an unknown header":     {spoilt(of("pbx1", "Ping", ""), "Ami-A", "1"), "alice bad_request"},
		"one before it":         {spoilt(of("pbx1", "Ping", ""), "Ami-Idempotency-Key", ""), "alice bad_request"},
		"one that is twice":     {spoilt(of("pbx1", "Ping", ""), "Ami-Timeout", "1s", "1s"), "alice bad_request"},
		"itself is twice":       {spoilt(of("pbx1", "Ping", ""), "ami-requester", "bob"), "alice, bob bad_request"},
		"itself has two values": {spoilt(of("pbx1", "Ping", ""), "Ami-Requester", "alice", "bob"), "alice, bob bad_request"},
		"itself is too long":    {spoilt(of("pbx1", "Ping", ""), "Ami-Requester", long), long[1:] + "… bad_request"},
		"the group":             {spoilt(of("all", "Ping", ""), "Ami-Group", "none"), "alice bad_request"},
		"the body":              {of("pbx1", "Ping", "["), "alice bad_request"},
		"a body too large":      {of("pbx1", "Ping", strings.Repeat(" ", maxBody+1)), "alice bad_request"},
		"the body, to any":      {of("any", "Ping", "["), "alice bad_request"},
		"the body, to all":      {of("all", "Ping", "["), "alice bad_request"},
		"the Action":            {of("pbx1", "Login", ""), "alice forbidden"},
		"its spelling":          {of("pbx1", "ping", ""), "alice bad_request"},
		"the reply subject":     {outside, "alice no_inbox"},
		"no reply subject":      {nowhere, "alice no_inbox"},
	} {
		a.unstored.Take(1000)
		clear(a.audit.refusals.of) // or they are too many for a record each
		a.to(test.m)
		records := a.unstored.Take(1000)
		if len(records) != 1 {
			t.Errorf("%s: %d records", name, len(records))
			continue
		}
		r := recordOf(t, records[0].Msg)
		if got := fmt.Sprint(r.Requester, " ", r.Outcome); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}
