package delivery

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox/outboxtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// windowRig is a window with outboxes, of which each event costs a hundred bytes.
type windowRig struct {
	*window
	outboxes []*outbox.Outbox
}

func newWindowRig(servers int) *windowRig {
	r := new(windowRig)
	budget := outbox.NewBudget(1<<30, servers)
	for range servers {
		r.outboxes = append(r.outboxes, outbox.New(64<<20, "gap", budget, func() {}))
	}
	r.window = windowOf(func(int) {}, r.outboxes...)
	return r
}

// send has an event of source be in flight and returns its number.
func (r *windowRig) send(source int) uint64 {
	o := r.outboxes[source]
	if !o.Waiting() {
		o.Push(outbox.Entry{Seq: o.Account().Received + 1}, nil, false)
	}
	o.Take(nil)
	return r.add(source, 100, time.Now())
}

// again has everything of source be sent again.
func (r *windowRig) again(source int) {
	r.rewind(source)
	r.reset(source)
}

// A word of an earlier try, whatever it says, is known as such: it is about an
// event that was sent again since.
func TestWindow_AWordOfAnEarlierTryChangesNothing(t *testing.T) {
	r := newWindowRig(1)
	first := r.send(0)
	second := r.send(0)
	r.fail(0, errAckTimeout)
	r.again(0)
	r.takeFailures(nil)
	third := r.send(0)
	for _, late := range []uint64{first, second, third + 1, 1 << 60} {
		r.ack(0, late)
		r.failNumber(0, late, natsconn.ErrNoStream)
		r.refuse(0, late, errRefused)
	}
	r.ack(1, third)
	r.ack(-1, third)
	if a := r.outboxes[0].Account(); a.Published != 0 || a.Dropped[outbox.DropOversize] != 0 || a.InFlight != 1 {
		t.Errorf("%+v", a)
	}
	if failure, _ := r.state(0); failure != nil {
		t.Errorf("failed: %v", failure)
	}
	r.ack(0, third)
	if a := r.outboxes[0].Account(); a.Published != 1 {
		t.Errorf("its own acknowledgement: %+v", a)
	}
}

