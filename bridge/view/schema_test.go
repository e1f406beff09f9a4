package view

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

func statusSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schema, err := compiler.Compile("../../docs/schemas/status.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// everything is a Model that has something to say of each member of the schema.
func everything(t *testing.T) *watched {
	t.Helper()
	w := watch(t)
	for i := range int64(4) {
		w.node("b1", []string{"pbx1", "pbx2", "pbx3", "pbx4"}, fields{
			"streams": []fields{{"name": "AMI_EVENTS", "state": "full", "error": "no space", "messages": 7, "bytes": 1 << 30, "since": text(t0)}},
			"leaf":    fields{"connected": true, "since": text(t0)}, "unanswered": []string{"any"},
			"refused": fields{"bad_request": 1}, "last_refused": nil,
		})
		for _, server := range []string{"pbx1", "pbx2", "pbx3"} {
			w.connect(server)
			w.tell(server, "buffers", buffers(uint64(1000*i), uint64(900*i), fields{"outbox": outbox(i*5<<20, "high")}, dropped("shed", uint64(10*i)),
				acts(int(10*i), 41, fields{"refused": fields{"forbidden": 2}, "last_refused": fields{"at": text(t0), "action": "Originate", "kind": "forbidden"}})))
		}
		w.live("pbx2")
		w.pass(5 * time.Second)
	}
	w.lose("pbx1", "dial", "dial tcp 10.0.0.1:5038: connect: connection refused")
	w.tell("pbx1", "breaker", fields{"since": text(w.now), "to": "open", "reason": "dial", "error": "x", "failures": 5, "retry_at": text(w.now.Add(time.Minute))})
	w.tell("pbx1", "gap", fields{"from": text(t0), "to": text(w.now), "reason": "shed", "lost": 3, "restarted": nil})
	w.tell("pbx1", "ha", fields{"leader": "b1", "term": 7, "since": text(t0), "reason": "start", "standbys": []fields{{"node": "b2", "state": "in_sync", "lag": 7, "lag_s": 12.5}}})
	w.put("pbx1.server", fields{"state": "live", "since": text(w.now)})
	w.call("pbx1", "support", "1", "+4930123456", 1)
	w.member("pbx1", "support", "Kim Berger", 1, fields{"Paused": "1", "PausedReason": "lunch"})
	w.call("pbx2", "support", "1", "+4930123456", 1)
	w.member("pbx2", "support", "Can Yilmaz", 2, fields{"InCall": "1"})
	w.put("pbx2.server", fields{"state": "stale", "since": text(w.now)})
	w.pass(time.Second)
	return w
}

// What a Model says is what docs/schemas says of it, of one that knows all and of one
// that knows nothing; and the schema refuses what is otherwise.
func TestSchema(t *testing.T) {
	t.Parallel()
	schema := statusSchema(t)
	full := everything(t).Snapshot(at(21*time.Second), NumbersLast4)
	for name, snap := range map[string]*Snapshot{
		"everything": full, "nothing": New(Options{}).Snapshot(t0, NumbersNone), "no numbers": everything(t).Snapshot(at(time.Hour), NumbersNone),
	} {
		doc := document(t, snap)
		if err := schema.Validate(doc); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if name == "everything" {
			refuses(t, "status", schema, doc, doc)
		}
	}
}

func document(t *testing.T, snap *Snapshot) map[string]any {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(marshal(snap)))
	if err != nil {
		t.Fatal(err)
	}
	return doc.(map[string]any)
}

// refuses checks that schema refuses doc, which it takes, once some object in it, of
// which part is one, has a member too many or too few, or one of another type.
func refuses(t *testing.T, path string, schema *jsonschema.Schema, doc any, part any) {
	t.Helper()
	switch part := part.(type) {
	case []any:
		for i := range part {
			refuses(t, fmt.Sprint(path, "[", i, "]"), schema, doc, part[i])
		}
	case map[string]any:
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
			if key != "dropped" && key != "kinds" {
				refuses(t, path+"."+key, schema, doc, value)
			}
			part[key] = []any{[]any{value}}
			refused("with " + key + " in an array")
			delete(part, key)
			if key != "server" && key != "node" {
				refused("without " + key)
			}
			part[key] = value
		}
	}
}

// A reader of /status.json has what the bridge had, and paints the same.
func TestSnapshot_ReadsItsOwnJSON(t *testing.T) {
	t.Parallel()
	snap := everything(t).Snapshot(at(21*time.Second), NumbersNone)
	var read Snapshot
	if err := json.Unmarshal(marshal(snap), &read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(marshal(snap)), string(marshal(&read))); diff != "" {
		t.Error(diff)
	}
	equal(t, "exit code", read.ExitCode(), snap.ExitCode())
}

// A Snapshot changes nothing, and stays as it is while the Model goes on.
func TestSnapshot_StaysAsItIs(t *testing.T) {
	t.Parallel()
	w := everything(t)
	now := w.now
	snap := w.Snapshot(now, NumbersFull)
	before := string(marshal(snap))
	if diff := cmp.Diff(before, string(marshal(w.Snapshot(now, NumbersFull)))); diff != "" {
		t.Errorf("it changed the Model: %s", diff)
	}
	for range 20 {
		w.pass(5 * time.Second)
		w.node("b1", []string{"pbx9"})
		w.live("pbx1")
		w.call("pbx1", "support", fmt.Sprint(w.now.Unix()), "1", 1)
		w.tell("pbx1", "buffers", buffers(99999, 5, dropped("shed", 7)))
		w.Snapshot(w.now, NumbersNone)
	}
	if diff := cmp.Diff(before, string(marshal(snap))); diff != "" {
		t.Error(diff)
	}
}
