package bridge

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/jsontest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox/outboxtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// A level that changed is told at once, with the drops in the log; an interval
// that comes before the alarm says so too.
func TestBuffers_AChangeIsToldByWhoeverSeesIt(t *testing.T) {
	for _, first := range []string{"alarm", "interval"} {
		s := natstest.Start(t, t.TempDir(), 0)
		core, logs := observer.New(zap.WarnLevel)
		cfg := config.DefaultConfig()
		cfg.NATS.URL = s.ClientURL()
		b := connectedWith(t, cfg, Deps{Logger: zap.New(core)}, "pbx1")
		server, statuses := b.servers.here()[0], statusesOf(t, b)
		tell := map[string]func(){"alarm": b.look, "interval": b.tick}[first]
		tell()
		before := len(statuses.told(".buffers"))
		if want := map[string]int{"alarm": 0, "interval": 1}[first]; before != want {
			t.Errorf("%s: %d messages without a change", first, before)
		}
		for range 3 { // more than it holds
			for i := range 30 {
				server.outbox.Push(outboxtest.Entry(i), make([]byte, 1<<20), false)
			}
		}
		tell()
		told := statuses.told(".buffers")
		if len(told) != before+1 {
			t.Fatalf("%s: %d messages", first, len(told))
		}
		jsontest.Says(t, told[before], map[string]any{"trigger": "full"})
		tell()
		if n := logs.FilterMessage("events dropped").Len(); n != 1 {
			t.Errorf("%s: %d lines of the drops", first, n)
		}
		if again := statuses.told(".buffers"); first == "interval" {
			jsontest.Says(t, again[len(again)-1], map[string]any{"trigger": "interval"})
		} else if len(again) != len(told) {
			t.Errorf("told again without a change")
		}
	}
}

// At an interval the node is told, and gaps that no event has come behind for six
// of them are closed; a change of the streams tells the node at once.
func TestBuffers_AnIntervalClosesOldGaps(t *testing.T) {
	s := natstest.Start(t, t.TempDir(), 0)
	b := testBridge(t, s.ClientURL(), config.DeliverJetStream)
	server, statuses := b.servers.here()[0], statusesOf(t, b)
	for want, intervals := range []time.Duration{5, 7} {
		up := time.Now().Add(-intervals * b.cfg.StatusInterval)
		server.ingest.OnSession(amiconn.Change{To: amiconn.StateUp, Session: "s1", At: up})
		b.tick()
		if left := server.outbox.Account().Left; left != want {
			t.Errorf("after %d intervals %d Gaps are in the outbox", intervals, left)
		}
	}
	nodes := statuses.told(".nodes.test")
	if len(nodes) != 2 {
		t.Fatalf("%d messages of the node", len(nodes))
	}
	jsontest.Says(t, nodes[0], map[string]any{"servers": "[pbx1]", "ready": "[]", "nats": "CONNECTED", "delivery": "jetstream"})
	b.streams.MarkPublished()
	b.look()
	if n := len(statuses.told(".nodes.test")); n != 2 {
		t.Error("the node is told without a change")
	}
	b.streams.PublishRefused(streams.EventStream, 10077, "maximum bytes exceeded")
	b.look()
	if n := len(statuses.told(".nodes.test")); n != 3 {
		t.Error("the node is not told of a change")
	}
}

// buffersOf is what a test reads of a message about buffers.
type buffersOf struct {
	Trigger        string
	WriteBuffer    struct{ Level string } `json:"write_buffer"`
	PendingActions struct{ Level string } `json:"pending_actions"`
}

