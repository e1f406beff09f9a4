package standby

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// line is a session of one Asterisk whose events are all raised at once, and the half of a
// bridge that reads it. Its Pings are answered when all was read that was raised by then.
type line struct {
	rng    *rand.Rand
	raised *[]uint64
	read   int       // of all
	asked  time.Time // of the Ping that has no Pong yet
	due    time.Time // Asterisk has it then
	border int       // what was raised by then; -1: it has not come yet
}

func (l *line) ping(now time.Time) {
	if l.asked.IsZero() {
		l.asked, l.due, l.border = now, now.Add(l.ms(4)), -1
	}
}

func (l *line) ms(most int) time.Duration {
	return time.Duration(l.rng.IntN(most+1)) * time.Millisecond
}

// advance has each hear of an event that it reads, and pong of a Pong that it reads then.
func (l *line) advance(now time.Time, most int, each func(hash uint64), pong func(asked time.Time)) {
	if !l.asked.IsZero() && l.border < 0 && !now.Before(l.due) {
		l.border = len(*l.raised)
	}
	answer := func() {
		if l.border >= 0 && l.read >= l.border {
			asked := l.asked
			l.asked, l.border = time.Time{}, -1
			pong(asked)
		}
	}
	for range min(most, len(*l.raised)-l.read) {
		if l.rng.IntN(2) == 0 {
			answer()
		}
		l.read++
		each((*l.raised)[l.read-1])
	}
	answer()
}

// couple is a leader and a standby of one Asterisk, in a time of their own, of steps of a
// millisecond.
type couple struct {
	rng      *rand.Rand
	now      time.Time
	raised   []uint64 // to the leader's session
	other    []uint64 // to the standby's
	skewed   []letter // to that, a moment later
	skew     float64  // how often that is so
	begun    int      // events that were raised before the epoch
	start    int      // and before the standby's session
	a, b     line
	l        *Ledger
	f        *Follower
	queue    []uint64 // read by the leader, and not sent
	answered probe    // by the leader: read is n
	asks     uint64   // the probe that the leader heard
	heard    time.Time
	mail     []letter
	probes   uint64
	beats    [2]time.Time
	kept     time.Time // the standby's last Ping that keeps its session alive
	apart    bool      // some message is lost
	old      bool      // the leader answers no probe
}

// letter is on its way until then.
type letter struct {
	at   time.Time
	read func()
}

func newCouple(rng *rand.Rand) *couple {
	c := &couple{rng: rng, now: time.Unix(1000, 0), l: NewLedger("e", 0), f: NewFollower(1 << 17)}
	c.a, c.b = line{rng: rng, raised: &c.raised, border: -1}, line{rng: rng, raised: &c.other, border: -1}
	return c
}

func (c *couple) send(what func()) {
	if !c.apart || c.rng.IntN(10) > 0 {
		c.mail = append(c.mail, letter{c.now.Add(c.a.ms(20)), what})
	}
}

// pass has a millisecond pass, in which these are raised. lag is how many milliseconds both
// are busy with something else now and then.
func (c *couple) pass(lag int, events ...uint64) {
	c.now = c.now.Add(time.Millisecond)
	c.raise(events)
	for i := 0; i < len(c.mail); i++ {
		if m := c.mail[i]; !m.at.After(c.now) {
			c.mail = append(c.mail[:i], c.mail[i+1:]...)
			i--
			m.read()
		}
	}
	busy := func() bool { return lag > 0 && c.rng.IntN(lag) > 0 }
	if !busy() {
		c.a.advance(c.now, 1+c.rng.IntN(50), func(h uint64) { c.queue = append(c.queue, h) }, c.onPong)
	}
	if !busy() {
		c.b.advance(c.now, 1+c.rng.IntN(50), func(h uint64) { c.f.Read(h) }, c.f.Pong)
	}
	if n := len(c.queue); n > 0 && !busy() {
		for _, h := range c.queue[:1+c.rng.IntN(n)] {
			c.l.Send(h)
			c.queue = c.queue[1:]
		}
	}
	if c.rng.IntN(3) == 0 {
		c.l.Ack(c.l.Sent())
	}
	if c.asks != 0 {
		c.a.ping(c.now)
	}
	if s, _ := c.f.State(); s != InSync || c.now.Sub(c.kept) > 2*time.Second {
		c.kept = c.now
		c.b.ping(c.now)
	}
	c.beat()
}

