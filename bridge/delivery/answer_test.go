package delivery

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/costtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

// serverErrors is every error with which nats-server 2.10 to 2.15 answers a message
// that is published into a stream: stream.go, jetstream_cluster.go and
// jetstream_batching.go of 2.10.0, 2.10.29, 2.11.0, 2.11.17, 2.12.0, 2.12.15,
// 2.14.0 and 2.15.2. Up to 2.12 some have no err_code: whatever the Raft group
// of the stream says (raft.go) is the description.
var serverErrors = []serverError{
	{0, 503, "raft: not leader"},
	{0, 503, "raft: node is closed"},
	{0, 503, "raft: could not forward proposal: not leader"},
	{0, 503, "raft: no entries to apply"},
	{0, 503, "no space left on device"},
	{0, 503, ""},
	{10002, 400, "resource limits exceeded for account"},
	{10009, 500, "JetStream cluster can not handle request"},
	{10023, 503, "insufficient resources"},
	{10028, 500, "account resources exceeded"},
	{10039, 503, "JetStream not enabled for account"},
	{10047, 500, "insufficient storage resources available"},
	{10054, 400, "message size exceeds maximum allowed"},
	{10060, 400, "expected stream does not match"},
	{10063, 503, "expected stream sequence does not match"},
	{10070, 400, "wrong last msg ID: b1.pbx1.s.1"},
	{10071, 400, "wrong last sequence: 7"},
	{10076, 503, "JetStream not enabled"},
	{10077, 503, "maximum messages per subject exceeded"},
	{10077, 503, `write "/data/1.blk": no space left on device`},
	{10097, 400, "header size exceeds maximum allowed of 64k"},
	{10109, 400, "invalid operation on sealed stream"},
	{10111, 500, "rollup not permitted"},
	{10120, 400, "no JetStream default or applicable tiered limit present"},
	{10158, 409, "duplicate message id is in process"},
	{10164, 400, "wrong last sequence"},
	{10165, 400, "invalid per-message TTL"},
	{10166, 400, "per-message TTL is disabled"},
	{10167, 429, "too many requests"},
	{10168, 400, "message counters is disabled"},
	{10169, 400, "message counter increment is missing"},
	{10170, 400, "message counter has payload"},
	{10171, 400, "message counter increment is invalid"},
	{10172, 400, "message counter is broken"},
	{10174, 400, "atomic publish is disabled"},
	{10175, 400, "atomic publish sequence is missing"},
	{10176, 400, "atomic publish batch is incomplete"},
	{10177, 400, "atomic publish unsupported header used: Nats-Expected-Last-Msg-Id"},
	{10179, 400, "atomic publish batch ID is invalid"},
	{10185, 412, "JetStream minimum api level required"},
	{10188, 400, "message schedules is disabled"},
	{10189, 400, "message schedules pattern is invalid"},
	{10190, 400, "message schedules target is invalid"},
	{10191, 400, "message schedules invalid per-message TTL"},
	{10192, 400, "message schedules invalid rollup"},
	{10193, 400, "missing sequence for expected last sequence per subject"},
	{10199, 400, "atomic publish batch is too large: 1000"},
	{10200, 400, "atomic publish batch commit is invalid"},
	{10201, 400, "atomic publish batch contains duplicate message id"},
	{10203, 400, "message schedules source is invalid"},
	{10205, 400, "batch publish is disabled"},
	{10206, 400, "batch publish pattern is invalid"},
	{10207, 400, "batch publish ID is invalid"},
	{10208, 400, "batch publish ID unknown"},
	{10210, 429, "atomic publish too many inflight"},
	{10211, 429, "batch publish too many inflight"},
	{10212, 400, "message schedules invalid scheduler"},
	{10227, 400, "message stream source header is not allowed"},
}

// wire is r as nats-server writes it: what is nothing it leaves out.
// serverError is one of them, as refusal has it.
type serverError struct {
	Code, Status int
	Description  string
}

