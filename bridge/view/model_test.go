package view

import (
	"encoding/json"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
)

// t0 is when the tests begin.
var t0 = time.Date(2026, 11, 28, 3, 0, 0, 0, time.UTC)

// at is t0 and so much.
func at(d time.Duration) time.Time { return t0.Add(d) }

// text is a time as a message has it.
func text(t time.Time) string { return clock.Stamp(t) }

// fields are those of a message.
type fields map[string]any

// with returns f with the fields of others.
func (f fields) with(others ...fields) fields {
	f = maps.Clone(f)
	for _, o := range others {
		maps.Copy(f, o)
	}
	return f
}

// watched is a Model under test and its clock.
type watched struct {
	t *testing.T
	*Model
	now time.Time
}

func watch(t *testing.T) *watched {
	t.Helper()
	return &watched{t: t, Model: New(Options{Interval: 5 * time.Second}), now: t0}
}

// tell gives the Model what the node b1 says of a server now.
func (w *watched) tell(server, kind string, msg fields) {
	w.t.Helper()
	w.tellAs("b1", server, kind, msg)
}

func (w *watched) tellAs(node, server, kind string, msg fields) {
	w.t.Helper()
	w.send("ami.status."+server+"."+kind, fields{"server": server, "node": node, "at": text(w.now)}.with(msg))
}

func (w *watched) send(subject string, msg fields) {
	w.t.Helper()
	raw, err := json.Marshal(msg)
	if err != nil {
		w.t.Fatal(err)
	}
	before := w.ignored
	w.Status(subject, raw, w.now)
	if w.ignored != before {
		w.t.Fatalf("the Model ignores %s %s", subject, raw)
	}
}

// node has b1 tell of itself.
func (w *watched) node(name string, servers []string, more ...fields) {
	w.t.Helper()
	w.send("ami.nodes."+name, fields{
		"node": name, "at": text(w.now), "version": "1.2.3", "uptime_s": 100, "servers": servers, "ready": servers, "nats": "CONNECTED",
		"connections": fields{"events": "CONNECTED", "control": "CONNECTED"}, "delivery": "jetstream", "way": "fast_ingest",
	}.with(more...))
}

// pass lets time go by.
func (w *watched) pass(d time.Duration) {
	w.now = w.now.Add(d)
	w.Tick(w.now)
}

func (w *watched) snapshot() *Snapshot { return w.Snapshot(w.now, NumbersLast4) }

// of returns what is seen of a server now.
func (w *watched) of(name string) Server {
	w.t.Helper()
	for _, s := range w.snapshot().Servers {
		if s.Name == name {
			return s
		}
	}
	w.t.Fatalf("no server %s", name)
	return Server{}
}

// up has a server's sessions come up, and its counts begin.
func (w *watched) up(server string) {
	w.t.Helper()
	w.connect(server)
	w.tell(server, "buffers", buffers(0, 0))
}

// connect has a server's sessions come up.
func (w *watched) connect(server string) {
	w.t.Helper()
	for _, role := range []string{"action", "event"} {
		w.tell(server, "connection", fields{
			"trigger": "change", "since": text(w.now), "role": role, "from": "connecting", "to": "up", "session": "k1", "version": "11.0.0",
			"failures": 0, "retry_in_ms": 0, "sessions": fields{"event": "up", "action": "up"},
		})
	}
	w.tell(server, "breaker", fields{"since": text(w.now), "from": "closed", "to": "closed", "reason": "start", "failures": 0, "retry_at": ""})
}

// lose has a server's event session be lost.
func (w *watched) lose(server, reason, err string) {
	w.t.Helper()
	w.tell(server, "connection", fields{
		"trigger": "change", "since": text(w.now), "role": "event", "from": "up", "to": "waiting", "reason": reason, "error": err,
		"failures": 1, "retry_in_ms": 21000, "sessions": fields{"event": "waiting", "action": "up"},
	})
}

// buffers are those of a server that has read so many events, and stored so many.
func buffers(received, published uint64, more ...fields) fields {
	return fields{
		"trigger": "interval", "received": received, "published": published, "filtered": 0, "queued": received - published, "in_flight": 0,
		"dropped": fields{"overflow": 0, "total": 0, "oversize": 0, "corrupt": 0, "panic": 0, "shed": 0},
		"outbox":  outbox(0, "normal"), "write_buffer": buffer(0, 65536, "normal"),
		"pending_actions": fields{"depth": 0, "capacity": 1024, "high_water": 0, "refused": 0, "level": "normal"},
	}.with(more...)
}

const capacity = 64 << 20

func outbox(bytes int64, level string) fields { return buffer(bytes, capacity, level) }

func buffer(bytes, capacity int64, level string) fields {
	return fields{"depth": bytes / 500, "bytes": bytes, "capacity": capacity, "high_water": bytes, "refused": 0, "level": level}
}

func acts(ended int, p95 float64, more ...fields) fields {
	return fields{"actions": fields{"answered": ended, "failed": 0, "p95_ms": p95, "refused": fields{}, "last_refused": nil}.with(more...)}
}

func dropped(reason string, n uint64) fields { return fields{"dropped": fields{reason: n}} }

// equal is for what a test says of one value.
func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// same is equal for times.
func same(t *testing.T, what string, got Time, want time.Time) {
	t.Helper()
	if !got.Equal(want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func count(n *uint64) string {
	if n == nil {
		return "unknown"
	}
	return fmt.Sprint(*n)
}

// The stream keeps the last word of each bridge that ever was, such as of each container that had its
// host's name for BRIDGE_NODE. However many there are, the bridge that lives is seen.
func TestModel_BridgesOfThePastMakeRoom(t *testing.T) {
	w := watch(t)
	for i := range maxNodes + 50 {
		raw, err := json.Marshal(fields{"node": fmt.Sprint("old", i), "at": text(t0.Add(time.Duration(i) * time.Hour)), "servers": []string{"pbx1"}})
		if err != nil {
			t.Fatal(err)
		}
		w.Kept(fmt.Sprint("ami.nodes.old", i), raw, at(1000*time.Hour), at(1000*time.Hour))
	}
	w.now = at(1000 * time.Hour)
	w.node("b1", []string{"pbx1"})
	w.Tick(w.now)
	if n := w.nodes["b1"]; n == nil || w.isSilent(n, n.lastSeen, w.now) || len(w.nodes) != 1 {
		t.Errorf("of %d bridges it knows b1 as %+v", len(w.nodes), n)
	}
}
