package standby

import (
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/costtest"
)

// pair is a leader and a standby on one session of distinct events.
type pair struct {
	t   *testing.T
	l   *Ledger
	f   *Follower
	now time.Time
	h   uint64
}

func newPair(t *testing.T) *pair {
	return &pair{t: t, l: NewLedger("e1", 0), f: NewFollower(1 << 17), now: time.Unix(0, 0)}
}

func (p *pair) next() uint64 { p.h++; return Hash([]byte{byte(p.h), byte(p.h >> 8), byte(p.h >> 16)}) }

// both has both read n events, and the leader store them.
func (p *pair) both(n int) {
	for range n {
		h := p.next()
		p.l.Send(h)
		p.f.Read(h)
		p.l.Ack(p.l.Sent())
	}
}

// hear has the standby hear a Mark, 250 ms later.
func (p *pair) hear() int {
	p.now = p.now.Add(250 * time.Millisecond)
	return p.f.Observe(p.l.Mark(1), p.now)
}

func (p *pair) want(s State, why Reason) {
	p.t.Helper()
	if got, reason := p.f.State(); got != s || reason != why {
		p.t.Fatalf("%v %q, want %v %q", got, reason, s, why)
	}
}

// sync has the standby be in sync.
func (p *pair) sync() {
	p.t.Helper()
	for range 60 {
		p.both(20)
		p.hear()
	}
	p.want(InSync, "")
}

func TestFollower_JoinsWithinSecondsOfAFewEvents(t *testing.T) {
	p := newPair(t)
	p.want(Joining, "")
	for p.now.Before(time.Unix(15, 0)) {
		p.both(4)
		p.hear()
	}
	p.want(InSync, "")
	if p.f.Held() != 0 || p.f.Lag() != 0 {
		t.Errorf("%d are held, %d behind", p.f.Held(), p.f.Lag())
	}
}

// One whose own session has begun in the middle of a storm joins as soon as it has what
// the leader stores, and stays joining as long as it gets no event at all.
func TestFollower_StaysJoiningWithoutEvents(t *testing.T) {
	p := newPair(t)
	for range 100 {
		p.l.Send(p.next())
		p.l.Ack(p.l.Sent())
		p.hear()
	}
	p.want(Joining, "")
	p.sync()
}

// One who has looked for the leader for long is joining, and no more, when it finds it.
func TestFollower_IsJoiningUntilItIsInSync(t *testing.T) {
	p := newPair(t)
	for range 40 { // ten seconds
		p.l.Send(p.next())
		p.l.Ack(p.l.Sent())
		p.hear()
	}
	for {
		p.both(10)
		p.hear()
		if s, _ := p.f.State(); s == InSync {
			return
		}
		p.want(Joining, "")
		if p.now.After(time.Unix(60, 0)) {
			t.Fatal("it does not join")
		}
	}
}

// A Mark that another has said in the leader's name, of a number that it never comes to, has a
// standby be behind for a while, or be joining for longer, and not for good.
func TestFollower_GoesOnBehindAForgedMark(t *testing.T) {
	for _, synced := range []bool{true, false} {
		p := newPair(t)
		if synced {
			p.sync()
		}
		m := p.l.Mark(1)
		m.N = 1 << 60
		p.f.Observe(m, p.now)
		p.sync()
	}
}

// A leader that has nothing new keeps its standby in sync for as long as it takes.
func TestFollower_StaysInSyncWhileNothingHappens(t *testing.T) {
	p := newPair(t)
	p.sync()
	for range 1000 {
		p.hear()
	}
	p.want(InSync, "")
}

func TestFollower_IsApartWhenSessionsDiffer(t *testing.T) {
	p := newPair(t)
	p.sync()
	p.f.Read(p.next()) // the leader's session never has it
	for p.now = p.now.Add(0); ; {
		p.both(3)
		p.hear()
		if s, _ := p.f.State(); s != InSync {
			break
		}
		if p.f.Lag() == 0 {
			t.Fatal("a cut where the sums differ")
		}
	}
	p.want(Apart, Differs)
	p.sync() // behind what differed
}