func (r serverError) wire() string {
	type apiError struct {
		Status      int    `json:"code"`
		Code        int    `json:"err_code,omitempty"`
		Description string `json:"description,omitempty"`
	}
	text, err := json.Marshal(apiError{r.Status, r.Code, r.Description})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// becameOf is what became of an event through one answer.
type becameOf struct {
	published, dropped uint64
	failed             bool
}

// windowHears has a window of one event hear an answer to it.
func windowHears(m *nats.Msg) becameOf {
	o := outbox.New(1<<20, "gap", outbox.NewBudget(1<<20, 1), func() {})
	w := windowOf(func(int) {}, o)
	d := &windowMode{inbox: "in.", window: w}
	o.Push(outbox.Entry{}, nil, false)
	o.Take(nil)
	var sent nats.Msg
	d.prepare(&sent, 0, w.add(0, 100, time.Now()), false, time.Now())
	m.Subject = strings.Clone(sent.Reply)
	d.onAck(m)
	failure, _ := w.state(0)
	a := o.Account()
	return becameOf{a.Published, a.Dropped[outbox.DropOversize], failure != nil}
}

// fastHears has a batch of one event, the last, hear an answer to it.
func fastHears(m *nats.Msg) becameOf {
	o := outbox.New(1<<20, "gap", outbox.NewBudget(1<<20, 1), func() {})
	w := windowOf(func(int) {}, o)
	w.setBatched(true)
	d := &fastMode{inbox: "in.", unique: "u", window: w, single: true}
	o.Push(outbox.Entry{}, nil, false)
	o.Take(nil)
	var sent nats.Msg
	d.prepare(&sent, 0, w.add(0, 100, time.Now()), false, time.Now())
	m.Subject = strings.Clone(sent.Reply)
	d.onReply(m)
	a := o.Account()
	return becameOf{a.Published, a.Dropped[outbox.DropOversize], d.failure != nil}
}

// Whatever nats-server has ever answered that is no acknowledgement is none, in
// both ways, whatever else is in it.
func TestAnswer_ARefusalIsNoAcknowledgement(t *testing.T) {
	for _, r := range serverErrors {
		want := becameOf{failed: true}
		if r.Code == natsconn.StreamMessageExceedsMaximum {
			want.dropped = 1
		}
		for _, shape := range []string{
			`{"error":ERR,"stream":"AMI_EVENTS","seq":0}`,
			`{"error":ERR,"stream":"AMI_EVENTS","domain":"hub","seq":0}`,
			`{"error":ERR}`,
			`{"stream":"AMI_EVENTS","seq":7,"error":ERR}`,
			`{"stream":"AMI_EVENTS","seq":7,"batch":"u-1","count":1,"error":ERR}`,
			"{\n\t\"stream\" : \"AMI_EVENTS\" ,\n\t\"seq\" : 7 ,\n\t\"error\" : ERR\n}\n",
		} {
			body := strings.ReplaceAll(shape, "ERR", r.wire())
			if got := windowHears(&nats.Msg{Data: []byte(body)}); got != want {
				t.Errorf("the window takes %s for %+v, want %+v", body, got, want)
			}
			if got := fastHears(&nats.Msg{Data: []byte(body)}); got != want {
				t.Errorf("fast ingest takes %s for %+v, want %+v", body, got, want)
			}
		}
		body := `{"type":"err","seq":1,"error":` + r.wire() + `}`
		if got := fastHears(&nats.Msg{Data: []byte(body)}); got != want {
			t.Errorf("fast ingest takes %s for %+v, want %+v", body, got, want)
		}
	}
}

// All other answers, of the stream and of strangers.
func TestAnswer_Table(t *testing.T) {
	nothing, stored, failed := becameOf{}, becameOf{published: 1}, becameOf{failed: true}
	for _, test := range []struct {
		body         string
		window, fast becameOf
	}{
		// 2.10 and 2.11, 2.12 and later, with a domain, a repeat, a counter.
		{`{"stream":"AMI_EVENTS", "seq":7}`, stored, failed},
		{`{"stream":"AMI_EVENTS","seq":7}`, stored, failed}, // fast: the stream has none
		{`{"stream":"AMI_EVENTS", "domain":"hub", "seq":7}`, stored, failed},
		{`{"stream":"AMI_EVENTS", "seq":7,"duplicate": true}`, stored, failed},
		{`{"stream":"AMI_EVENTS","seq":7,"val":"123"}`, stored, failed},
		// 2.14 and later.
		{`{"stream":"AMI_EVENTS","seq":7,"batch":"u-1","count":1}`, stored, stored},
		{`{"stream":"AMI_EVENTS","seq":7,"duplicate": true,"batch":"u-1","count":1}`, stored, stored},
		{`{"stream":"AMI_EVENTS","seq":7,"batch":"u-0","count":1}`, stored, nothing},
		{`{"type":"ack","seq":1,"msgs":1}`, nothing, nothing}, // events are sent singly
		{`{"type":"gap","last_seq":1,"seq":2}`, nothing, failed},
		{`{"type":"err","seq":1}`, nothing, failed},
		// The order, blanks and what else there is do not count.
		{`{"seq":7,"stream":"AMI_EVENTS"}`, stored, failed},
		{"\r\n{ \"a\":[1,{\"error\":{}},\"}\"], \"seq\" :7 , \"stream\": \"AMI_EVENTS\" }\t", stored, failed},
		{`{"stream":"AMI_EVENTS","seq":18446744073709551615,"nested":{"error":{"code":503},"seq":0}}`, stored, failed},
		{`{"error":null,"stream":"AMI_EVENTS","seq":7}`, stored, failed},
		{`{"why":"\"error\":{\\","stream":"AMI_EVENTS","seq":7}`, stored, failed},
		// No error, and yet no acknowledgement.
		{`{"stream":"AMI_EVENTS","seq":0}`, failed, failed},
		{`{"stream":"AMI_EVENTS"}`, failed, failed},
		{`{"stream":"AMI_EVENTS","seq":0,"batch":"u-1","count":1}`, failed, failed},
		{`{"stream":"AMI_EVENTS","nested":{"seq":7}}`, failed, failed},
		// An error is one whatever it is.
		{`{"stream":"AMI_EVENTS","seq":7,"error":{}}`, failed, failed},
		{`{"stream":"AMI_EVENTS","seq":7,"error":"no"}`, failed, failed},
		{`{"stream":"AMI_EVENTS","seq":7,"error":false}`, failed, failed},
		// A stranger's word changes nothing.
		{``, nothing, nothing},
		{`+OK`, nothing, nothing},
		{`{"seq":7}`, nothing, nothing},
		{`{"stream":"OTHER","seq":7}`, nothing, nothing},
		{`{"stream":"AMI_EVENTS_2","seq":7}`, nothing, nothing},
		{`{"a":{"stream":"AMI_EVENTS","seq":7}}`, nothing, nothing},
		{`{"a":"\"stream\":\"AMI_EVENTS\"","seq":7}`, nothing, nothing},
		{`[{"stream":"AMI_EVENTS","seq":7}]`, nothing, nothing},
		{`{"stream":"AMI_EVENTS","seq":7`, nothing, nothing},
		{`{"stream":"AMI_EVENTS","seq":7}}`, nothing, nothing},
		{`{"stream":"AMI_EVENTS","seq":7,}`, nothing, nothing},
		{`{"stream":"AMI_EVENTS","seq":"7"}`, nothing, nothing},
		{`{"stream":"AMI_EVENTS","seq":-7}`, nothing, nothing},
		{`{"stream":"AMI_EVENTS","seq":7.5}`, nothing, nothing},
		{`{"stream":"AMI_EVENTS","seq":7e3}`, nothing, nothing},
		{`{"stream":"AMI_EVENTS","seq":07}`, nothing, nothing},
		{`{"stream":"AMI_EVENTS","seq":18446744073709551616}`, nothing, nothing},
		{`{"stream":"AMI_EVENTS","seq":7,"seq":8}`, nothing, nothing},
		{`{"stream":"OTHER","stream":"AMI_EVENTS","seq":7}`, nothing, nothing},
		{`{"error":{"code":503},"error":null,"stream":"AMI_EVENTS","seq":7}`, nothing, nothing},
		{`{"stream":"AMI_EVENTS","seq":7,"a":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`, nothing, nothing},
		{`{"stream":"AMI_EVENTS","seq":7,"a":nul}`, nothing, nothing},
	} {
		if got := windowHears(&nats.Msg{Data: []byte(test.body)}); got != test.window {
			t.Errorf("the window takes %s for %+v, want %+v", test.body, got, test.window)
		}
		if got := fastHears(&nats.Msg{Data: []byte(test.body)}); got != test.fast {
			t.Errorf("fast ingest takes %s for %+v, want %+v", test.body, got, test.fast)
		}
	}
	nobody := &nats.Msg{Header: nats.Header{"Status": {"503"}}}
	if w, f := windowHears(nobody), fastHears(nobody); w != failed || f != failed {
		t.Errorf("no responders are taken for %+v, %+v", w, f)
	}
}

// Its own reader of JSON agrees with the library's, and asks for no memory.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"error":{"code":503,"description":"raft: not leader"},"stream":"AMI_EVENTS","seq":0}`))
	f.Add([]byte(`{"stream":"AMI_EVENTS", "domain":"hub", "seq":7,"duplicate": true,"batch":"u-1","count":1}`))
	f.Add([]byte(`{"type":"ack","seq":100,"msgs":100}`))
	f.Add([]byte(`{"a":[true,null,-1.5e3,{"b":"\\\""}],"seq":1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		a, ok := parseAnswer(body)
		if !ok || !json.Valid(body) {
			return // it does not mind how numbers look that do not count
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatalf("%q is taken for an answer: %v", body, err)
		}
		has := func(key string) bool { return len(want[key]) > 0 && string(want[key]) != "null" }
		if (a.err != nil) != has("error") {
			t.Errorf("%q: error %q", body, a.err)
		}
		if got := fmt.Sprint(a.sequence); has("seq") && got != string(want["seq"]) || !has("seq") && a.sequence != 0 {
			t.Errorf("%q: seq %s", body, got)
		}
		if a.stored() && (string(want["stream"]) != `"`+streams.EventStream+`"` || has("error")) {
			t.Errorf("%q is an acknowledgement", body)
		}
	})
}

// An acknowledgement tells how far the stream is, in both ways; one that is
// older than another does not.
func TestAnswer_TellsHowFarTheStreamIs(t *testing.T) {
	o := outbox.New(1<<20, "gap", outbox.NewBudget(1<<20, 1), func() {})
	w := windowOf(func(int) {}, o)
	windowed, fast := &windowMode{inbox: "in.", window: w}, &fastMode{inbox: "in.", unique: "u", window: w, single: true}
	var m nats.Msg
	fast.prepare(&m, 0, 0, false, time.Now())
	for i, step := range []struct {
		hear    func(*nats.Msg)
		subject string
		body    string
		heard   uint64
	}{
		{windowed.onAck, "in.0-0", `{"stream":"AMI_EVENTS","seq":7}`, 7},
		{windowed.onAck, "in.0-0", `{"stream":"AMI_EVENTS","seq":5}`, 7},
		{windowed.onAck, "in.0-0", `{"stream":"OTHER","seq":9}`, 7},
		{windowed.onAck, "in.0-0", `{"error":{"code":503},"stream":"AMI_EVENTS","seq":9}`, 7},
		{fast.onReply, strings.Clone(m.Reply), `{"stream":"AMI_EVENTS","seq":8,"batch":"u-1","count":1}`, 8},
	} {
		step.hear(&nats.Msg{Subject: step.subject, Data: []byte(step.body)})
		if heard := w.lastStored.Load(); heard != step.heard {
			t.Errorf("step %d: %d, want %d", i, heard, step.heard)
		}
	}
}

func TestAnswer_AllocatesNothing(t *testing.T) {
	ack := []byte(`{"stream":"AMI_EVENTS", "seq":123456789,"duplicate": true}`)
	if n := costtest.Allocations(func() {
		if a, ok := parseAnswer(ack); !ok || !a.stored() {
			t.Error("it is no acknowledgement")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
