package audit

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"pgregory.net/rapid"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/journal"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/journal/journaltest"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
)

// A record's text is what the tags of its fields say, whatever they hold: the same members,
// in the same order.
func TestRecord_TextIsAsTagged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.Just(""), rapid.String(), rapid.SampledFrom([]string{"<a & b>", `"\`, "\u2028", "\x00\x7f"}))
		number := rapid.OneOf(rapid.Just(0), rapid.Int())
		say := func() string { return text.Draw(t, "text") }
		r := record{
			At: "2026-11-24T10:31:53.000000Z", Phase: say(), Ask: say(), Node: say(), Server: say(), Action: say(), Subject: say(), Inbox: say(), Requester: say(),
			RequestID: say(), BodyBytes: number.Draw(t, "bytes"), FieldsOmitted: number.Draw(t, "omitted"), Decision: say(), Rule: say(), ActionID: say(),
			Outcome: say(), Code: number.Draw(t, "code"), Sent: say(), Error: say(), Response: say(), Message: say(),
		}
		if rapid.Bool().Draw(t, "info") {
			r.RequestInfo = &requestInfo{Account: say(), Name: say(), ID: 7}
		}
		if rapid.Bool().Draw(t, "fields") {
			r.Fields = json.RawMessage(`{"Note":"text","Variable":["a=1","b=2"]}`)
		}
		if rapid.Bool().Draw(t, "duration") {
			took := float64(rapid.Int64Range(0, 1e10).Draw(t, "micros")) / 1000
			r.DurationMS = &took
		}
		tagged, err := encode(&r)
		if err != nil {
			t.Fatal(err)
		}
		want, wantNames := read(t, tagged)
		got, gotNames := read(t, r.text())
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-as tagged +text): %s", diff)
		}
		if diff := cmp.Diff(wantNames, gotNames); diff != "" {
			t.Errorf("the order (-as tagged +text): %s", diff)
		}
	})
}

// read reads a record without its closing brace: its members, and their names in order.
func read(t *rapid.T, text []byte) (members map[string]json.RawMessage, names []string) {
	whole := append(text, '}')
	var values map[string]any
	if err := json.Unmarshal(whole, &values); err != nil {
		t.Fatalf("%v in %s", err, whole)
	}
	members = make(map[string]json.RawMessage)
	for name, value := range values {
		again, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		members[name] = again
	}
	for d := json.NewDecoder(bytes.NewReader(whole)); ; {
		token, err := d.Token()
		if err != nil {
			return members, names
		}
		if name, ok := token.(string); ok {
			names = append(names, name) // values, too: they are the same
		}
	}
}

// last is a queue that keeps the last one alone.
type last struct {
	journaltest.Fake
	entry journal.Entry
}

func (l *last) Write(e journal.Entry) error {
	l.entry = e
	return nil
}

// What the record of an Action costs, from its arrival to its message.
func BenchmarkRecord(b *testing.B) {
	d := testRecorder(zap.NewNop())
	queue := new(last)
	d.journal = queue
	result := &correlation.Result{Response: "Success", Message: "Result will follow"}
	result.ActionID = "b1.pbx1.k3f9.42"
	b.ReportAllocs()
	for b.Loop() {
		d.Outcome(askOf(d, "ami.actions.pbx1.QueueStatus", "QueueStatus", "_INBOX.x.y", "text"), result, nil)
		queue.entry.Make()
	}
}