func TestFollower_IsApartWhenItsSessionStops(t *testing.T) {
	p := newPair(t)
	p.sync()
	var missed []uint64
	for range 30 {
		h := p.next()
		missed = append(missed, h)
		p.l.Send(h)
		p.l.Ack(p.l.Sent())
		p.hear()
	}
	p.want(Apart, Behind)
	for _, h := range missed {
		p.f.Read(h)
	}
	p.hear()
	p.both(1)
	p.hear()
	p.want(InSync, "")
	if p.f.Held() != 0 {
		t.Errorf("%d are held", p.f.Held())
	}
}

// The lag lasts since the Mark was heard of the oldest event that the session has not come to,
// and no longer when that comes, be newer ones still to come.
func TestFollower_KnowsForHowLongItLags(t *testing.T) {
	p := newPair(t)
	p.sync()
	if !p.f.Behind().IsZero() {
		t.Fatalf("it lags since %v", p.f.Behind())
	}
	var missed []uint64
	var heard []time.Time
	for range 8 {
		h := p.next()
		missed = append(missed, h)
		p.l.Send(h)
		p.l.Ack(p.l.Sent())
		p.hear()
		heard = append(heard, p.now)
	}
	for i, h := range missed {
		if got := p.f.Behind(); !got.Equal(heard[i]) {
			t.Fatalf("without event %d it lags since %v, want %v", i, got, heard[i])
		}
		p.f.Read(h)
		p.hear()
	}
	if got := p.f.Behind(); !got.IsZero() || p.f.Lag() != 0 {
		t.Errorf("it has all, and lags since %v", got)
	}
}

// One that finds nothing of the leader's in its session says why after a while, and not one
// that does.
func TestFollower_SaysWhyItIsJoiningStill(t *testing.T) {
	for want, read := range map[Reason]func(p *pair){
		NoEvent: func(*pair) {}, Unfound: func(p *pair) { p.f.Read(p.next()) }, "": nil,
	} {
		p := newPair(t)
		for range 4 * 63 {
			if read == nil {
				p.both(1)
			} else {
				h := p.next()
				p.l.Send(h)
				p.l.Ack(p.l.Sent())
				read(p)
			}
			p.hear()
			if s, why := p.f.State(); p.now.Sub(time.Unix(0, 0)) < JoinPatience && why != "" {
				t.Fatalf("%v %s after %v", s, why, p.now)
			}
		}
		if s, why := p.f.State(); why != want || want != "" && s != Joining {
			t.Errorf("%v %q, want %q", s, why, want)
		}
	}
}

// What the outbox gave up is missing at a take-over until the leader has stored it.
func TestFollower_IsApartAfterAnOverflow(t *testing.T) {
	p := newPair(t)
	p.sync()
	var unstored []uint64
	for range 50 {
		h := p.next()
		unstored = append(unstored, h)
		p.f.Read(h)
	}
	p.f.Forget(10)
	p.want(Apart, Overflow)
	if _, err := p.f.TakeOver(p.f.Tail("pbx1"), nil); err == nil {
		t.Fatal("it takes over")
	}
	for _, h := range unstored {
		p.l.Send(h)
	}
	p.l.Ack(p.l.Sent())
	if n := p.hear(); n != 40 {
		t.Errorf("%d are released of 40", n)
	}
	p.want(InSync, "")
}

func TestFollower_IsApartWhileFiltersDiffer(t *testing.T) {
	p := newPair(t)
	p.sync()
	p.f.Filter(9)
	p.both(5)
	p.hear()
	p.want(Apart, Filters)
	p.l.Filter(9)
	p.both(5)
	p.hear()
	p.want(Joining, "")
	p.sync()
}

