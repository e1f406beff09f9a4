package actions

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/audit"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/idempotency"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/simtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/journal"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/journal/journaltest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// asking is a service of Actions, with all that it works with, and a caller of its.
type asking struct {
	*Service
	t       *testing.T
	cfg     config.Config
	targets []*Target
	sims    map[string]*amisim.Server // a simulated Asterisk each, if it runs
	nc      *nats.Conn
	audit   *audit.Recorder
	repeats *idempotency.Cache
	control *natsconn.Conn
	streams *streams.Reconciler
	claims  *journal.Journal
	// unstored has the records of one that does not run.
	unstored *journaltest.Fake
	// sure and elsewhere are what it knows of other bridges, if cfg has it share servers.
	sure        atomic.Bool
	otherGroups atomic.Bool
	elsewhere   []string
	gone        atomic.Bool // whoever leads elsewhere
}

// newAsking returns one that does not run, connected to NATS at url but not to any
// Asterisk. What records are to be stored by, queueOf makes of a journal.
func newAsking(t *testing.T, url string, cfg config.Config, queueOf func(*journal.Journal) audit.Queue) *asking {
	t.Helper()
	cfg.NATS.URL = url
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	a, log := &asking{t: t, cfg: cfg}, zap.NewNop()
	a.control = natsconn.New(natsconn.Options{Name: "control", Config: &a.cfg, Login: natsconn.NewLogin(cfg.NATS, nil, nil), Log: log})
	if err := a.control.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.control.Get().Close() })
	natstest.Within(t, "the connection", func() bool { return a.control.Up() && a.control.Connected() > 0 })
	a.streams = streams.New(&a.cfg, []*natsconn.Conn{a.control}, func() {}, a.streamSeen, log)
	a.audit = audit.New(&a.cfg, "run1", queueOf(journal.New(a.control, audit.QueueBytes, func(error) {}, log)), log)
	a.audit.Open(EndpointNames(&a.cfg))
	a.claims = journal.New(a.control, idempotency.QueueBytes, func(error) {}, log)
	a.repeats = idempotency.New(&a.cfg, "run1"+cfg.Node, a.control, a.claims, func(error) {}, log)
	gate := func(context.Context, time.Time) (func(), error) { return func() {}, nil }
	for i := range a.cfg.Servers {
		own := &a.cfg.Servers[i]
		link := amiconn.NewLink(own.Config, amiconn.Deps{Node: cfg.Node, Logger: log, Gate: gate, ReplyBytes: 1 << 20, HeldBytes: 64 << 20})
		a.targets = append(a.targets, NewTarget(&a.cfg, own, link, func(bool) {}, func(string) {}))
	}
	var err error
	o := Options{
		Config: &a.cfg, Conn: a.control, Audit: a.audit, Idempotency: a.repeats, Sender: reply.NewSender(a.control, log), Log: log,
	}
	if a.cfg.HA {
		a.sure.Store(true)
		o.Others = &Others{
			Sure: a.sure.Load, Elsewhere: func() []string { return a.elsewhere },
			LeaderOf: func(string) string { return "run" }, Gone: func(string) bool { return a.gone.Load() }, OtherGroups: a.otherGroups.Load,
		}
	}
	a.Service, err = New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Has(a.targets, cfg.Groups); err != nil {
		t.Fatal(err)
	}
	a.nc, _ = natstest.Client(t, url)
	return a
}

func (a *asking) streamSeen(ctx context.Context, name string, state streams.State) {
	switch name {
	case streams.AuditStream:
		a.audit.Seen(ctx, a.control.Get().JS, state)
	case streams.KeyStream:
		a.repeats.Seen(state, a.cfg.Streams)
	}
}

// unconnected is one whose servers nobody connects to, and whose records nobody
// stores: what it refuses it has looked at.
func unconnected(t *testing.T, names ...string) *asking {
	t.Helper()
	cfg := config.DefaultConfig()
	cfg.Node, cfg.IdempotencyWindow = "test", 10*natstest.Patience
	for _, name := range names {
		cfg.Servers = append(cfg.Servers, simtest.Server(name, "127.0.0.1:1"))
	}
	return unconnectedAs(t, cfg)
}

// unconnectedAs is unconnected with the servers and settings of cfg.
func unconnectedAs(t *testing.T, cfg config.Config) *asking {
	t.Helper()
	unstored := &journaltest.Fake{Limit: audit.QueueBytes}
	a := newAsking(t, natstest.Start(t, t.TempDir(), 0).ClientURL(), cfg, func(*journal.Journal) audit.Queue { return unstored })
	a.unstored = unstored
	return a
}

