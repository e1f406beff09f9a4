package schemas

import (
	"bytes"
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
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// Every message that a caller gets is what docs/schemas/reply.schema.json says:
// whatever Asterisk answers, each kind of error, each part of a stream.
func TestSchemas_HoldForEveryReply(t *testing.T) {
	schema := harness.Schemas(t)["reply"]
	samples, seen := map[string]map[string]any{}, map[string]bool{}
	for _, msg := range slices.Concat(everyAnswer(t), everyRefusal(t), lastReplies(t), smallReplies(t)) {
		if len(msg.Data) == 0 {
			continue // the end of all
		}
		doc := harness.Document(t, msg.Data)
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
func callers(r *harness.Running) (heard func() []*nats.Msg) {
	client := &harness.Running{T: r.T, Client: harness.Client(r.T, r.Client.ConnectedUrl())}
	inboxes := client.Subscribe("_INBOX.>")
	return func() []*nats.Msg {
		if err := client.Client.Flush(); err != nil {
			client.T.Fatal(err)
		}
		// This test asks JetStream too.
		return slices.DeleteFunc(client.Pending(inboxes), func(m *nats.Msg) bool { return bytes.HasPrefix(m.Data, []byte(`{"type":"io.nats.`)) })
	}
}

// everyAnswer has Asterisk say all kinds of things.
func everyAnswer(t *testing.T) []*nats.Msg {
	t.Helper()
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true, Queues: harness.Members(3)})
	s := harness.ChaosServer("pbx1", addr)
	s.ActionRates = policy.Rates{{Pattern: "CoreStatus", Value: 0.01}}
	r := harness.Bridge(t, harness.NATS(t), harness.ChaosConfig, s)
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
		{"Originate", harness.Phone, []string{harness.KeyHeader, "k"}}, {"Originate", harness.Phone, []string{harness.KeyHeader, "k"}},
		{"Originate", "{}", []string{harness.KeyHeader, "k"}}, {"Ping", "[]", nil}, {"Login", "", nil},
	} {
		r.Call("pbx1", call.action, call.body, call.header...)
	}
	for _, action := range []string{"QueueStatus", "Command", "Ping"} {
		harness.Streamed(r, r.Ask("pbx1", action, `{"Command":"long 300"}`, "Ami-Reply", "stream"), func(map[string]any) {})
	}
	harness.Everyone(r, r.Ask("all", "Ping", ""))
	sim.Next("Reload", amisim.Refuse)
	r.Call("pbx1", "Reload", "")
	return heard()
}

// everyRefusal takes from a bridge what it needs to send.
func everyRefusal(t *testing.T) []*nats.Msg {
	t.Helper()
	_, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	sick, sickAddr := harness.Sim(t, amisim.Config{NotBooted: true})
	gone, goneAddr := harness.Sim(t, amisim.Config{NotBooted: true})
	pbx2 := harness.ChaosServer("pbx2", sickAddr)
	pbx2.BreakerFailures = 2
	r := harness.Bridge(t, harness.NATS(t), func(c *config.Config) { harness.ChaosConfig(c); c.Audit = config.AuditStrict },
		harness.ChaosServer("pbx1", addr), pbx2, harness.ChaosServer("pbx3", goneAddr))
	heard := callers(r)
	breaker := r.Subscribe("ami.status.pbx2.breaker")
	sick.Always(amisim.Accept, amisim.Refuse)
	sick.Kick()
	r.AwaitText(breaker, `"to":"open"`)
	refused := func(server, kind string) { // once its intent is stored, and while the server is not being tried again
		harness.Eventually(t, kind, func() bool {
			e := r.Call(server, "Ping", `{"ActionID":"mine"}`).Error
			return e != nil && e.Kind == kind && e.RetryAfter > 0
		})
	}
	refused("pbx2", "breaker_open")
	harness.Down(r, gone, "pbx3")
	refused("pbx3", "not_connected")
	bring := harness.TakeStream(t, r.Client, "KV_"+streams.KeyBucket)
	r.Call("pbx1", "Originate", harness.Phone, harness.KeyHeader, "k")
	bring()
	bring = harness.TakeStream(t, r.Client, streams.AuditStream)
	r.Call("pbx1", "Ping", "", "Ami-Timeout", "300ms")
	bring()
	return heard()
}

// lastReplies are those of a bridge that stops.
func lastReplies(t *testing.T) []*nats.Msg {
	t.Helper()
	sim, r := harness.ChaosBridge(t, amisim.Config{}, nil)
	heard := callers(r)
	harness.Stopping(t, sim, r)()
	return heard()
}

// smallReplies are those of a bridge whose NATS takes only small messages.
func smallReplies(t *testing.T) []*nats.Msg {
	t.Helper()
	_, addr := harness.Sim(t, amisim.Config{NotBooted: true, Queues: harness.Members(1000)})
	small := natstest.Serve(t, func(o *natsserver.Options) { o.MaxPayload = 64 << 10 })
	r := harness.Bridge(t, small.ClientURL(), harness.ChaosConfig, harness.ChaosServer("pbx1", addr))
	heard := callers(r)
	harness.Fails(t, r.Call("pbx1", "QueueStatus", `{"ActionID":"mine"}`), "reply_too_large", "yes")
	return heard()
}

// What docs/schemas/request.schema.json refuses the bridge refuses, and it takes
// what the schema takes.
func TestSchemas_ARequestIsWhatTheBridgeTakes(t *testing.T) {
	schema := harness.Schemas(t)["request"]
	_, r := harness.ChaosBridge(t, amisim.Config{}, nil)
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
		got := r.Call("pbx1", "Setvar", body)
		if taken := got.Error == nil || got.Error.Code != 400; taken != right {
			t.Errorf("%s: the bridge says %+v", body, got.Error)
		}
		if err := schema.Validate(doc); (err == nil) != right {
			t.Errorf("%s: the schema says %v", body, err)
		}
	}
}