// An epoch is another numbering: the standby looks for it anew, and holds meanwhile.
func TestFollower_LooksForANewEpoch(t *testing.T) {
	p := newPair(t)
	p.sync()
	if err := p.l.Begin("e2"); err != nil {
		t.Fatal(err)
	}
	p.both(30)
	if n := p.hear(); n != 0 || p.f.Held() != 30 {
		t.Errorf("%d are released, %d held", n, p.f.Held())
	}
	p.want(Joining, "")
	p.sync()
}

// A Mark that a dead leader left on its way, and every one of an older term, moves no
// cut once the claim is stored: what is behind it is about to be read. (In a prototype
// 572,220 events were lost by it.)
func TestFollower_IgnoresMarksOfTheDead(t *testing.T) {
	p := newPair(t)
	p.sync()
	for range 20 {
		h := p.next()
		p.l.Send(h)
		p.f.Read(h)
	}
	p.f.Claim(2)
	tail := p.f.Tail("pbx1")
	p.l.Ack(p.l.Sent())
	if n := p.hear(); n != 0 || p.f.Held() != 20 {
		t.Fatalf("%d were released, %d are held", n, p.f.Held())
	}
	if n := p.f.Observe(p.l.Mark(2), p.now); n != 0 { // of another stream, before it was made anew
		t.Fatalf("%d were released by a Mark of its own term", n)
	}
	l, err := p.f.TakeOver(tail, func(int) { t.Error("the tail is empty") })
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := l.Send(1); n != l.Acked()+1 || l.Acked() != p.l.Acked()-20 {
		t.Errorf("it goes on with %d", n)
	}
}

// That its own claim is stored may be told late, when another has claimed behind it and leads:
// who does is heard on.
func TestFollower_HearsOnWhoHasClaimedBehindIt(t *testing.T) {
	p := newPair(t)
	p.sync()
	p.f.Observe(p.l.Mark(3), p.now)
	p.f.Claim(2)
	p.both(20)
	p.l.Ack(p.l.Sent())
	if n := p.f.Observe(p.l.Mark(3), p.now); n != 20 || p.f.Held() != 0 {
		t.Errorf("%d are released, %d held", n, p.f.Held())
	}
	p.want(InSync, "")
}

// A Follower of a term hears nothing of an older one.
func TestFollower_IgnoresOlderTerms(t *testing.T) {
	p := newPair(t)
	p.sync()
	other := NewLedger("e0", 0)
	p.f.Observe(p.l.Mark(5), p.now)
	p.f.Observe(other.Mark(4), p.now)
	p.want(InSync, "")
}

// What is known of a burst is given back when the leader has stored it.
func TestFollower_GivesMemoryBack(t *testing.T) {
	p := newPair(t)
	p.sync()
	small := len(p.f.sums.ring)
	for range 100_000 {
		h := p.next()
		p.f.Read(h)
		p.l.Send(h)
		if p.l.Sent()-p.l.Acked() > 1000 {
			p.l.Ack(p.l.Sent())
		}
	}
	large := len(p.f.sums.ring)
	for range 5 {
		p.l.Ack(p.l.Sent())
		p.hear()
		p.both(10)
	}
	if got := len(p.f.sums.ring); large < 100_000 || got > max(small, large/4) {
		t.Errorf("room for %d sums, then %d, then %d", small, large, got)
	}
	p.want(InSync, "")
}

// Standing by and leading allocate nothing for an event.
func TestFollower_AllocatesNothing(t *testing.T) {
	p := newPair(t)
	p.sync()
	if n := costtest.Allocations(func() { p.both(20); p.hear() }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkStandBy(b *testing.B) {
	p := newPair(nil)
	frame := make([]byte, 400)
	b.ReportAllocs()
	for b.Loop() {
		h := Hash(frame) + p.h
		p.h++
		p.l.Send(h)
		p.f.Read(h)
		p.l.Ack(p.l.Sent())
		if p.h%1000 == 0 {
			p.hear()
		}
	}
}
