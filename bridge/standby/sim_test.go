package standby

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// sim is bridges on one Asterisk and one stream, in a time of its own.
type sim struct {
	rng     *rand.Rand
	now     time.Time
	a       *asterisk
	js      *jetstream
	nodes   []*node
	spread  int
	burst   int
	moves   bool
	apart   func(a, b *node) bool // they do not hear each other; nil: all do
	lossy   bool                  // a Gap is no failure
	late    float64               // share of Heartbeats that come late, or again
	gaps    int
	firsts  map[string]bool // epochs that no Gap begins
	why     error           // of the last take-over that was not exact
	failure error
	paused  time.Duration // longest without an event stored
	storedN int
	storedT time.Time
}

const simTick = 10 * time.Millisecond

func newSim(rng *rand.Rand, nodes, spread int) *sim {
	s := &sim{
		rng: rng, now: time.Unix(1000, 0), spread: spread, burst: 4, js: newJetstream(rng), firsts: map[string]bool{},
		a: &asterisk{rng: rng, threads: 4, repeats: 0.2, shared: spread == 0},
	}
	for i := range nodes {
		n := &node{bridge: bridge{name: fmt.Sprint("b", i+1)}, sim: s}
		s.nodes = append(s.nodes, n)
		n.start(s.now)
	}
	s.run(time.Second, false) // all are logged in when the first event comes
	return s
}

// ms is a time of up to most milliseconds.
func (s *sim) ms(most int) time.Duration {
	return time.Duration(1+s.rng.IntN(most)) * time.Millisecond
}

func (s *sim) fail(format string, args ...any) {
	if s.failure == nil {
		s.failure = fmt.Errorf("at %v: %w", s.now.Sub(time.Unix(1000, 0)), fmt.Errorf(format, args...))
	}
}

// begun hears that a leader begins an epoch.
func (s *sim) begun(n *node, d Decision) {
	switch d {
	case BeginEpoch:
		s.gaps++
	case BeginFirst:
		s.firsts[n.leads.Epoch()] = true
	}
	if d == BeginEpoch && !s.lossy {
		s.fail("%s begins an epoch with a Gap: %v", n.name, s.why)
	}
}

// run passes some time. The Asterisk raises events while it is loud.
func (s *sim) run(d time.Duration, loud bool) {
	for end := s.now.Add(d); s.now.Before(end) && s.failure == nil; {
		s.now = s.now.Add(simTick)
		s.js.now = s.now
		if loud {
			s.a.raise(s.rng.IntN(s.burst))
		}
		for _, n := range s.nodes {
			n.deliver(s.now)
		}
		for _, n := range s.nodes {
			n.tick(s.now)
		}
		if len(s.js.log) != s.storedN {
			s.storedN, s.storedT = len(s.js.log), s.now
		} else if !loud {
			s.storedT = s.now
		} else if !s.storedT.IsZero() {
			s.paused = max(s.paused, s.now.Sub(s.storedT))
		}
	}
}

// settle waits until one leads and all others are in sync.
func (s *sim) settle() bool {
	for range 600 {
		s.run(100*time.Millisecond, true)
		if s.settled() || s.failure != nil {
			return true
		}
	}
	return false
}

func (s *sim) settled() bool {
	leaders := 0
	for _, n := range s.nodes {
		switch state, _ := n.state(); {
		case n.machine.phase == leading:
			leaders++
		case state != InSync || s.now.Sub(n.becameSync) < 500*time.Millisecond:
			return false
		}
		if n.session == nil || n.opening || s.now.Before(n.frozen) || s.now.Before(n.cut) || s.now.Before(n.away) || s.now.Before(n.deaf) || s.now.Before(n.mute) || s.now.Before(n.inert) {
			return false
		}
	}
	return leaders == 1
}

func (s *sim) leader() *node {
	for _, n := range s.nodes {
		if n.machine.phase == leading {
			return n
		}
	}
	return s.nodes[0]
}

// yields wants that node to lead no more, if it did, while it cannot do what a leader does.
// One that nobody followed a while ago leads on for that while.
func (s *sim) yields(n *node) {
	if n.machine.phase != leading || s.lossy {
		return
	}
	s.run(max(0, keptPause-s.now.Sub(n.machine.kept))+2900*time.Millisecond, true)
	if n.machine.Leads() && n.unable() != "" {
		s.fail("%s leads still, and is unable: %q", n.name, n.unable())
	}
}

// lag has a replica of the stream be behind for a while.
func (s *sim) lag() {
	s.js.lag = s.ms(2000)
	s.run(s.ms(3000), true)
	s.js.lag = 0
}

