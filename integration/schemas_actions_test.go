package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/policy"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

// Every message that a caller gets is what docs/schemas/reply.schema.json says:
// whatever Asterisk answers, each kind of error, each part of a stream.
func TestSchemas_HoldForEveryReply(t *testing.T) {
	schema := compileSchemas(t)["reply"]
	samples, seen := map[string]map[string]any{}, map[string]bool{}
	for _, msg := range slices.Concat(everyAnswer(t), everyRefusal(t), lastReplies(t), smallReplies(t)) {
		if len(msg.Data) == 0 {
			continue // the end of all
		}
		doc := document(t, msg.Data)
		if err := schema.Validate(doc); err != nil {
			t.Errorf("%v\n%.500s", err, msg.Data)
		}
		kind := replyKind(msg, doc)
		seen[kind], samples[kind] = true, doc
	}
	for kind := range strings.FieldsSeq(`answered list output part:event part:output bad_request forbidden reply_too_large
		asterisk_error busy connection_lost not_connected breaker_open shutting_down audit_unavailable
		idempotency_unavailable timeout`) {
		if !seen[kind] {
			t.Errorf("no reply was seen of the kind %s", kind)
		}
	}
	for _, kind := range []string{"list", "output", "asterisk_error", "busy"} {
		refuses(t, "reply", schema, samples[kind], samples[kind])
	}
}

// replyKind says what kind of reply doc is.
func replyKind(msg *nats.Msg, doc map[string]any) string {
	has := func(key string) bool { return doc[key] != nil }
	switch {
	case msg.Header.Get("Ami-Part") != "" && has("output"):
		return "part:output"
	case msg.Header.Get("Ami-Part") != "":
		return "part:event"
	case has("error"):
		return fmt.Sprint(doc["error"].(map[string]any)["kind"])
	case has("events"):
		return "list"
	case has("output"):
		return "output"
	}
	return "answered"
}

// callers hears all that comes to anybody's inbox.
func callers(r *running) (heard func() []*nats.Msg) {
	client := &running{t: r.t, nc: connect(r.t, r.nc.ConnectedUrl())}
	inboxes := client.subscribe("_INBOX.>")
	return func() []*nats.Msg {
		if err := client.nc.Flush(); err != nil {
			client.t.Fatal(err)
		}
		// This test asks JetStream too.
		return slices.DeleteFunc(client.pending(inboxes), func(m *nats.Msg) bool { return bytes.HasPrefix(m.Data, []byte(`{"type":"io.nats.`)) })
	}
}

// everyAnswer has Asterisk say all kinds of things.
func everyAnswer(t *testing.T) []*nats.Msg {
	t.Helper()
	sim, addr := startSim(t, amisim.Config{NotBooted: true, Queues: members(3)})
	s := chaosServer("pbx1", addr)
	s.ActionRates = policy.Rates{{Pattern: "CoreStatus", Value: 0.01}}
	r := startBridge(t, natsURL(t), chaosConfig, s)
	heard := callers(r)
	sim.Next("Setvar", amisim.Deny("No such channel"))
	sim.Next("Status", amisim.Oversize(3<<20))
	sim.Next("Getvar", amisim.Ignore)
	for _, call := range []struct {
		action, body string
		header       []string
	}{
		{"Ping", "", nil}, {"CoreStatus", "", nil}, {"CoreStatus", "", nil}, // over its rate
		{"QueueStatus", `{"ActionID":"mine"}`, nil}, {"Command", `{"Command":"long 10"}`, nil},
		{"Setvar", `{"ActionID":"mine","Variable":"a"}`, nil}, {"Status", "", nil}, {"Getvar", "", []string{"Ami-Timeout", "300ms"}},
		{"Originate", phone, []string{keyHeader, "k"}}, {"Originate", phone, []string{keyHeader, "k"}},
		{"Originate", "{}", []string{keyHeader, "k"}}, {"Ping", "[]", nil}, {"Login", "", nil},
	} {
		r.call("pbx1", call.action, call.body, call.header...)
	}
	for _, action := range []string{"QueueStatus", "Command", "Ping"} {
		streamed(r, r.ask("pbx1", action, `{"Command":"long 300"}`, "Ami-Reply", "stream"), func(map[string]any) {})
	}
	everyone(r, r.ask("all", "Ping", ""))
	sim.Next("Reload", amisim.Refuse)
	r.call("pbx1", "Reload", "")
	return heard()
}

