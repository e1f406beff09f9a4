package outbox

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
)

// sharer is a bridge with an Outbox of a server that others share, and what the stream has
// taken of it.
type sharer struct {
	*Outbox
	name     string
	read     int // of the Asterisk's events
	inFlight []sentID
	missing  bool // it has no session
	untold   bool // its session has brought nothing yet, and the Gap of the one before is to come
}

type sentID struct {
	standby.ID
	payload string
	gap     bool
}

// shared is bridges on one Asterisk and one stream.
type shared struct {
	t      rapid.TB
	now    time.Time
	raised []string
	stream []sentID
	epochs int
	term   uint64
	all    []*sharer
	leader *sharer
	lost   bool // the leader's session, since it leads, and it has not gone on
	unlike bool // no event is like another
}

const sharedServer = "pbx1"

func (s *shared) join(limit int) *sharer {
	b := &sharer{Outbox: New(limit, "gap", NewBudget(1<<30, 1), func() {}), name: fmt.Sprint("b", len(s.all)), read: len(s.raised)}
	b.Share(ShareOptions{Most: 1 << 17, Epoch: s.epoch, Stored: func() {}, Drained: func() {}})
	s.all = append(s.all, b)
	return b
}

func (s *shared) epoch() string {
	s.epochs++
	return fmt.Sprint("e", s.epochs)
}

func (s *shared) raise(n int) {
	for range n {
		text := fmt.Sprintf("event %d", len(s.raised))
		if len(s.raised)%5 == 3 && !s.unlike {
			text = "alike"
		}
		s.raised = append(s.raised, text)
	}
}

// reads has b read n more events.
func (s *shared) reads(b *sharer, n int) {
	for ; n > 0 && b.read < len(s.raised) && !b.missing; n-- {
		if b.untold {
			b.untold = false
			b.PushGap("next", &Gap{Reason: "closed", Unknown: true})
		}
		b.Push(Entry{Subject: "event", Session: "s", At: s.now.UnixNano()}, []byte(s.raised[b.read]), false)
		b.read++
	}
}

// sends has the leader send n more, of which the stream takes all; so many are
// acknowledged.
func (s *shared) sends(n, acked int) {
	for range n {
		e, payload, _, ok := s.leader.Take(nil)
		if !ok {
			break
		}
		one := sentID{standby.ID{Server: sharedServer, Epoch: e.Session, N: e.Seq, Hash: e.Hash}, string(payload), e.Gap > 0}
		s.leader.inFlight = append(s.leader.inFlight, one)
		if !slices.Contains(s.stream, one) { // the stream knows its id
			s.stream = append(s.stream, one)
		}
	}
	for ; acked > 0 && len(s.leader.inFlight) > 0; acked-- {
		s.leader.inFlight = s.leader.inFlight[1:]
		s.leader.Ack()
	}
}

// beat has every standby hear how far the leader has come.
func (s *shared) beat(d time.Duration) {
	s.now = s.now.Add(d)
	for _, b := range s.all {
		if b != s.leader {
			b.Observe(s.leader.Shared(s.term).Mark, s.now)
		}
	}
}

// lead has b take over, and who led stand by.
func (s *shared) lead(b *sharer) error {
	if s.leader != nil {
		s.leader.Stand(s.term+1, s.now)
		s.leader.inFlight = nil
	}
	s.term++
	s.lost = false
	b.Claim(s.term)
	tail, _ := b.Tail(sharedServer, s.now)
	for _, m := range s.stream {
		tail.Add(m.ID)
	}
	first := s.leader == nil
	s.leader = b
	if first {
		b.Begin(tail, nil)
		return nil
	}
	err := b.TakeOver(tail)
	if err != nil {
		s.reads(b, len(s.raised)) // else what it is to read yet may be stored already
		tail, _ = b.Tail(sharedServer, s.now)
		for _, m := range s.stream {
			tail.Add(m.ID)
		}
		b.Begin(tail, &Gap{Reason: GapTakeOver, Unknown: true})
	}
	return err
}

