package schemas

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// Everything that a bridge publishes about itself is what docs/schemas says of
// it: in good days, after lost sessions, with the breaker open and with a full
// outbox.
func TestSchemas_HoldForEveryMessage(t *testing.T) {
	t.Parallel()
	schemas := harness.Schemas(t)
	delete(schemas, "request") // of these see TestSchemas_HoldForEveryReply
	delete(schemas, "reply")
	delete(schemas, "status") // no message: see TestSchema of bridge/view
	samples, seen := map[string]map[string]any{}, map[string]bool{}
	said, _ := everyMessage(t)
	shared := everySharedMessage(t, func(*prometheus.Registry) {})
	for _, msg := range slices.Concat(said, shared) {
		name := schemaName(msg.Subject)
		schema := schemas[name]
		if schema == nil {
			t.Fatalf("%s has no schema: %s", msg.Subject, msg.Data)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(msg.Data))
		if err != nil {
			t.Fatalf("%s: %v in %s", msg.Subject, err, msg.Data)
		}
		if err := schema.Validate(doc); err != nil {
			t.Errorf("%s: %v\n%s", msg.Subject, err, msg.Data)
		}
		m := doc.(map[string]any)
		for _, kind := range kindsOf(name, m) {
			seen[kind] = true
		}
		if len(m) > len(samples[name]) {
			samples[name] = m
		}
	}
	for _, kind := range []string{
		"connection connecting", "connection up", "connection waiting", "connection stopped",
		"connection of event", "connection of action", "connection of action2", "connection of both",
		"connection change", "connection interval", "connection waiting interval", "breaker change", "breaker interval", "breaker open interval",
		"breaker closed start", "breaker open banner", "breaker half-open cooldown", "breaker closed stable",
		"buffers interval", "buffers high", "buffers full", "buffers drained",
		"gap closed", "gap oversize", "gap overflow", "gap-event closed", "gap-event oversize", "gap-event overflow", "node", "node of several", "ha change", "ha interval", "ha apart",
		"audit intent allowed", "audit outcome allowed", "audit outcome refused", "audit repeat", "audit refusals refused",
	} {
		if !seen[kind] {
			t.Errorf("no message was seen of the kind %q", kind)
		}
	}
	for name, schema := range schemas {
		if samples[name] == nil {
			t.Errorf("%s: no message was seen", name)
			continue
		}
		refuses(t, name, schema, samples[name], samples[name])
	}
}

// everyMessage runs a bridge through all that it has something to say of, and
// returns what it said from its start to its end, and its metrics.
func everyMessage(t *testing.T) (all []*nats.Msg, registry *prometheus.Registry) {
	t.Helper()
	url := harness.NATS(t)
	client := &harness.Running{T: t, Client: harness.Client(t, url)}
	var subs []*nats.Subscription
	for _, subject := range []string{"ami.status.>", "ami.nodes.>", "ami.events.*.Gap", "ami.audit.>"} {
		subs = append(subs, client.Subscribe(subject))
	}
	sim, addr := harness.Sim(t, amisim.Config{})
	pbx1, pbx2 := harness.Server("pbx1", addr, "bridge", "s3cret"), harness.Server("pbx2", addr, "bridge", "s3cret")
	pbx3 := harness.Server("pbx3", addr, "bridge", "s3cret")
	pbx1.OutboxBytes, pbx1.MaxFrameBytes, pbx2.Sessions, pbx3.ActionSessions = 64<<10, 4<<10, 1, 2
	pbx1.BreakerFailures, pbx1.BreakerCooldown, pbx1.StableAfter = 3, 200*time.Millisecond, 200*time.Millisecond
	pbx1.BackoffMin, pbx1.BackoffMax = 10*time.Millisecond, 50*time.Millisecond
	r := harness.Bridge(t, url, func(c *config.Config) {
		c.StatusInterval, c.ConnectRate, c.Audit = 100*time.Millisecond, 4, config.AuditStrict
	}, pbx1, pbx2, pbx3)
	sim.Next("Hangup", amisim.Deny("No such channel"))
	r.Call("pbx1", "Hangup", `{"Channel":["PJSIP/a-1","PJSIP/b-1"],"ActionID":"mine"}`, "Ami-Requester", "alice")
	r.Call("any", "CoreStatus", "", "Nats-Request-Info", `{"acc":"A"}`)
	harness.Eventually(r.T, "a repeat", func() bool {
		return r.Call("pbx1", "CoreSettings", "", "Ami-Idempotency-Key", "k1").Header.Get("Ami-Idempotent-Replay") == "true"
	})
	r.Call("all", "CoreStatus", "", "Ami-Group", "none")
	r.Call("pbx1", "Ping", `{"A":`)
	buffers, nodes := r.Subscribe("ami.status.pbx1.buffers"), r.Subscribe("ami.nodes.*")
	for range 40 { // more than have a record each
		r.Ask("pbx1", "Login", "")
	}
	r.AwaitMessage(buffers, `"rates":`, `"forbidden"`)
	r.AwaitText(nodes, `"last_refused":{`)

	breakOff(sim, r)
	overrun(sim, r)
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := client.Client.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, sub := range subs {
		all = append(all, r.Pending(sub)...)
	}
	return all, r.Metrics
}