// askingOf is one of servers with these names, pbx1 if there are none, that runs
// until the test ends.
func askingOf(t *testing.T, change func(*config.Config), names ...string) *asking {
	t.Helper()
	return askingAt(t, natstest.Start(t, t.TempDir(), 0).ClientURL(), change, names...)
}

func askingAt(t *testing.T, url string, change func(*config.Config), names ...string) *asking {
	t.Helper()
	return askingBy(t, url, change, func(j *journal.Journal) audit.Queue { return j }, names...)
}

// askingBy is askingAt, its records stored by what queueOf makes of a journal.
func askingBy(t *testing.T, url string, change func(*config.Config), queueOf func(*journal.Journal) audit.Queue, names ...string) *asking {
	t.Helper()
	cfg := config.DefaultConfig()
	cfg.Node, cfg.IdempotencyWindow = "b1", 10*natstest.Patience
	if len(names) == 0 {
		names = []string{"pbx1"}
	}
	sims, servers := simtest.Start(t, names...)
	cfg.Servers = servers
	if change != nil {
		change(&cfg)
	}
	var records *journal.Journal
	a := newAsking(t, url, cfg, func(j *journal.Journal) audit.Queue { records = j; return queueOf(j) })
	a.sims = sims
	for deadline := time.Now().Add(natstest.Patience); !a.streams.Well(); a.streams.Check(t.Context()) {
		if time.Now().After(deadline) {
			t.Fatalf("the streams: %+v", a.streams.States())
		}
	}
	a.run(records)
	return a
}

// run runs it until the test ends, and waits until its servers are up.
func (a *asking) run(records *journal.Journal) {
	a.t.Helper()
	if err := a.Serve(); err != nil {
		a.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var ran sync.WaitGroup
	a.t.Cleanup(func() { stop(); ran.Wait() })
	ran.Go(func() { a.control.Run(ctx) })
	ran.Go(func() { a.shared.sender.Run(ctx) })
	ran.Go(func() { records.Run(ctx) })
	if a.repeats.IsShared() {
		ran.Go(func() { a.repeats.Run(ctx) })
		ran.Go(func() { a.claims.Run(ctx) })
	}
	for _, s := range a.targets {
		ran.Go(func() { _ = s.link.Run(ctx) })
	}
	for _, s := range a.targets {
		if s.cfg.Addr != "127.0.0.1:1" { // where nobody is
			natstest.Within(a.t, s.cfg.Name, s.link.Ready)
		}
	}
}

// request is one for an Action of a server, as nats.go hands it over.
func requestFor(server, action, body string, headers ...string) *nats.Msg {
	m := &nats.Msg{Subject: "ami.actions." + server + "." + action, Reply: "_INBOX.test." + action, Data: []byte(body)}
	for i := 0; i+1 < len(headers); i += 2 {
		if m.Header == nil {
			m.Header = nats.Header{}
		}
		m.Header[headers[i]] = append(m.Header[headers[i]], headers[i+1])
	}
	return m
}

// readAt is m as its endpoint reads it.
func readAt(e *Endpoint, m *nats.Msg) (*actionRequest, error) {
	a := e.newRequest(m)
	return a, a.read(m)
}

// to hands m to its endpoint.
func (a *asking) to(m *nats.Msg) {
	a.t.Helper()
	for _, e := range a.Endpoints() {
		if strings.HasPrefix(m.Subject, "ami.actions."+e.Name+".") {
			e.onRequest(m)
			return
		}
	}
	a.t.Fatalf("nobody serves %s", m.Subject)
}

// reply is the one to m, which a is asked.
func (a *asking) reply(m *nats.Msg) *nats.Msg {
	a.t.Helper()
	m.Reply = a.nc.NewInbox()
	sub, err := a.nc.SubscribeSync(m.Reply)
	if err := errors.Join(err, a.nc.Flush()); err != nil {
		a.t.Fatal(err)
	}
	a.to(m)
	answer, err := sub.NextMsg(natstest.Patience)
	if err != nil {
		a.t.Fatal(err)
	}
	return answer
}

// answered is what the reply to m says of its end.
func (a *asking) answered(m *nats.Msg) (kind, sent, message string, header nats.Header) {
	a.t.Helper()
	answer := a.reply(m)
	var r struct{ Error reply.Error }
	if err := json.Unmarshal(answer.Data, &r); err != nil {
		a.t.Fatalf("%v in %s", err, answer.Data)
	}
	return string(r.Error.Kind), r.Error.Sent, r.Error.Message, answer.Header
}

// audited is what a test reads of a record of the audit.
type audited struct{ Server, Requester, Decision, Outcome, Sent string }

func auditOf(t *testing.T, m *nats.Msg) (a audited) {
	t.Helper()
	if err := json.Unmarshal(m.Data, &a); err != nil {
		t.Fatal(err)
	}
	return a
}