// raise has Asterisk raise events. From 22.11 on one may come to a session a moment later than
// to the other, and so in another order.
func (c *couple) raise(events []uint64) {
	c.raised = append(c.raised, events...)
	for _, h := range events {
		if c.rng.Float64() < c.skew {
			c.skewed = append(c.skewed, letter{c.now.Add(c.a.ms(5)), func() { c.other = append(c.other, h) }})
			continue
		}
		c.other = append(c.other, h)
	}
	late := c.skewed[:0]
	for _, l := range c.skewed {
		if l.at.After(c.now) {
			late = append(late, l)
			continue
		}
		l.read()
	}
	c.skewed = late
}

// onPong has the leader answer what it was asked before the Ping.
func (c *couple) onPong(asked time.Time) {
	if c.asks != 0 && asked.After(c.heard) && !c.old {
		c.answered, c.asks = probe{c.asks, c.l.Sent() + uint64(len(c.queue))}, 0
	}
}

func (c *couple) beat() {
	if c.now.Sub(c.beats[0]) >= 250*time.Millisecond {
		c.beats[0] = c.now
		m, answered := c.l.Mark(1), c.answered
		c.send(func() {
			c.f.Observe(m, c.now)
			c.f.Answer(m.Epoch, answered.id, answered.read)
		})
	}
	if c.now.Sub(c.beats[1]) >= 250*time.Millisecond {
		c.beats[1] = c.now
		c.probes++
		id := c.f.Probe(c.probes)
		c.send(func() {
			if id != 0 && id != c.answered.id && id != c.asks {
				c.asks, c.heard = id, c.now
			}
		})
	}
}

// check wants a place that is believed to be the true one.
func (c *couple) check() error {
	if s, _ := c.f.State(); s != InSync {
		return nil
	}
	if cut, n := c.start+int(c.f.cut()), c.begun+int(c.f.cutN); cut != n {
		return fmt.Errorf("after %v event %d is taken for %d", c.now.Sub(time.Unix(1000, 0)), cut, n)
	}
	return nil
}

// login begins the standby's session, after those that were raised. The leader's epoch has
// begun somewhere before.
func (c *couple) login(before []uint64) {
	c.raised, c.other = before, slices.Clone(before)
	c.a.read = len(before)
	c.begun = c.rng.IntN(len(before) + 1)
	for _, h := range before[c.begun:] {
		c.l.Send(h)
	}
	c.l.Ack(c.l.Sent())
	c.start, c.b.read = len(before), len(before)
}

// However events are alike, and whenever they come, whatever is lost and late between the
// two: the place that is believed is the true one, and it is found if there is a moment
// between two events.
func TestBounds_BelieveOnlyTheTruePlace(t *testing.T) {
	joined, tried := map[int]int{}, map[int]int{}
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 6))
		kinds := rapid.SampledFrom([]int{1, 2, 7, 50}).Draw(t, "kinds")
		every := rapid.SampledFrom([]int{1, 5, 20, 100, 1000, 100_000}).Draw(t, "every")
		burst := rapid.SampledFrom([]int{1, 1, 3, 30}).Draw(t, "burst")
		lag := rapid.SampledFrom([]int{0, 0, 3, 50}).Draw(t, "lag")
		c := newCouple(rng)
		c.apart = rapid.Bool().Draw(t, "lossy")
		c.skew = rapid.SampledFrom([]float64{0, 0, 0.001, 0.02}).Draw(t, "skew")
		event := func() uint64 { return Hash([]byte{byte(rng.IntN(kinds))}) }
		before := make([]uint64, rng.IntN(300))
		for i := range before {
			before[i] = event()
		}
		c.login(before)
		for range 20_000 {
			var events []uint64
			if rng.IntN(every) == 0 {
				for range burst {
					events = append(events, event())
				}
			}
			c.pass(lag, events...)
			if err := c.check(); err != nil {
				t.Fatal(err)
			}
		}
		tried[every]++
		switch s, why := c.f.State(); {
		case s == InSync:
			joined[every]++
		case s == Apart:
			t.Fatalf("it is apart: %s", why)
		case every >= 100 && lag == 0 && c.skew == 0:
			t.Fatalf("it does not join: %+v", c.f.bounds)
		}
	})
	t.Log("joined", joined, "of", tried)
}

// A server that says the same over and over, or nothing at all, is joined within seconds.
func TestBounds_JoinWhereEventsAreAllAlike(t *testing.T) {
	for _, every := range []int{50, 500, 5000, 1 << 30} {
		c := newCouple(rand.New(rand.NewPCG(uint64(every), 7)))
		c.login(nil)
		for i := range 8000 {
			var events []uint64
			if i%every == every-1 {
				events = []uint64{42}
			}
			c.pass(0, events...)
			if err := c.check(); err != nil {
				t.Fatal(err)
			}
		}
		if s, why := c.f.State(); s != InSync {
			t.Errorf("every %d ms: %v %s, %+v", every, s, why, c.f.bounds)
		}
	}
}

