package delivery

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
)

// batchRig is a batch whose events are those of one outbox.
type batchRig struct {
	*fastMode
	outbox  *outbox.Outbox
	replies []string // the reply subject of each event, in the order of sending
}

func newBatchRig() *batchRig {
	o := outbox.New(64<<20, "gap", outbox.NewBudget(1<<30, 1), func() {})
	w := windowOf(func(int) {}, o)
	w.setBatched(true)
	return &batchRig{fastMode: &fastMode{inbox: "in.", unique: "u", window: w}, outbox: o}
}

func (r *batchRig) send(last bool) {
	r.outbox.Push(outbox.Entry{Seq: uint64(len(r.replies) + 1)}, nil, false)
	r.outbox.Take(nil)
	var m nats.Msg
	r.prepare(&m, 0, r.window.add(0, 100, time.Now()), last, time.Now())
	r.replies = append(r.replies, strings.Clone(m.Reply))
}

// answer has the n'th event sent be answered.
func (r *batchRig) answer(n int, body string) {
	m := nats.NewMsg(r.replies[n-1])
	m.Data = []byte(strings.ReplaceAll(body, "BATCH", r.batch))
	r.onReply(m)
}

// What is said of an earlier batch is not said of this one, though it comes to
// the same inbox and names the same numbers.
func TestFast_AWordOfAnEarlierBatchChangesNothing(t *testing.T) {
	for _, late := range []string{
		`{"type":"ack","seq":1,"msgs":1}`,
		`{"stream":"AMI_EVENTS","seq":7,"batch":"u-1","count":1}`,
		`{"stream":"AMI_EVENTS","seq":7}`,
		`{"type":"gap","last_seq":0,"seq":1}`,
		`{"error":{"code":400,"err_code":10054,"description":"x"},"stream":"AMI_EVENTS","seq":0}`,
		`{"error":{"code":400,"err_code":10208,"description":"x"},"stream":"AMI_EVENTS","seq":0}`,
		``,
	} {
		r := newBatchRig()
		r.send(false)
		r.abandon()
		r.window.rewind(0)
		r.window.reset(0)
		r.single = false // an acknowledgement in between would be heard
		r.outbox.Take(nil)
		var m nats.Msg
		r.prepare(&m, 0, r.window.add(0, 100, time.Now()), false, time.Now())
		old := nats.NewMsg(r.replies[0])
		if old.Data = []byte(late); late == "" {
			old.Header.Set("Status", "503")
		}
		r.onReply(old)
		if a := r.outbox.Account(); a.Published != 0 || a.Dropped[outbox.DropOversize] != 0 || r.failure != nil || r.acked != 0 {
			t.Errorf("%s of the batch before: %+v, failure %v", late, a, r.failure)
		}
	}
}

// Only the stream of events ends a batch, or says that it knows none.
func TestFast_OnlyTheOwnStreamsWordCounts(t *testing.T) {
	for _, body := range []string{
		`{"stream":"OTHER","seq":7,"batch":"BATCH","count":1}`,
		`{"seq":7,"batch":"BATCH","count":1}`,
		`{"stream":"OTHER","seq":7}`,
		`{"stream":"AMI_EVENTS_","seq":7,"batch":"BATCH","count":1}`,
	} {
		r := newBatchRig()
		r.send(false)
		r.answer(1, body)
		if a := r.outbox.Account(); a.Published != 0 || r.failure != nil {
			t.Errorf("%s: %d published, failure %v", body, a.Published, r.failure)
		}
	}
}

