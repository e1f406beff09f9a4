package bridge

import (
	"errors"
	"slices"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// laneRig is a window with outboxes, of which each event costs a hundred bytes.
type laneRig struct {
	*window
	outboxes []*outbox
}

func newLaneRig(servers int) *laneRig {
	r := new(laneRig)
	budget := newOutboxBudget(1<<30, servers)
	for range servers {
		r.outboxes = append(r.outboxes, newOutbox(64<<20, "gap", budget, func() {}))
	}
	r.window = newWindow(r.outboxes, func(int) {})
	return r
}

// send has an event of source be in flight and returns its number.
func (r *laneRig) send(source int) uint64 {
	o := r.outboxes[source]
	if !o.waiting() {
		o.push(outboxEntry{seq: o.account().received + 1}, nil, false)
	}
	o.take(nil)
	return r.add(source, 100)
}

// again has everything of source be sent again.
func (r *laneRig) again(source int) {
	r.rewind(source)
	r.reset(source)
}

// A word of an earlier try, whatever it says, is known as such: it is about an
// event that was sent again since.
func TestWindow_AWordOfAnEarlierTryChangesNothing(t *testing.T) {
	r := newLaneRig(1)
	first := r.send(0)
	second := r.send(0)
	r.fail(0, errAckTimeout)
	r.again(0)
	r.takeFailures(nil)
	third := r.send(0)
	for _, late := range []uint64{first, second, third + 1, 1 << 60} {
		r.ack(0, late)
		r.failNumber(0, late, errNoStream)
		r.refuse(0, late)
	}
	r.ack(1, third)
	r.ack(-1, third)
	if a := r.outboxes[0].account(); a.published != 0 || a.dropped[dropOversize] != 0 || a.inFlight != 1 {
		t.Errorf("%+v", a)
	}
	if failure, _ := r.state(0); failure != nil {
		t.Errorf("failed: %v", failure)
	}
	r.ack(0, third)
	if a := r.outboxes[0].account(); a.published != 1 {
		t.Errorf("its own acknowledgement: %+v", a)
	}
}

// Five seconds without an acknowledgement are those of the oldest in flight: under
// load there is always a new one.
func TestWindow_TheOldestIsWaitedFor(t *testing.T) {
	r := newLaneRig(2)
	for range 3 {
		r.send(0)
	}
	other := r.send(1)
	now := time.Now()
	r.lanes[0].slot(0).at = now.Add(-r.timeout - time.Millisecond)
	if !r.expire(now) {
		t.Error("the oldest has waited too long, and is waited for")
	}
	if failed := r.takeFailures(nil); !slices.Equal(failed, []int{0}) {
		t.Errorf("failed: %v", failed)
	}
	r.again(0)
	r.ack(1, other)
	r.send(0)
	if r.expire(now.Add(r.timeout / 2)) {
		t.Error("what was sent since has not waited too long")
	}
}

// A connection that is lost has lost what was in flight of every server.
func TestWindow_ALostConnectionFailsEveryServer(t *testing.T) {
	r := newLaneRig(4)
	for _, source := range []int{0, 1, 3} {
		r.send(source)
	}
	r.failAll(nats.ErrDisconnected)
	if failed := r.takeFailures(nil); !slices.Equal(failed, []int{0, 1, 3}) {
		t.Errorf("failed: %v, one had nothing in flight", failed)
	}
	for source := range 4 {
		if failure, _ := r.state(source); errors.Is(failure, nats.ErrDisconnected) != (source != 2) {
			t.Errorf("%d: %v", source, failure)
		}
		if r.room(source) != (source == 2) {
			t.Errorf("%d: room %v before it is sent again", source, r.room(source))
		}
	}
}

// After a failure each server's first goes alone until it is acknowledged, and
// only that server's.
func TestWindow_TheFirstGoesAlone(t *testing.T) {
	r := newLaneRig(2)
	for source := range 2 {
		r.send(source)
		r.send(source)
		r.fail(source, errAckTimeout)
		r.again(source)
	}
	first := r.send(0)
	if r.room(0) || r.open(0) {
		t.Error("a second one may follow the first before it is acknowledged")
	}
	if !r.room(1) {
		t.Error("the other server may not send its first")
	}
	r.ack(1, r.send(1))
	if r.room(0) {
		t.Error("another server's acknowledgement ends it")
	}
	r.ack(0, first)
	r.send(0)
	if !r.room(0) {
		t.Error("the first is acknowledged, and the next are alone as well")
	}
}

// What failed gives back its place, whatever becomes of it: after any number of
// failures there is as much room as before.
func TestWindow_FailuresTakeNoRoom(t *testing.T) {
	r := newLaneRig(3)
	for round := range 2 * windowMsgs / 100 {
		for source := range 3 {
			for range 100 {
				r.send(source)
			}
			r.fail(source, errAckTimeout)
			r.again(source)
		}
		if r.inFlight != 0 || r.active != 0 || r.lanes[0].bytes != 0 {
			t.Fatalf("round %d: %d in flight, %d active, %d bytes", round, r.inFlight, r.active, r.lanes[0].bytes)
		}
	}
	r.settled(0)
	n := 0
	for ; r.room(0); n++ {
		r.send(0)
	}
	if n != laneMsgs {
		t.Errorf("room for %d, want %d", n, laneMsgs)
	}
}

// What the servers that send something share is given back when they stop: alone
// one has all of it.
func TestWindow_TheShareIsThatOfThoseThatSend(t *testing.T) {
	r := newLaneRig(8)
	room := func() (n int) {
		for ; r.room(0); n++ {
			r.outboxes[0].push(outboxEntry{}, nil, false)
			r.outboxes[0].take(nil)
			r.add(0, 4096)
		}
		r.rewind(0)
		r.reset(0)
		r.settled(0)
		return n
	}
	alone := room()
	if alone != shareBytes/4096 {
		t.Errorf("alone %d", alone)
	}
	for source := 1; source < 8; source++ {
		r.send(source)
	}
	if n := room(); n != alone/8 {
		t.Errorf("of eight one has %d, want %d", n, alone/8)
	}
	for source := 1; source < 8; source++ {
		r.ack(source, 0)
	}
	if n := room(); n != alone {
		t.Errorf("alone again %d, want %d", n, alone)
	}
}

// In a batch what was not acknowledged in time is all of the batch.
func TestPublisher_ALateAcknowledgementFailsTheBatch(t *testing.T) {
	s := serveNATS(t, func(*natsserver.Options) {})
	for _, way := range []string{wayFast, wayWindow} {
		b, p := twoServers(t, s.ClientURL(), "")
		if way == wayWindow {
			windowOnly(p)
		}
		for id := range 2 {
			pushEvents(b.servers[id], 1, 1)
			b.servers[id].ingest.outbox.take(nil)
			number := p.window.add(id, 100)
			p.delivery.prepare(&p.msg, id, number, false)
		}
		now := time.Now()
		p.window.lanes[0].slot(0).at = now.Add(-p.window.timeout - time.Millisecond)
		p.check(now)
		failed := p.window.takeFailures(nil)
		if want := map[string][]int{wayFast: {0, 1}, wayWindow: {0}}[way]; !slices.Equal(failed, want) {
			t.Errorf("%s: failed are %v, want %v", way, failed, want)
		}
		if way == wayFast && (p.fast.batch != "" || !p.fast.wary) {
			t.Errorf("the batch %q goes on, wary %v", p.fast.batch, p.fast.wary)
		}
	}
}

// A server whose events are refused is tried again after waits that grow from
// about 50 ms to about 5 s, and begin anew once it is well. What is no reason to
// wait is tried at once.
func TestPublisher_WaitsLongerAfterEachRefusal(t *testing.T) {
	s := serveNATS(t, func(*natsserver.Options) {})
	b, p := testBridge(t, s.ClientURL(), DeliverJetStream)
	windowOnly(p)
	p.forgets = time.Hour // the stream is not asked
	now := time.Now()
	refuse := func(err error) time.Duration {
		if !b.servers[0].ingest.outbox.waiting() {
			pushEvents(b.servers[0], 1, 1)
		}
		b.servers[0].ingest.outbox.take(nil)
		p.window.add(0, 100)
		p.window.fail(0, err)
		p.noteFailures(now)
		wait := p.retries[0].due.Sub(now)
		now = now.Add(wait)
		p.recover(t.Context(), now)
		if !p.retries[0].due.IsZero() {
			t.Fatalf("not tried when it is due: %+v", p.retries[0])
		}
		return wait
	}
	refused := &refusal{Code: 10077, Description: "maximum bytes exceeded"}
	var waits []time.Duration
	for range 25 {
		waits = append(waits, refuse(refused))
	}
	if waits[0] < 25*time.Millisecond || waits[0] > 75*time.Millisecond {
		t.Errorf("the first wait is %v", waits[0])
	}
	for i, wait := range waits[15:] {
		if wait < 2500*time.Millisecond || wait > 7500*time.Millisecond {
			t.Errorf("wait %d is %v", i+15, wait)
		}
	}
	for _, err := range []error{errRefused, errNewWay, errOthers, errNoFastIngest} {
		if wait := refuse(err); wait != 0 {
			t.Errorf("after %v it waits %v", err, wait)
		}
	}
	b.servers[0].ingest.outbox.take(nil)
	p.window.ack(0, p.window.add(0, 100))
	p.recover(t.Context(), now)
	if len(p.failing) > 0 {
		t.Fatal("it is well, and counts as failing")
	}
	if wait := refuse(refused); wait > 75*time.Millisecond {
		t.Errorf("the first wait of the next failure is %v", wait)
	}
}