// A refused Action is told at once, by the buffer that was full.
func TestBuffers_RefusedActionsAreTold(t *testing.T) {
	a := run(t, Deps{}, func(c *config.Config) {
		c.Servers[0].MaxPending, c.Servers[0].WriteBufferBytes, c.StatusInterval = 1, 2<<10, time.Hour
	}, nil)
	sub, err := a.nc.SubscribeSync("ami.status.pbx1.buffers")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	full := func(body string, is func(buffersOf) bool) {
		t.Helper()
		a.ask(1, "pbx1", "Setvar", body)
		for told := (buffersOf{}); told.Trigger != "full" || !is(told); {
			m, err := sub.NextMsg(natstest.Patience)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(m.Data, &told); err != nil {
				t.Fatal(err)
			}
		}
	}
	long := `"` + strings.Repeat("x", 900) + `"`
	full(`{"Variable":[`+long+","+long+","+long+`]}`, func(m buffersOf) bool { return m.WriteBuffer.Level == "full" })
	a.sims["pbx1"].Next("CoreStatus", amisim.Ignore)
	if err := a.nc.PublishRequest("ami.actions.pbx1.CoreStatus", "_INBOX.test.1", nil); err != nil { // never answered
		t.Fatal(err)
	}
	natstest.Within(t, "it is written", func() bool { return a.sims["pbx1"].Received("CoreStatus") == 1 })
	full(`{"Variable":"x"}`, func(m buffersOf) bool { return m.PendingActions.Level == "full" })
}

// Events behind a reply that announced none are told once, and not at each
// interval.
func TestBuffers_StraysAreToldOnce(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	a := run(t, Deps{Logger: zap.New(core)}, nil, nil)
	nodes, err := a.nc.SubscribeSync("ami.nodes.b1")
	if err != nil {
		t.Fatal(err)
	}
	a.sims["pbx1"].Next("CoreStatus", func(s *amisim.Session, action *amisim.Action) {
		s.Write([]byte("Response: Success\r\nActionID: " + action.ActionID + "\r\n\r\nEvent: Item\r\nActionID: " + action.ActionID + "\r\n\r\n"))
	})
	a.ask(1, "pbx1", "CoreStatus", "")
	lines := func() int { return logs.FilterMessage("events behind a reply that announced none").Len() }
	natstest.Within(t, "it is told", func() bool { return lines() > 0 })
	for range 4 { // intervals
		if _, err := nodes.NextMsg(natstest.Patience); err != nil {
			t.Fatal(err)
		}
	}
	if n := lines(); n != 1 {
		t.Errorf("told %d times", n)
	}
}

// gate is a place in the log where who writes a line of that text waits.
type gate struct {
	zapcore.Core
	text        string
	here, opens chan struct{}
}

func (g *gate) Enabled(zapcore.Level) bool        { return true }
func (g *gate) With([]zapcore.Field) zapcore.Core { return g }

func (g *gate) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if e.Message == g.text {
		close(g.here)
		<-g.opens
	}
	return c
}

// Requests that nats.go drops since an endpoint does not keep up are told of in the
// node's state, in the metrics and in the log.
func TestNode_TellsOfDroppedRequests(t *testing.T) {
	core, logs := observer.New(zap.ErrorLevel)
	g := &gate{Core: zapcore.NewNopCore(), text: "request refused", here: make(chan struct{}), opens: make(chan struct{})}
	a := run(t, Deps{Logger: zap.New(zapcore.NewTee(core, g))}, func(c *config.Config) { c.Audit = config.AuditOff }, nil)
	const many = 200
	msg := &nats.Msg{Subject: "ami.actions.pbx1.Login", Reply: "nowhere"}
	for n := range 1<<15 + many { // queuedRequests, with the one that is handled, and more
		if err := a.nc.PublishMsg(msg); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			<-g.here // the endpoint stands still
			msg.Reply = "_INBOX.test.1"
		}
	}
	natstest.Within(t, "the metrics", func() bool { return a.gathered()["requests_dropped_total pbx1"] == many })
	if n := a.gathered()["requests_dropped_total any"]; n != 0 {
		t.Errorf("%v of another endpoint", n)
	}
	nodes, err := a.nc.SubscribeSync("ami.nodes.b1")
	if err != nil {
		t.Fatal(err)
	}
	natstest.Within(t, "the status", func() bool {
		m, err := nodes.NextMsg(natstest.Patience)
		return err == nil && strings.Contains(string(m.Data), fmt.Sprintf(`"requests_dropped":%d,`, many))
	})
	natstest.Within(t, "the log", func() bool { return logs.FilterMessage("requests dropped").Len() > 0 })
	close(g.opens)
}