// The last before a pause that are acknowledged only with those behind them are
// settled as soon as none come for a moment, not after the time that an
// acknowledgement may take.
func TestFast_ATailIsSettledSoon(t *testing.T) {
	for name, test := range map[string]struct {
		idle   bool
		pause  time.Duration
		change func(*batchRig)
		fails  bool
	}{
		"idle for longer":         {true, fastTail + time.Second, func(*batchRig) {}, true},
		"idle for a moment":       {true, 0, func(*batchRig) {}, false},
		"not idle":                {false, fastTail + time.Second, func(*batchRig) {}, false},
		"an acknowledgement due":  {true, fastTail + time.Second, func(r *batchRig) { r.due = 3 }, false},
		"all acknowledged":        {true, fastTail + time.Second, func(r *batchRig) { r.ackTo(3) }, false},
		"the last ends the batch": {true, fastTail + time.Second, func(r *batchRig) { r.ending = true }, false},
	} {
		r := newBatchRig()
		r.backlogged = true // the batch has a flow
		for range 3 {
			r.send(false)
		}
		test.change(r)
		r.last = time.Now().Add(-test.pause)
		if err := r.pause(test.idle); errors.Is(err, errBatchEnded) != test.fails || err != nil && !test.fails {
			t.Errorf("%s: %v", name, err)
		}
	}
	if fastTail > natsconn.AckTimeout/10 {
		t.Errorf("a moment is %v", fastTail)
	}
}

// What is in flight is bounded by acknowledgements that are due, as many as the
// server gives for one; it makes the flow smaller where publishers share a
// stream.
func TestFast_InFlightIsBoundedByAcknowledgementsDue(t *testing.T) {
	fill := func(r *batchRig) (n int) {
		for ; r.room() && n < 2*windowMsgs; n++ {
			r.send(false)
		}
		return n
	}
	r := newBatchRig()
	if n := fill(r); n != fastMsgs {
		t.Errorf("one by one %d are in flight, want %d", n, fastMsgs)
	}
	if !r.backlogged {
		t.Error("more waits than the server takes, and the next batch is to be one by one")
	}
	r = newBatchRig()
	r.backlogged = true
	r.send(false)
	if r.flow != fastFlow {
		t.Fatalf("the flow is %d", r.flow)
	}
	if n := 1 + fill(r); n != fastMsgs {
		t.Errorf("by the hundred %d are in flight, want %d", n, fastMsgs)
	}
	r = newBatchRig()
	r.backlogged = true
	r.send(false)
	r.answer(1, `{"type":"ack","seq":0,"msgs":10}`) // as the server has it
	if n := 1 + fill(r); n != fastOutstanding*10 {
		t.Errorf("by the ten %d are in flight, want %d", n, fastOutstanding*10)
	}
}

// A refusal for its size drops the event it names, and nothing that is not in
// flight.
func TestFast_ARefusalDropsWhatItNames(t *testing.T) {
	for body, dropped := range map[string]uint64{
		`{"type":"err","seq":2,"error":{"code":400,"err_code":10054}}`:    1,
		`{"type":"err","seq":1,"error":{"code":400,"err_code":10054}}`:    0, // acknowledged
		`{"type":"err","seq":0,"error":{"code":400,"err_code":10054}}`:    0,
		`{"type":"err","seq":4,"error":{"code":400,"err_code":10054}}`:    0, // not sent
		`{"type":"err","seq":2049,"error":{"code":400,"err_code":10054}}`: 0,
		`{"type":"err","seq":2050,"error":{"code":400,"err_code":10054}}`: 0, // that of 2, one round later
	} {
		r := newBatchRig()
		for range 3 {
			r.send(false)
		}
		r.answer(1, `{"type":"ack","seq":1,"msgs":1}`)
		r.answer(2, body)
		a := r.outbox.Account()
		if a.Dropped[outbox.DropOversize] != dropped || a.Published != 1 {
			t.Errorf("%s: %d are dropped, %d published", body, a.Dropped[outbox.DropOversize], a.Published)
		}
		if want := map[bool]error{true: errRefused, false: errBatchEnded}[dropped == 1]; !errors.Is(r.failure, want) {
			t.Errorf("%s: failure %v, want %v", body, r.failure, want)
		}
	}
}