// check compares what is stored with what was sent.
func (s *sim) check() error {
	f := fleet{a: s.a, spread: s.spread, leader: 0}
	seen := map[ID]bool{}
	for _, m := range s.js.log {
		if seen[m.id] { // again in a stream that was made anew
			continue
		}
		seen[m.id] = true
		f.stream = append(f.stream, m.stored)
	}
	f.bridges = []*bridge{{leads: NewLedger("e1", 0)}}
	return f.check()
}

var (
	sims = flag.Int("sims", 0, "how many simulations are run of each kind, others each time; 3000 take minutes; 0: the same few each time")
	seed = flag.Uint64("sim", 0, "the one simulation that is run")
)

// simulate runs simulations, each of a seed of its own. By default the seeds are the same
// each time, so that a failure is of the change that is tested; -sims looks for others.
func simulate(t *testing.T, run func(rng *rand.Rand) error) {
	for i := range cmp.Or(*sims, 15) {
		n := uint64(i + 1)
		switch {
		case *seed != 0:
			n = *seed
		case *sims != 0:
			n = rand.Uint64()
		}
		if err := run(rand.New(rand.NewPCG(n, 3))); err != nil {
			t.Fatalf("-sim=%d: %v", n, err)
		}
	}
}

// faults are what happens to a bridge, or to the stream.
func faults() map[string]func(s *sim, n *node) {
	return map[string]func(s *sim, n *node){
		"kill":             func(s *sim, n *node) { n.start(s.now) },
		"freeze":           func(s *sim, n *node) { n.frozen = s.now.Add(s.ms(3000)) },
		"freeze for long":  func(s *sim, n *node) { n.frozen = s.now.Add(10*time.Second + s.ms(4000)) },
		"cut from NATS":    func(s *sim, n *node) { n.cut = s.now.Add(s.ms(6000)) },
		"deaf to others":   func(s *sim, n *node) { n.deaf = s.now.Add(s.ms(4000)) },
		"cut from the PBX": func(s *sim, n *node) { n.away = s.now.Add(s.ms(3000)) },
		"session lost": func(s *sim, n *node) {
			if n.session != nil && !s.now.Before(n.frozen) {
				n.fall(s.now)
			}
		},
		"mute":             func(s *sim, n *node) { n.mute = s.now.Add(3*time.Second + s.ms(9000)); s.yields(n) },
		"no actions":       func(s *sim, n *node) { n.inert = s.now.Add(3*time.Second + s.ms(3000)); s.yields(n) },
		"stepdown":         func(s *sim, _ *node) { s.js.stepdown() },
		"freeze, stepdown": func(s *sim, n *node) { n.frozen = s.now.Add(s.ms(3000)); s.run(s.ms(2500), true); s.js.stepdown() },
		"hand over": func(s *sim, n *node) {
			if !s.now.Before(n.frozen) {
				n.step(Event{Kind: Handover})
			}
		},
		"fence in process": func(s *sim, _ *node) { s.js.flaky = 0.3; s.run(s.ms(2000), true); s.js.flaky = 0 },
		"late words":       func(s *sim, _ *node) { s.late = 0.5; s.run(s.ms(4000), true); s.late = 0 },
		"kill, lag":        func(s *sim, n *node) { n.start(s.now); s.lag() },
		"hand over, lag": func(s *sim, n *node) {
			if !s.now.Before(n.frozen) {
				n.step(Event{Kind: Handover})
			}
			s.lag()
		},
		"quiet": func(s *sim, _ *node) { s.run(70*time.Second, false) },
	}
}

// One fault at a time, of any kind and at any moment, whenever the others are in sync:
// nothing is lost, nothing is twice, nothing is out of order, and the numbering has no
// hole.
func TestSim_OneFaultAtATimeLosesNothing(t *testing.T) {
	oneFaultAtATime(t, func(rng *rand.Rand) *sim { return newSim(rng, 2+rng.IntN(2), 30*rng.IntN(2)) })
}

// So it is where all events are alike, to the byte.
func TestSim_EventsThatAreAllAlikeLoseNothing(t *testing.T) {
	oneFaultAtATime(t, func(rng *rand.Rand) *sim {
		s := newSim(rng, 2+rng.IntN(2), 0)
		s.burst, s.a.threads, s.a.repeats = 2, 1, 1
		return s
	})
}