// Sessions of which one misses an event now and then are as long as each other nowhere: that
// is told, and nobody is in sync with it.
func TestBounds_TellOfSessionsThatDiffer(t *testing.T) {
	c := newCouple(rand.New(rand.NewPCG(1, 8)))
	c.login(nil)
	for i := range 30_000 {
		var events []uint64
		if i%100 == 99 {
			events = []uint64{42}
		}
		c.pass(0, events...)
		if s, why := c.f.State(); i > 15_000 && (s != Apart || why != Differs) {
			t.Fatalf("after %d ms: %v %s", i, s, why)
		}
		if i%1000 == 999 {
			c.raised = append(c.raised, 42) // the standby's session lacks it
		}
	}
}

// Beside a leader of the version before, which answers no probe, the bounds have one end:
// events that are all alike do not join, and it says why after a while.
func TestBounds_LeaderOfTheVersionBefore(t *testing.T) {
	c := newCouple(rand.New(rand.NewPCG(1, 9)))
	c.old = true
	c.login(nil)
	for i := range 62_000 {
		var events []uint64
		if i%100 == 99 {
			events = []uint64{42}
		}
		c.pass(0, events...)
		if s, why := c.f.State(); s != Joining || i < 59_000 && why != "" || i > 61_000 && why != Alike {
			t.Fatalf("after %d ms: %v %s", i, s, why)
		}
	}
}

// Three that are wrong, for an event came to one session a moment later, change nothing, and
// three are believed nowhere.
func TestBounds_WantFourThatAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOf(rapid.Int64Range(-20, 20)).Draw(t, "all")
		var l attestedLeast
		for _, v := range all {
			l.add(v)
		}
		slices.Sort(all)
		if want := append(all, unbounded, unbounded, unbounded, unbounded)[3]; l.value() != want && (len(all) > 3 || l.value() != unbounded) {
			t.Fatalf("of %v it is %d", all, l.value())
		}
	})
}

// A Pong tells nothing of a Mark that was heard when its Ping was asked already, nor an answer
// to a probe of a session before, or of another epoch.
func TestBounds_TakeWhatWasAskedBehind(t *testing.T) {
	p := newPair(t)
	p.both(3)
	asked := p.now
	p.hear()
	for range 9 {
		p.f.Pong(asked)
		p.f.Pong(p.now)
	}
	if p.f.bounds.most.n != 0 {
		t.Errorf("a Pong of before counts: %+v", p.f.bounds)
	}
	p.f.Pong(p.now.Add(1))
	p.f.Pong(p.now.Add(2))
	if p.f.bounds.most.n != 1 {
		t.Errorf("one Mark and its Pong count as %+v", p.f.bounds)
	}
	p.f.Probe(7)
	if p.f.Probe(8) != 7 {
		t.Error("it asks anew before it has an answer")
	}
	p.f.Answer("e1", 8, 3)
	p.f.Answer("e0", 7, 3)
	p.f.Answer("e1", 7, 3)
	if p.f.bounds.least.n != 0 || p.f.Probe(9) != 9 {
		t.Errorf("an answer to nothing counts: %+v", p.f.bounds)
	}
	p.f.Restart()
	p.f.Answer("e1", 9, 3)
	if p.f.bounds != (bounds{}) {
		t.Errorf("what was of the session before counts: %+v", p.f.bounds)
	}
}

// A leader answers a probe with what it had read at a Pong that was asked when it knew it.
func TestAnswers_WaitForTheirPong(t *testing.T) {
	var a Answers
	now := time.Unix(100, 0)
	a.Ask("b2", 5, now)
	if !a.Ask("b2", 5, now) || !a.Wait() {
		t.Error("no Ping is asked")
	}
	a.Pong(now, "e", 10) // asked at the same moment: it may have been before
	if got := a.Of("e", now); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	a.Pong(now.Add(1), "e", 12)
	a.Pong(now.Add(2), "e", 20) // the first is the nearest
	want := []Answer{{"b2", 5, 12}}
	if got := a.Of("e", now); !slices.Equal(got, want) || a.Wait() || a.Ask("b2", 5, now) || len(a.Of("f", now)) != 0 {
		t.Errorf("%+v", got)
	}
	for i := range 2 * maxAnswers {
		a.Ask(fmt.Sprint("n", i), 1, now)
	}
	if len(a.all) != maxAnswers {
		t.Errorf("%d are asked", len(a.all))
	}
	a.Ask("b2", 0, now) // it is in sync
	if len(a.Of("e", now)) != 0 || len(a.all) != maxAnswers-1 {
		t.Errorf("%+v", a.all)
	}
	if a.Of("e", now.Add(1)); len(a.all) != 0 {
		t.Errorf("those who are silent are kept: %+v", a.all)
	}
}