func (s *shared) check() {
	for _, b := range s.all {
		a := b.Account()
		if sum := a.Published + a.Filtered + a.Queued + a.InFlight + a.Released; a.Received != sum+a.Dropped[DropOverflow]+a.Dropped[DropTotal]+a.Dropped[DropOversize] {
			s.t.Fatalf("%s: the law does not hold: %+v", b.name, a)
		}
	}
}

func newShared(t rapid.TB) *shared {
	s := &shared{t: t, now: time.Unix(1000, 0)}
	s.join(64 << 20)
	s.join(64 << 20)
	if err := s.lead(s.all[0]); err != nil {
		t.Fatal(err)
	}
	return s
}

// sync has all standbys be in sync.
func (s *shared) sync() {
	for range 50 {
		s.raise(70)
		for _, b := range s.all {
			s.reads(b, len(s.raised))
		}
		for range 10 { // a Gap goes when all before it is stored
			s.sends(1<<20, 1<<20)
		}
		s.beat(3 * time.Second)
		if !slices.ContainsFunc(s.all, func(b *sharer) bool { return b != s.leader && b.Shared(0).State != standby.InSync }) {
			return
		}
	}
	s.t.Fatal("not all are in sync")
}

// However two bridges read, send, are acknowledged and take over from one another: while
// the one that takes over is in sync, the stream has each event once, in order, under one
// numbering. The law holds in both at any moment.
func TestShare_TakeOversLoseNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newShared(t)
		s.sync()
		for range rapid.IntRange(1, 6).Draw(t, "take-overs") {
			for range rapid.IntRange(1, 20).Draw(t, "steps") {
				s.raise(rapid.IntRange(0, 40).Draw(t, "raised"))
				for _, b := range s.all {
					s.reads(b, rapid.IntRange(0, 40).Draw(t, "read"))
				}
				s.sends(rapid.IntRange(0, 40).Draw(t, "sent"), rapid.IntRange(0, 40).Draw(t, "acked"))
				switch rapid.IntRange(0, 3).Draw(t, "then") {
				case 0:
					s.leader.Rewind(nil, nil)
					s.leader.inFlight = nil
				case 1:
					s.beat(50 * time.Millisecond)
				}
				s.check()
			}
			next := s.all[0]
			if s.leader == next {
				next = s.all[1]
			}
			if err := s.lead(next); err != nil {
				t.Fatal(err)
			}
			s.check()
			s.sync()
		}
		s.verify(true)
	})
}

// verify wants what the stream has to be what was raised, in order, numbered without a hole
// within each epoch.
func (s *shared) verify(whole bool) {
	at, last := 0, standby.ID{}
	for i, m := range s.stream {
		if m.gap {
			if m.N != 0 || m.Epoch == last.Epoch || whole {
				s.t.Fatalf("at %d: a Gap %v behind %v: %s", i, m.ID, last, m.payload)
			}
			last = m.ID
			continue
		}
		if m.Epoch == last.Epoch && m.N != last.N+1 || m.Epoch != last.Epoch && i > 0 {
			s.t.Fatalf("at %d: %v behind %v", i, m.ID, last)
		}
		last = m.ID
		for at < len(s.raised) && s.raised[at] != m.payload && !whole {
			at++
		}
		if at == len(s.raised) || s.raised[at] != m.payload {
			s.t.Fatalf("at %d: %s, want %s", i, m.payload, s.raised[min(at, len(s.raised)-1)])
		}
		at++
	}
	if at != len(s.raised) {
		s.t.Fatalf("%d of %d are stored", at, len(s.raised))
	}
}

// A standby gives back the memory of what the leader has stored.
func TestShare_StandbyReleasesToTheCut(t *testing.T) {
	s := newShared(t)
	s.sync()
	a := s.all[1].Account()
	if a.Bytes != 0 || a.Queued != 0 || a.Released != a.Received || a.Left != 0 {
		t.Fatalf("a standby in sync holds %+v", a)
	}
	if s.all[1].Waiting() {
		t.Fatal("a standby has something to send")
	}
}