// Five seconds without an acknowledgement are those of the oldest in flight: under
// load there is always a new one.
func TestWindow_TheOldestIsWaitedFor(t *testing.T) {
	r := newWindowRig(2)
	for range 3 {
		r.send(0)
	}
	other := r.send(1)
	now := time.Now()
	r.sources[0].slot(0).at = now.Add(-r.timeout - time.Millisecond)
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

// What has failed, and waits for its next try or for what the stream holds, is late for nobody: in
// a batch all others would fail with it, again and again until it is sent.
func TestWindow_WhatHasFailedIsNotLate(t *testing.T) {
	r := newWindowRig(2)
	r.send(0)
	r.fail(0, natsconn.ErrNoStream)
	r.rewind(0) // and it is asked what the stream holds of it
	now := time.Now()
	r.sources[0].slot(0).at = now.Add(-time.Minute)
	r.send(1)
	if r.expire(now) {
		t.Error("it is late though it has failed")
	}
	r.reset(0)
	r.send(0)
	if !r.expire(now.Add(2 * r.timeout)) {
		t.Error("what was sent since is waited for for ever")
	}
}

// A connection that is lost has lost what was in flight of every server.
func TestWindow_ALostConnectionFailsEveryServer(t *testing.T) {
	r := newWindowRig(4)
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
	r := newWindowRig(2)
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
	r := newWindowRig(3)
	for round := range 2 * windowMsgs / 100 {
		for source := range 3 {
			for range 100 {
				r.send(source)
			}
			r.fail(source, errAckTimeout)
			r.again(source)
		}
		if r.inFlight != 0 || r.active != 0 || r.sources[0].bytes != 0 {
			t.Fatalf("round %d: %d in flight, %d active, %d bytes", round, r.inFlight, r.active, r.sources[0].bytes)
		}
	}
	r.endProbing(0)
	n := 0
	for ; r.room(0); n++ {
		r.send(0)
	}
	if n != sourceMsgs {
		t.Errorf("room for %d, want %d", n, sourceMsgs)
	}
}

// What the servers that send something share is given back when they stop: alone
// one has all of it.
func TestWindow_TheShareIsThatOfThoseThatSend(t *testing.T) {
	r := newWindowRig(8)
	room := func() (n int) {
		for ; r.room(0); n++ {
			r.outboxes[0].Push(outbox.Entry{}, nil, false)
			r.outboxes[0].Take(nil)
			r.add(0, 4096, time.Now())
		}
		r.rewind(0)
		r.reset(0)
		r.endProbing(0)
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
	s := natstest.Serve(t, func(*natsserver.Options) {})
	for _, way := range []string{modeFast, modeWindow} {
		b, p := twoServers(t, s.ClientURL(), "")
		if way == modeWindow {
			windowOnly(p)
		}
		for id := range 2 {
			pushEvents(b.servers[id], 1, 1)
			b.servers[id].outbox.Take(nil)
			number := p.window.add(id, 100, time.Now())
			p.mode.prepare(&p.msg, id, number, false, time.Now())
		}
		now := time.Now()
		p.window.sources[0].slot(0).at = now.Add(-p.window.timeout - time.Millisecond)
		p.check(now)
		failed := p.window.takeFailures(nil)
		if want := map[string][]int{modeFast: {0, 1}, modeWindow: {0}}[way]; !slices.Equal(failed, want) {
			t.Errorf("%s: failed are %v, want %v", way, failed, want)
		}
		if way == modeFast && (p.fast.batch != "" || !p.fast.single) {
			t.Errorf("the batch %q goes on, single %v", p.fast.batch, p.fast.single)
		}
	}
}

// A server whose events are refused is tried again after waits that grow from
// about 50 ms to about 5 s, and begin anew once it is well. What is no reason to
// wait is tried at once.
func TestPublisher_WaitsLongerAfterEachRefusal(t *testing.T) {
	s := natstest.Serve(t, func(*natsserver.Options) {})
	b, p := testBench(t, s.ClientURL(), config.DeliverJetStream)
	windowOnly(p)
	p.forgets = time.Hour // the stream is not asked
	now := time.Now()
	refuse := func(err error) time.Duration {
		if !b.servers[0].outbox.Waiting() {
			pushEvents(b.servers[0], 1, 1)
		}
		b.servers[0].outbox.Take(nil)
		p.window.add(0, 100, time.Now())
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
	refused := &natsconn.Refusal{Code: 10077, Description: "maximum bytes exceeded"}
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
	for _, err := range []error{errRefused, errNewMode, errOthers, errNoFastIngest} {
		if wait := refuse(err); wait != 0 {
			t.Errorf("after %v it waits %v", err, wait)
		}
	}
	b.servers[0].outbox.Take(nil)
	p.window.ack(0, p.window.add(0, 100, time.Now()))
	p.recover(t.Context(), now)
	if len(p.failing) > 0 {
		t.Fatal("it is well, and counts as failing")
	}
	if wait := refuse(refused); wait > 75*time.Millisecond {
		t.Errorf("the first wait of the next failure is %v", wait)
	}
	// The stream has ended a batch: that is tried at once, but not again and again.
	b.servers[0].outbox.Take(nil)
	p.window.ack(0, p.window.add(0, 100, time.Now()))
	p.recover(t.Context(), now)
	if first := refuse(errBatchEnded); first != 0 || p.retries[0].logged {
		t.Errorf("after an ended batch it waits %v; logged %v", first, p.retries[0].logged)
	}
	if second := refuse(errBatchEnded); second == 0 || !p.retries[0].logged {
		t.Errorf("after another it waits %v; logged %v", second, p.retries[0].logged)
	}
	for range 20 {
		if wait := refuse(errBatchEnded); wait == 0 || wait > endedWait {
			t.Errorf("after one of many ended batches it waits %v", wait)
		}
	}
}

// At most 2048 events are in flight over all servers, whatever each may have, and
// one that is acknowledged makes room for one.
func TestWindow_IsBoundedOverAllServers(t *testing.T) {
	for _, batched := range []bool{true, false} {
		r := newWindowRig(8)
		r.setBatched(batched)
		n := 0
		for source := range 8 {
			for ; r.room(source) && n <= windowMsgs; n++ {
				r.send(source)
			}
		}
		if n != windowMsgs || !r.full() {
			t.Errorf("batched %v: %d in flight, full %v", batched, n, r.full())
		}
		r.ack(0, 0)
		if r.full() || !r.room(7) {
			t.Errorf("batched %v: no room after an acknowledgement", batched)
		}
		r.send(7)
		if !r.full() {
			t.Errorf("batched %v: room for more than one", batched)
		}
	}
}

// What is acknowledged gives back all its bytes, so that a server's share is as
// large after any number of events.
func TestWindow_AcknowledgedBytesAreGivenBack(t *testing.T) {
	r := newWindowRig(1)
	for range 3 * shareBytes / 100 / 10 {
		var last uint64
		for range 10 {
			last = r.send(0)
		}
		for number := last - 9; number <= last; number++ {
			r.ack(0, number)
		}
	}
	if r.sources[0].bytes != 0 || r.inFlight != 0 || r.active != 0 {
		t.Errorf("%d bytes, %d in flight, %d active", r.sources[0].bytes, r.inFlight, r.active)
	}
}

// A turn is 16 KiB, an event's 128 bytes included, so that servers share by bytes.
func TestPublisher_ATurnIsAQuantum(t *testing.T) {
	s := natstest.Serve(t, func(*natsserver.Options) {})
	b, p := twoServers(t, s.ClientURL(), "")
	for _, server := range b.servers {
		server.outbox.SetLastBefore(time.Time{})
		for i := range 100 {
			server.push(outbox.Entry{Subject: "ami.events.x.Test", Session: "s1", Seq: uint64(i + 1)}, make([]byte, 1024-outbox.EntryBytes), false)
		}
	}
	for turn, want := range []uint64{16, 16, 32, 32} {
		if !p.sendTurn() {
			t.Fatal("nobody's turn")
		}
		if a := b.servers[turn%2].outbox.Account(); a.InFlight+a.Published != want {
			t.Errorf("turn %d: %d are sent, want %d", turn, a.InFlight+a.Published, want)
		}
	}
}

// The log says once that events wait, and why, and once that they flow again.
func TestPublisher_SaysThatEventsWaitAndFlowAgain(t *testing.T) {
	s := natstest.Serve(t, func(*natsserver.Options) {})
	b, p := testBench(t, s.ClientURL(), config.DeliverJetStream)
	windowOnly(p)
	core, logs := observer.New(zap.InfoLevel)
	p.log, p.forgets = zap.New(core), time.Hour
	now := time.Now()
	pushEvents(b.servers[0], 1, 1)
	b.servers[0].outbox.SetLastBefore(time.Time{})
	for range 5 {
		b.servers[0].outbox.Take(nil)
		p.window.add(0, 100, time.Now())
		p.window.fail(0, &natsconn.Refusal{Code: 10077, Description: "maximum bytes exceeded"})
		p.noteFailures(now)
		now = p.retries[0].due
		p.recover(t.Context(), now)
	}
	waits := logs.FilterMessage("events wait in the outbox").All()
	if len(waits) != 1 || !strings.Contains(fmt.Sprint(waits[0].ContextMap()), "maximum bytes exceeded") || !strings.Contains(fmt.Sprint(waits[0].ContextMap()), "pbx1") {
		t.Errorf("%v", waits)
	}
	if n := logs.FilterMessage("events flow again").Len(); n != 0 {
		t.Errorf("%d lines say that they flow", n)
	}
	b.servers[0].outbox.Take(nil)
	p.window.ack(0, p.window.add(0, 100, time.Now()))
	for range 3 {
		p.recover(t.Context(), now)
	}
	if n := logs.FilterMessage("events flow again").Len(); n != 1 {
		t.Errorf("%d lines say that they flow again", n)
	}
}

// What is no reason to wait is worth no line: that another bridge leads now, or that events
// go another way. If there is a reason later, that is told, and so is its end.
func TestPublisher_SaysNothingOfWhatIsNoFault(t *testing.T) {
	s := natstest.Serve(t, func(*natsserver.Options) {})
	for _, why := range []error{errForgotten, errFence, errRefused, errNewMode, errOthers, errNoFastIngest} {
		for _, later := range []error{nil, &natsconn.Refusal{Code: 10077, Description: "maximum bytes exceeded"}} {
			b, p := testBench(t, s.ClientURL(), config.DeliverJetStream)
			windowOnly(p)
			core, logs := observer.New(zap.InfoLevel)
			p.log, p.forgets = zap.New(core), time.Hour
			now := time.Now()
			pushEvents(b.servers[0], 1, 1)
			b.servers[0].outbox.SetLastBefore(time.Time{})
			want := 0
			for _, failure := range []error{why, later, later} {
				if failure == nil {
					continue
				}
				if failure == later {
					want = 1
				}
				b.servers[0].outbox.Take(nil)
				p.window.add(0, 100, time.Now())
				p.window.fail(0, failure)
				p.noteFailures(now)
				now = p.retries[0].due
				p.recover(t.Context(), now)
			}
			b.servers[0].outbox.Take(nil)
			p.window.ack(0, p.window.add(0, 100, time.Now()))
			p.recover(t.Context(), now)
			if waits, flow := logs.FilterMessage("events wait in the outbox").Len(), logs.FilterMessage("events flow again").Len(); waits != want || flow != want {
				t.Errorf("%v, then %v: %d lines say that events wait and %d that they flow, want %d", why, later, waits, flow, want)
			}
		}
	}
}

// That events flow again is not said of a server that another bridge leads by then: this one
// was cut off, and what it sent is taken back.
func TestPublisher_SaysNotThatEventsFlowWhichOthersSend(t *testing.T) {
	for _, leads := range []bool{true, false} {
		s := natstest.Serve(t, func(*natsserver.Options) {})
		b, p := testBench(t, s.ClientURL(), config.DeliverJetStream)
		windowOnly(p)
		core, logs := observer.New(zap.InfoLevel)
		p.log = zap.New(core)
		p.source(0).Lead = &Lead{Fence: func() (Fence, bool) { return Fence{}, leads }}
		b.servers[0].outbox.SetLastBefore(time.Time{})
		p.window.add(0, 100, time.Now())
		p.window.fail(0, nats.ErrDisconnected)
		p.noteFailures(time.Now())
		p.recover(t.Context(), p.retries[0].due) // there is nothing to send
		p.recover(t.Context(), time.Now())
		if n, want := logs.FilterMessage("events flow again").Len(), map[bool]int{true: 1}[leads]; n != want {
			t.Errorf("leads %v: %d lines, want %d", leads, n, want)
		}
	}
}

// What NATS denies is the failure of the server whose subject it is, and of no
// other.
func TestPublisher_ADenialIsItsServersOwn(t *testing.T) {
	s := natstest.Serve(t, func(*natsserver.Options) {})
	_, p := twoServers(t, s.ClientURL(), "")
	denied := func(what string) []int {
		p.denied(fmt.Errorf("%w: Permissions Violation for %s", nats.ErrPermissionViolation, what))
		failed := p.window.takeFailures(nil)
		for _, id := range failed {
			p.window.reset(id)
		}
		return failed
	}
	for what, want := range map[string][]int{
		`Publish to "ami.events.pbx1.Hangup"`:      {0},
		`Publish to "ami.events.pbx2.Gap"`:         {1},
		`Publish to "ami.events.pbx3.Hangup"`:      nil,
		`Publish to "ami.status.pbx1.gap"`:         nil,
		`Subscription to "ami.events.pbx1.Hangup"`: nil,
	} {
		if got := denied(what); !slices.Equal(got, want) {
			t.Errorf("%s: failed are %v, want %v", what, got, want)
		}
	}
}

// Of one server half its outbox may be in flight: half of what it has whatever
// others have, so that the newest stay when it is full.
func TestOutbox_HalfOfItMayBeInFlight(t *testing.T) {
	for _, test := range []struct{ limit, total, servers, want int64 }{
		{1 << 20, 1 << 30, 1, 1 << 19},
		{1 << 20, 1 << 20, 1, 1 << 18}, // a floor of half the total
		{1 << 20, 1 << 24, 8, 1 << 19},
		{1 << 20, 1 << 22, 8, 1 << 17},
	} {
		o := outbox.New(int(test.limit), "gap", outbox.NewBudget(test.total, int(test.servers)), func() {})
		if got := o.MayBeSent(); got != test.want {
			t.Errorf("%+v: %d", test, got)
		}
		w := windowOf(func(int) {}, o)
		w.setBatched(true)
		sent := int64(0)
		for ; w.room(0); sent += 8192 {
			o.Push(outboxtest.Entry(0), nil, false)
			o.Take(nil)
			w.add(0, 8192, time.Now())
		}
		if sent < test.want || sent > test.want+8192 {
			t.Errorf("%+v: %d bytes are in flight", test, sent)
		}
	}
}