// everyRefusal takes from a bridge what it needs to send.
func everyRefusal(t *testing.T) []*nats.Msg {
	t.Helper()
	_, addr := startSim(t, amisim.Config{NotBooted: true})
	sick, sickAddr := startSim(t, amisim.Config{NotBooted: true})
	gone, goneAddr := startSim(t, amisim.Config{NotBooted: true})
	pbx2 := chaosServer("pbx2", sickAddr)
	pbx2.BreakerFailures = 2
	r := startBridge(t, natsURL(t), func(c *config.Config) { chaosConfig(c); c.Audit = config.AuditStrict },
		chaosServer("pbx1", addr), pbx2, chaosServer("pbx3", goneAddr))
	heard := callers(r)
	breaker := r.subscribe("ami.status.pbx2.breaker")
	sick.Always(amisim.Accept, amisim.Refuse)
	sick.Kick()
	r.awaitText(breaker, `"to":"open"`)
	refused := func(server, kind string) { // once its intent is stored
		eventually(t, kind, func() bool {
			e := r.call(server, "Ping", `{"ActionID":"mine"}`).Error
			return e != nil && e.Kind == kind
		})
	}
	refused("pbx2", "breaker_open")
	down(r, gone, "pbx3")
	refused("pbx3", "not_connected")
	bring := takeStream(t, r.nc, "KV_"+streams.KeyBucket)
	r.call("pbx1", "Originate", phone, keyHeader, "k")
	bring()
	bring = takeStream(t, r.nc, streams.AuditStream)
	r.call("pbx1", "Ping", "", "Ami-Timeout", "300ms")
	bring()
	return heard()
}

// lastReplies are those of a bridge that stops.
func lastReplies(t *testing.T) []*nats.Msg {
	t.Helper()
	sim, r := chaosBridge(t, amisim.Config{}, nil)
	heard := callers(r)
	stopping(t, sim, r)()
	return heard()
}

// smallReplies are those of a bridge whose NATS takes only small messages.
func smallReplies(t *testing.T) []*nats.Msg {
	t.Helper()
	_, addr := startSim(t, amisim.Config{NotBooted: true, Queues: members(1000)})
	small := natsInProcess(t, func(o *natsserver.Options) { o.MaxPayload = 64 << 10 })
	r := startBridge(t, small.ClientURL(), chaosConfig, chaosServer("pbx1", addr))
	heard := callers(r)
	fails(t, r.call("pbx1", "QueueStatus", `{"ActionID":"mine"}`), "reply_too_large", "yes")
	return heard()
}

// What docs/schemas/request.schema.json refuses the bridge refuses, and it takes
// what the schema takes.
func TestSchemas_ARequestIsWhatTheBridgeTakes(t *testing.T) {
	schema := compileSchemas(t)["request"]
	_, r := chaosBridge(t, amisim.Config{}, nil)
	for body, right := range map[string]bool{
		`{}`: true, `{"Variable":"a","Value":"1"}`: true, `{"Value":1.5}`: true, `{"Value":true}`: true,
		`{"Value":["a",1,false]}`: true, `{"Value":[]}`: true, `{"Value":""}`: true, `{"X Y":"grün"}`: true,
		`{"Variable":{"a":1,"b":"c,d"}}`: true, `{"chanvariable":{"a":true}}`: true, `{"Variable":["a=1","b=2"]}`: true,
		`{"Action":"Setvar","ActionID":"mine"}`: true, `{"actionid":7}`: true,
		`["a"]`: false, `"a"`: false, `null`: false, `{"Value":null}`: false, `{"Value":[["a"]]}`: false,
		`{"Value":{"a":1}}`: false, `{"Variable":{"a=b":1}}`: false, `{"Variable":{"":1}}`: false,
		`{"Variable":{"a":[1]}}`: false, `{"Variable":{"a":null}}`: false, `{"Variable":[{"a":1}]}`: false,
		`{"Value":"a\rb"}`: false, `{"Value":"a\nb"}`: false, `{"Value":["a\u0000b"]}`: false, `{"Variable":{"a":"b\nc"}}`: false,
		`{"Val\nue":"a"}`: false, `{"Value: a":"b"}`: false, `{"":"a"}`: false,
		`{"Action":["Setvar"]}`: false, `{"ActionID":["a"]}`: false, `{"ACTIONID":"` + strings.Repeat("i", 257) + `"}`: false,
	} {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		got := r.call("pbx1", "Setvar", body)
		if taken := got.Error == nil || got.Error.Code != 400; taken != right {
			t.Errorf("%s: the bridge says %+v", body, got.Error)
		}
		if err := schema.Validate(doc); (err == nil) != right {
			t.Errorf("%s: the schema says %v", body, err)
		}
	}
}

// document reads a JSON object as jsonschema wants it.
func document(t *testing.T, text []byte) map[string]any {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v in %.200s", err, text)
	}
	object, ok := doc.(map[string]any)
	if !ok {
		t.Fatalf("%.200s is no object", text)
	}
	return object
}

// sameSchema compares a schema that discovery shows with its file.
func sameSchema(t *testing.T, file, shown string) {
	t.Helper()
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(readText(t, moduleRoot(t), "docs", "schemas", file))); err != nil {
		t.Fatal(err)
	}
	if compact.String() != shown {
		t.Errorf("discovery shows another schema than %s: %.200s", file, shown)
	}
}