// A standby whose outbox is full gives up its oldest, drops nothing and is apart until the
// leader has stored them.
func TestShare_StandbyThatOverflowsIsApart(t *testing.T) {
	s := newShared(t)
	small := s.join(200 * (EntryBytes + 16))
	s.sync()
	s.raise(1000)
	s.reads(small, 1000)
	s.check()
	how, a := small.Shared(0), small.Account()
	if how.State != standby.Apart || how.Reason != standby.Overflow || a.Dropped[DropOverflow] != 0 || a.Bytes > 200*(EntryBytes+16) {
		t.Fatalf("it is %v %v with %+v", how.State, how.Reason, a)
	}
	s.sync()
}

// What a leader drops is told by a Gap, which begins an epoch; a standby finds its place in
// that.
func TestShare_LeaderThatDropsBeginsAnEpoch(t *testing.T) {
	s := newShared(t)
	s.sync()
	if err := s.lead(s.join(200 * (EntryBytes + 16))); err == nil {
		t.Fatal("it was not in sync, and took over without a Gap")
	}
	s.sync()
	s.raise(1000)
	for _, b := range s.all {
		s.reads(b, 1000)
	}
	s.check()
	s.sync()
	s.check()
	s.verify(false)
	if dropped := s.leader.Account().Dropped[DropOverflow]; dropped == 0 {
		t.Fatal("nothing was dropped")
	}
}

// A leader whose session was lost goes on with what it has, and begins an epoch for the next
// session when it is told to. If another leads by then, nothing of either session is held
// that is not known to follow.
func TestShare_SessionsThatEnd(t *testing.T) {
	for i := range 4 {
		told, goesOn := i&1 > 0, i&2 > 0
		s := newShared(t)
		s.sync()
		s.raise(10)
		s.reads(s.leader, 10)
		b := s.leader
		b.Restart()
		s.raise(10)
		b.read = len(s.raised) // it has missed them
		if told {
			b.PushGap("s2", &Gap{Reason: "closed", Unknown: true, Restarted: "no"})
			s.raise(10)
			s.reads(b, 10)
		}
		s.sends(100, 100)
		if last := s.stream[len(s.stream)-1]; last.gap || last.payload != s.raised[len(s.raised)-1-map[bool]int{true: 20, false: 10}[told]] {
			t.Fatalf("the last is %q", last.payload)
		}
		if goesOn && told {
			b.NextEpoch()
			s.sends(100, 100)
			if i := slices.IndexFunc(s.stream, func(m sentID) bool { return m.gap }); i < 0 || !strings.Contains(s.stream[i].payload, "closed") || len(s.stream) != i+11 {
				t.Fatalf("the stream ends in %v", s.stream[len(s.stream)-12:])
			}
			continue
		}
		s.reads(s.all[1], 100)
		if err := s.lead(s.all[1]); err != nil {
			t.Fatal(err)
		}
		if how := b.Shared(0); how.State != standby.Joining || b.Account().Queued > 10 {
			t.Fatalf("who led is %v and holds %d", how.State, b.Account().Queued)
		}
		s.check()
		s.sync()
		s.verify(true)
	}
}