// breakOff ends the sessions and refuses new ones until the breaker is open.
// Each is refused so late that the other one waits at the gate by then, and
// before it is let through.
func breakOff(sim *amisim.Server, r *harness.Running) {
	r.T.Helper()
	states, gaps := r.Subscribe("ami.status.pbx1.breaker"), r.Subscribe("ami.status.pbx1.gap")
	open, waits := r.Subscribe("ami.status.pbx1.breaker"), r.Subscribe("ami.status.pbx1.connection")
	sim.Always(amisim.Accept, func(s *amisim.Session, _ *amisim.Action) {
		s.Sleep(150 * time.Millisecond)
		s.Close()
	})
	sim.Kick()
	r.AwaitText(states, `"to":"open"`)
	r.AwaitText(states, `"to":"half-open"`)
	// An interval may pass by a state that is short, so it comes again till then.
	r.AwaitMessage(open, `"to":"open"`, `"trigger":"interval"`)
	r.AwaitMessage(waits, `"to":"waiting"`, `"trigger":"interval"`)
	sim.Always(amisim.Accept, nil)
	r.AwaitText(states, `"to":"closed"`)
	r.AwaitText(gaps, `"lost":null`)
	sim.Emit("Event", "Large", "Filler", strings.Repeat("x", 10_000))
	r.AwaitText(gaps, `"reason":"oversize"`)
}

// overrun takes the stream away and sends events: to nine tenths of the outbox,
// then more than it holds.
func overrun(sim *amisim.Server, r *harness.Running) {
	r.T.Helper()
	bring := harness.TakeStream(r.T, r.Client, streams.EventStream)
	buffers, nodes := r.Subscribe("ami.status.pbx1.buffers"), r.Subscribe("ami.nodes.*")
	emit := func(n int) {
		for range n {
			sim.Emit("Event", "Filler", "Filler", strings.Repeat("x", 1000))
		}
	}
	emit(50)
	r.AwaitText(buffers, `"trigger":"high"`)
	emit(200)
	r.AwaitText(buffers, `"trigger":"full"`)
	r.AwaitText(nodes, `"error":"`) // of the stream
	bring()
	r.AwaitText(buffers, `"trigger":"drained"`)
}

// schemaName says which schema holds for a subject.
func schemaName(subject string) string {
	tokens := strings.Split(subject, ".")
	switch tokens[1] {
	case "status":
		return tokens[3]
	case "nodes":
		return "node"
	case "audit":
		return "audit"
	}
	return "gap-event"
}

// kindsOf says what kinds of message m is.
func kindsOf(name string, m map[string]any) []string {
	kind := func(keys ...string) string {
		words := []string{name}
		for _, key := range keys {
			words = append(words, fmt.Sprint(m[key]))
		}
		return strings.Join(words, " ")
	}
	lostBy := func(key string) []string {
		if reason, _ := m[key].(string); harness.HungUp(reason) {
			return []string{name + " closed"}
		}
		return []string{kind(key)}
	}
	switch name {
	case "connection":
		return []string{kind("to"), kind("trigger"), kind("to", "trigger"), name + " of " + fmt.Sprint(m["role"])}
	case "breaker":
		return []string{kind("trigger"), kind("to", "trigger"), kind("to", "reason")}
	case "buffers":
		return []string{kind("trigger")}
	case "gap":
		return lostBy("reason")
	case "audit":
		return []string{kind("phase", "decision"), kind("outcome")}
	case "gap-event":
		return lostBy("Reason")
	case "node":
		if m["ha"] != nil {
			return []string{name + " of several"}
		}
	case "ha":
		kinds := []string{kind("trigger")}
		for _, b := range m["standbys"].([]any) {
			kinds = append(kinds, name+" "+b.(map[string]any)["state"].(string))
		}
		return kinds
	}
	return []string{name}
}

// refuses checks that schema refuses doc, which it accepts, as soon as some
// object in it, of which part is one, has a member too many or too few, or one
// of another type.
func refuses(t *testing.T, path string, schema *jsonschema.Schema, doc any, part map[string]any) {
	t.Helper()
	refused := func(what string) {
		if schema.Validate(doc) == nil {
			t.Errorf("%s: the schema takes it %s", path, what)
		}
	}
	part["surplus"] = "x"
	refused("with a member too many")
	delete(part, "surplus")
	for _, key := range slices.Collect(maps.Keys(part)) {
		value := part[key]
		if inner, ok := value.(map[string]any); ok && !free[path+"."+key] {
			refuses(t, path+"."+key, schema, doc, inner)
		}
		part[key] = []any{value}
		refused("with " + key + " in an array")
		delete(part, key)
		if !optional[path+"."+key] {
			refused("without " + key)
		}
		part[key] = value
	}
	if err := schema.Validate(doc); err != nil {
		t.Errorf("%s: %v", path, err)
	}
}

// optional are the members that need not be there.
var optional = map[string]bool{
	"connection.session": true, "connection.version": true, "connection.reason": true, "connection.error": true,
	"connection.sessions.event": true, "connection.sessions.action": true, "connection.sessions.action2": true,
	"connection.sessions.both": true,
	"breaker.error":            true, "gap-event.Restarted": true, "node.ha": true, "buffers.released": true, "buffers.rates": true,
	"audit.requester": true, "audit.request_id": true, "audit.fields": true, "audit.action_id": true,
	"audit.response": true, "audit.message": true,
	"reply.request_id": true, "reply.events": true, "reply.output": true, "reply.parts": true, "reply.error": true,
	"reply.error.retry_after_ms": true, "reply.error.message": true,
}

// free are the objects whose members are a caller's, or those that there were.
var free = map[string]bool{"audit.fields": true, "reply.fields": true, "buffers.actions.refused": true, "node.refused": true}