func oneFaultAtATime(t *testing.T, begin func(rng *rand.Rand) *sim) {
	all := faults()
	all["purge"] = func(s *sim, _ *node) {
		s.run(time.Second, false) // one between the events of a batch is a Gap
		s.js.purge(false)
	}
	all["made anew"] = func(s *sim, _ *node) {
		s.run(time.Second, false) // what the last stream alone had is a Gap
		s.js.purge(true)
	}
	kinds := slices.Sorted(maps.Keys(all))
	count, pause := map[string]int{}, map[string]time.Duration{}
	simulate(t, func(rng *rand.Rand) error {
		s := begin(rng)
		if !s.settle() {
			return errors.New("not all are in sync at the start")
		}
		for range 3 {
			kind := kinds[rng.IntN(len(kinds))]
			s.run(s.ms(300), true)
			n := s.leader()
			if rng.IntN(4) == 0 {
				n = s.nodes[rng.IntN(len(s.nodes))]
			}
			s.paused = 0
			all[kind](s, n)
			s.run(500*time.Millisecond, true)
			if !s.settle() {
				return fmt.Errorf("after %s not all are in sync", kind)
			}
			count[kind]++
			pause[kind] = max(pause[kind], s.paused)
		}
		s.run(5*time.Second, false)
		return cmp.Or(s.failure, s.check())
	})
	for _, kind := range kinds {
		t.Logf("%-18s %4d times, the longest pause %v", kind, count[kind], pause[kind])
	}
}

// However faults meet, nothing is twice and nothing out of order, a hole is where an
// epoch begins and nowhere else, and in the end one bridge leads and all others are in
// sync.
func TestSim_FaultsThatMeetAreTold(t *testing.T) {
	all := faults()
	kinds := slices.Sorted(maps.Keys(all))
	total := map[string]int{}
	simulate(t, func(rng *rand.Rand) error {
		s := newSim(rng, 1+rng.IntN(4), 0)
		s.a.repeats, s.a.shared, s.lossy = 0, false, true
		if !s.settle() {
			return errors.New("not all are in sync at the start")
		}
		for range 12 {
			all[kinds[rng.IntN(len(kinds))]](s, s.nodes[rng.IntN(len(s.nodes))])
			s.run(s.ms(3000), true)
			total["faults"]++
		}
		if !s.settle() {
			return errors.New("in the end not all are in sync")
		}
		s.run(time.Second, true)
		s.run(5*time.Second, false)
		total["Gaps"] += s.gaps
		total["lost"] += len(s.a.sent) - len(s.js.log)
		total["events"] += len(s.a.sent)
		return cmp.Or(s.failure, s.checkHoles())
	})
	t.Log(total)
}

// Bridges that begin at once claim behind one another, before they have heard of one another,
// and each as fast as NATS lets it: what one stores is not followed by what another has to say
// that claimed before it.
func TestSim_BridgesThatBeginAtOnce(t *testing.T) {
	gaps := 0
	simulate(t, func(rng *rand.Rand) error {
		s := newSim(rng, 2+rng.IntN(3), 0)
		s.a.repeats, s.a.shared, s.lossy = 0, false, true
		for range 5 {
			for _, n := range s.nodes {
				n.start(s.now)
				n.slow, n.deaf = 1000*rng.IntN(2), s.now.Add(s.ms(4000))
			}
			s.js.purge(rng.IntN(2) == 0)
			s.run(s.ms(6000), true)
			for _, n := range s.nodes {
				n.slow = 0
			}
			if !s.settle() {
				return errors.New("in the end not all are in sync")
			}
		}
		s.run(5*time.Second, false)
		gaps += s.gaps
		return cmp.Or(s.failure, s.checkHoles())
	})
	t.Logf("%d Gaps", gaps)
}

// checkHoles wants the stored events to be those sent, in order, but for holes where an
// epoch begins.
func (s *sim) checkHoles() error {
	place := map[int]int{}
	for i, e := range s.a.sent {
		place[e.content] = i
	}
	var last stored
	for i, m := range s.js.log {
		step := place[m.content] - place[last.content]
		switch {
		case m.id.N == 0 && m.id.Epoch == last.id.Epoch:
			return fmt.Errorf("the Gap of epoch %s is behind %v", m.id.Epoch, last.id)
		case m.id.N == 0:
			last.id = m.id
			continue
		case i == 0:
		case m.id.Epoch == last.id.Epoch && last.id.N > 0 && (m.id.N != last.id.N+1 || step != 1):
			return fmt.Errorf("%v, event %d, is behind %v, event %d", m.id, place[m.content], last.id, place[last.content])
		case m.id.Epoch != last.id.Epoch && !s.firsts[m.id.Epoch]:
			return fmt.Errorf("%v is behind %v, and no Gap between", m.id, last.id)
		case last.id.N == 0 && (m.id.N != 1 || step < 1):
			return fmt.Errorf("%v, event %d, begins an epoch behind %v, event %d", m.id, place[m.content], last.id, place[last.content])
		}
		last = m.stored
	}
	if left := len(s.a.sent) - 1 - place[last.content]; left != 0 {
		return fmt.Errorf("%d are not stored in the end", left)
	}
	return nil
}