// An event that NATS will never take is told by a Gap; what was sent behind it goes out
// again in the epoch that it begins.
func TestShare_WhatNATSRefusesBeginsAnEpoch(t *testing.T) {
	s := newShared(t)
	s.sync()
	s.raise(10)
	s.reads(s.leader, 10)
	var ids []standby.ID
	for range 10 {
		e, _, _, _ := s.leader.Take(nil)
		ids = append(ids, standby.ID{Epoch: e.Session, N: e.Seq})
	}
	for range 3 {
		s.leader.Ack()
	}
	s.leader.RefuseSent(2) // the sixth
	s.leader.Rewind(nil, nil)
	var got []string
	take := func() (n int) {
		for {
			e, payload, _, ok := s.leader.Take(nil)
			if !ok {
				return n
			}
			n++
			got = append(got, fmt.Sprintf("%v:%d", e.Session != ids[0].Epoch, e.Seq))
			if e.Gap > 0 && !strings.Contains(string(payload), "oversize") {
				t.Fatalf("%s", payload)
			}
		}
	}
	first := ids[0].N
	for range take() {
		s.leader.Ack()
	}
	if n := s.leader.Shared(1).Mark.N; n != first+4 || len(got) != 2 {
		t.Fatalf("before the Gap %v are sent, and %d said to be stored, want %d", got, n, first+4)
	}
	take()
	want := []string{fmt.Sprintf("false:%d", first+3), fmt.Sprintf("false:%d", first+4), "true:0", "true:1", "true:2", "true:3", "true:4"}
	if !slices.Equal(got, want) {
		t.Fatalf("sent %v, want %v", got, want)
	}
	s.check()
}

// Behind the last session nothing is left: who leads sends all, the Gap of the session's end
// included; who stands by gives up what it holds.
func TestShare_NothingIsLeftBehindTheLastSession(t *testing.T) {
	s := newShared(t)
	s.sync()
	s.raise(10)
	for _, b := range s.all {
		s.reads(b, 10)
		b.Restart()
		b.PushGap("s2", &Gap{Reason: "bridge_restart", Unknown: true, Restarted: "unknown"})
	}
	s.sends(100, 100)
	if s.leader.Account().Left == 0 {
		t.Fatal("the Gap is sent before it is known that no session follows")
	}
	for _, b := range s.all {
		b.NextEpoch()
	}
	s.sends(100, 100)
	for _, b := range s.all {
		if a := b.Account(); a.Left != 0 || a.Bytes != 0 {
			t.Errorf("%s has left %+v", b.name, a)
		}
	}
	s.check()
	if last := s.stream[len(s.stream)-1]; !last.gap {
		t.Errorf("the last is %q", last.payload)
	}
}

// The Gap of a take-over that came to nothing is not told at the next one, which leaves nothing
// open: who led meanwhile has told what was to be told of it.
func TestShare_ATakeOverThatCameToNothing(t *testing.T) {
	for sent := range 3 {
		s := newShared(t)
		s.raise(10)
		b := s.all[1]
		s.reads(s.leader, 10)
		s.sends(99, 99)
		b.read = len(s.raised)
		tail, _ := b.Tail(sharedServer, s.now)
		b.Begin(tail, &Gap{Reason: GapTakeOver, Unknown: true})
		for range sent {
			b.Take(nil)
			b.Rewind(nil, nil)
		}
		b.Stand(s.term, s.now)
		for probe := range uint64(10) {
			s.ask(b, probe+1)
		}
		if how := b.Shared(0); how.State != standby.InSync {
			t.Fatalf("%v %s", how.State, how.Reason)
		}
		if err := s.lead(b); err != nil {
			t.Fatal(err)
		}
		s.raise(10)
		s.reads(b, 10)
		s.sends(99, 99)
		s.check()
		s.verify(true)
	}
}

// Nothing is held of the last of two sessions that have ended, be the Gap between them sent or not.
func TestShare_TwoSessionsThatEnd(t *testing.T) {
	for _, sent := range []bool{false, true} {
		s := newShared(t)
		s.sync()
		b := s.leader
		b.Restart()
		b.PushGap("s2", &Gap{Reason: "closed", Unknown: true})
		s.raise(10)
		s.reads(b, 10)
		b.NextEpoch()
		if sent {
			s.sends(1, 0)
		}
		b.Restart()
		b.Stand(s.term+1, s.now)
		if a := b.Account(); a.Queued != 0 || a.Left != 0 {
			t.Errorf("sent %v: it holds %d events, %d in all", sent, a.Queued, a.Left)
		}
		s.check()
	}
}
