package audit

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
)

// testRequest is a request to pbx1 that d records.
func testRequest(_ *Recorder, action string) *Request {
	return &Request{
		Server: "pbx1", Subject: "ami.actions.pbx1." + action, Action: action, To: "_INBOX.x",
		Recorded: &Recorded{id: "x-1"}, Received: time.Now(), Deadline: time.Now().Add(time.Minute),
	}
}

// refuse has d record a refusal of action.
func (d *Recorder) refuse(action, kind string) {
	d.Outcome(testRequest(d, action), nil, &reply.Error{Code: 403, Kind: reply.Kind(kind), Sent: "no", Message: "m", Rule: "r"})
}

// taken are the records that wait, as JSON objects, which are the next of their
// chain.
func taken(t *testing.T, d *Recorder, prev *string) (all []map[string]any) {
	t.Helper()
	for _, e := range fakeOf(d).Take(1 << 20) {
		fakeOf(d).Finish(e, nil, nil)
		var r map[string]any
		if err := json.Unmarshal(e.Msg.Data, &r); err != nil {
			t.Fatal(err)
		}
		if r["prev"] != *prev {
			t.Errorf("%s does not follow %s", e.Msg.Data, *prev)
		}
		*prev = digest(e.Msg.Data)
		r["subject"] = e.Msg.Subject
		all = append(all, r)
	}
	return all
}

// Beyond ten a second the refusals of one server and Action are one record a
// minute, which is one of the chain.
func TestRefusals_BeyondTenASecondAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := testRecorder(zap.NewNop())
		prev := chainGenesis
		for range 30 {
			d.refuse("Originate", "forbidden")
		}
		d.refuse("originate", "bad_request") // it is the same one
		first := clock.Stamp(time.Now())
		d.refuse("Ping", "forbidden") // another is counted by itself
		time.Sleep(500 * time.Millisecond)
		for range 8 {
			d.refuse("Originate", "busy")
		}
		d.Outcome(testRequest(d, "Originate"), &correlation.Result{}, &reply.Error{Kind: "timeout", Sent: "unknown"})
		d.Outcome(testRequest(d, "Originate"), &correlation.Result{}, nil)
		if own := taken(t, d, &prev); len(own) != 10+1+5+2 {
			t.Errorf("%d records, want ten, another Action's, five for half a second, and those that were sent", len(own))
		}
		last := clock.Stamp(time.Now())
		time.Sleep(59 * time.Second)
		d.RecordRefusals()
		d.refuse("Originate", "forbidden")
		got := taken(t, d, &prev)
		want := map[string]any{
			"at": got[0]["at"], "phase": "refusals", "node": "b1", "server": "pbx1", "action": "Originate", "decision": "refused",
			"count": 24.0, "first": first, "last": last, "outcomes": map[string]any{"forbidden": 20.0, "bad_request": 1.0, "busy": 3.0},
			"run": d.run, "seq": 19.0, "prev": got[0]["prev"], "subject": "ami.audit.pbx1.Originate",
		}
		if diff := cmp.Diff(want, got[0]); diff != "" || len(got) != 2 {
			t.Errorf("%d records, of those counted (-want +got): %s", len(got), diff)
		}
		d.RecordRefusals()
		if more := taken(t, d, &prev); len(more) != 0 {
			t.Errorf("of nothing: %v", more)
		}
		for range 30 {
			d.refuse("Originate", "busy")
		}
		d.RecordRefusals()
		own := taken(t, d, &prev)
		sum := own[len(own)-1] // of these alone
		if diff := cmp.Diff(map[string]any{"busy": sum["count"]}, sum["outcomes"]); diff != "" || sum["count"] != 21.0 {
			t.Errorf("%v counted (-want +got): %s", sum["count"], diff)
		}
	})
}

// A caller that makes up names has one count for all of them.
func TestRefusals_OfNamesThatAreMadeUpAreOneCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := testRecorder(zap.NewNop())
		prev := chainGenesis
		for i := range 1000 {
			d.refuse(fmt.Sprint("Made", i), "bad_request")
			d.refuse(fmt.Sprint("\x01Originate", i), "bad_request")
		}
		if n := len(d.refusals.of); n != 1 {
			t.Errorf("%d counts", n)
		}
		d.RecordRefusals()
		got := taken(t, d, &prev)
		if sum := got[len(got)-1]; len(got) != 11 || sum["count"] != 1990.0 || sum["subject"] != "ami.audit.pbx1._unknown" || sum["action"] != "_unknown" {
			t.Errorf("%d records, the last is %v", len(got), sum)
		}
		time.Sleep(time.Minute)
		d.RecordRefusals()
		if n := len(d.refusals.of); n != 0 {
			t.Errorf("%d counts of nothing", n)
		}
	})
}

// Repeats of a key cost a caller as little as refusals. A request whose intent
// is recorded has its outcome too.
func TestRefusals_RepeatsCountAndIntentsHaveAnOutcome(t *testing.T) {
	d := testRecorder(zap.NewNop())
	prev := chainGenesis
	for range 100 {
		d.Repeat(testRequest(d, "Originate"), nil)
	}
	a := testRequest(d, "Originate")
	d.Intend(a, func(error) {})
	a.Intended = true
	d.Outcome(a, nil, &reply.Error{Code: 429, Kind: "busy", Sent: "no"})
	d.RecordRefusals()
	got := taken(t, d, &prev)
	if n := len(got); n < 13 || n > 20 { // a slow machine has more of its own
		t.Fatalf("%d records", n)
	}
	intent, outcome, sum := got[len(got)-3], got[len(got)-2], got[len(got)-1]
	if intent["phase"] != "intent" || outcome["outcome"] != "busy" || sum["count"] != float64(100-len(got)+3) {
		t.Errorf("%v\n%v\n%v", intent, outcome, sum)
	}
}

// What finds no room in the queue goes on being counted.
func TestRefusals_AFullQueueLosesNoCount(t *testing.T) {
	d := testRecorder(zap.NewNop())
	for range 20 {
		d.refuse("Originate", "forbidden")
	}
	limit := fakeOf(d).Limit
	fakeOf(d).Limit = 0
	d.RecordRefusals()
	fakeOf(d).Limit = limit
	d.RecordRefusals()
	batch := fakeOf(d).Take(100)
	var sum struct{ Count, Lost int }
	if err := json.Unmarshal(batch[len(batch)-1].Msg.Data, &sum); err != nil || len(batch)-1+sum.Count != 20 || sum.Lost != 1 {
		t.Errorf("%d records, the last %+v (%v)", len(batch), sum, err)
	}
}
