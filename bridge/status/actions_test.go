package status

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox/outboxtest"
)

// Each word of an interval but the first has rates, and each word until the next has the
// same: who looks once has no other to compare with.
func TestBuffers_TellRates(t *testing.T) {
	s := testServer(t)
	ended := uint64(0)
	s.CountActions(func(time.Time) ActionsReport { return ActionsReport{Answered: ended, Failed: 1} })
	began, link := time.Now(), new(amiconn.Status)
	tick := func(after time.Duration) *ratesMsg {
		m := s.buffers(began.Add(after), link)
		s.rate(&m, began.Add(after))
		return m.Rates
	}
	if r := tick(0); r != nil {
		t.Errorf("in the first word: %+v", r)
	}
	for i := range 30 {
		s.outbox.Push(outboxtest.Entry(i), make([]byte, 100), false)
	}
	ended = 10
	if m := s.buffers(began, link); m.Rates != nil {
		t.Errorf("before an interval is over: %+v", m.Rates)
	}
	if r := tick(5 * time.Second); r == nil || *r != (ratesMsg{Received: 6, Actions: 2}) {
		t.Errorf("after 5 s: %+v", r)
	}
	for range 3 {
		s.outbox.Take(nil)
		s.outbox.Ack()
	}
	if r := tick(5*time.Second + time.Millisecond); *r != (ratesMsg{Received: 6, Actions: 2}) {
		t.Errorf("a word a millisecond later: %+v", r)
	}
	ended = 4 // counted anew
	if r := tick(15 * time.Second); *r != (ratesMsg{Published: 0.3, Actions: 0.5}) {
		t.Errorf("after 10 s more: %+v", r)
	}
	if m := s.buffers(began.Add(16*time.Second), link); *m.Rates != (ratesMsg{Published: 0.3, Actions: 0.5}) {
		t.Errorf("a word between two intervals: %+v", m.Rates)
	}
}

// Without anybody who counts them the members are there, as the schema wants it.
func TestBuffers_TellActions(t *testing.T) {
	s := testServer(t)
	said := func() string {
		raw, err := json.Marshal(s.buffers(time.Now(), new(amiconn.Status)).Actions)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	if got, want := said(), `{"answered":0,"failed":0,"p95_ms":null,"refused":{},"last_refused":null}`; got != want {
		t.Errorf("of nothing: %s", got)
	}
	s.CountActions(func(time.Time) ActionsReport {
		return ActionsReport{Answered: 3, P95MS: new(4.5), RefusedReport: RefusedReport{map[string]uint64{"forbidden": 2}, &Refusal{"t", "Originate", "forbidden"}}}
	})
	if got, want := said(), `{"answered":3,"failed":0,"p95_ms":4.5,"refused":{"forbidden":2},"last_refused":{"at":"t","action":"Originate","kind":"forbidden"}}`; got != want {
		t.Errorf("of some: %s", got)
	}
}
