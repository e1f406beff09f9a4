package amisim

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// maxCalls bounds the calls of one traffic that live at once; those that would
// come on top do not come.
const maxCalls = 10_000

// Traffic describes calls: through a trunk to a phone or to a queue, by a
// dialer over Local channels, answered or not. The same Seed gives the same
// calls.
type Traffic struct {
	// CallsPerSecond is how many calls begin in a second on average; 1 if 0.
	CallsPerSecond float64
	// EventsPerSecond, if set, sends that many events a second, evenly, with
	// the calls' time running as fast or slow as that takes.
	EventsPerSecond float64
	// A call rings and talks for these times, evenly distributed: if both of a
	// pair are 0, for 1 to 4 s and 3 to 20 s.
	RingMin, RingMax time.Duration
	TalkMin, TalkMax time.Duration
	Seed             uint64
}

// RunTraffic makes calls until ctx ends, then returns nil; the channels then
// alive vanish. It starts no goroutine.
func (s *Server) RunTraffic(ctx context.Context, t Traffic) error {
	g, err := newGenerator(s, t)
	if err != nil {
		return err
	}
	defer g.stop()
	start := time.Now()
	for n := 0; ; {
		at := g.due.list[0].at
		if t.EventsPerSecond > 0 {
			at = start.Add(time.Duration(float64(n) / t.EventsPerSecond * float64(time.Second)))
		}
		if !waitUntil(ctx, at) {
			return nil
		}
		if t.EventsPerSecond > 0 {
			e := g.next()
			s.broadcast(e.class, e.frame)
			n++
			continue
		}
		g.step()
		for _, e := range g.take() {
			s.broadcast(e.class, e.frame)
		}
	}
}

// Flood sends n events of calls as fast as the sessions take them, and returns
// when the last is queued, which is at most 1 MiB before it is sent. Without a
// session it does not wait. If ctx ends first, its error is returned.
func (s *Server) Flood(ctx context.Context, n int, t Traffic) error {
	const between = 64
	g, err := newGenerator(s, t)
	if err != nil {
		return err
	}
	defer g.stop()
	for i := range n {
		if i%between == 0 {
			if err := s.awaitRoom(ctx); err != nil {
				return err
			}
		}
		e := g.next()
		s.broadcast(e.class, e.frame)
	}
	return ctx.Err()
}

// waitUntil reports whether at came before ctx ended.
func waitUntil(ctx context.Context, at time.Time) bool {
	d := time.Until(at)
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

type event struct {
	class string
	frame []byte
}

// generator plays calls on a clock of its own. What a call does next waits in
// due, so no goroutine waits. Not safe for concurrent use.
type generator struct {
	srv   *Server
	t     Traffic
	rng   *rand.Rand
	due   timers
	clock time.Time // of the step under way
	out   []event
	alive map[*channel]struct{}
	calls int
}

func newGenerator(s *Server, t Traffic) (*generator, error) {
	t.CallsPerSecond = cmp.Or(t.CallsPerSecond, 1)
	if t.RingMin == 0 && t.RingMax == 0 {
		t.RingMin, t.RingMax = time.Second, 4*time.Second
	}
	if t.TalkMin == 0 && t.TalkMax == 0 {
		t.TalkMin, t.TalkMax = 3*time.Second, 20*time.Second
	}
	if t.CallsPerSecond < 0 || t.EventsPerSecond < 0 || t.RingMin < 0 || t.TalkMin < 0 ||
		t.RingMax < t.RingMin || t.TalkMax < t.TalkMin {
		return nil, errors.New("traffic: a negative value, or a minimum over its maximum")
	}
	g := &generator{
		srv: s, t: t, clock: time.Now(),
		rng:   rand.New(rand.NewPCG(t.Seed, 0)),
		alive: make(map[*channel]struct{}),
	}
	g.after(0, g.arrive)
	return g, nil
}

// step plays the next moment of some call. There always is one: arrive.
func (g *generator) step() {
	next := g.due.pop()
	g.clock = next.at
	next.f()
}

// next returns the next event, however much of the calls' time that takes.
func (g *generator) next() event {
	for len(g.out) == 0 {
		g.step()
	}
	e := g.out[0]
	g.out[0] = event{}
	if g.out = g.out[1:]; len(g.out) == 0 {
		g.out = g.out[:0:0]
	}
	return e
}

func (g *generator) take() []event {
	out := g.out
	g.out = nil
	return out
}

func (g *generator) after(d time.Duration, f func()) { g.due.push(g.clock.Add(d), f) }

func (g *generator) between(low, high time.Duration) time.Duration {
	return low + time.Duration(g.rng.Int64N(int64(high-low)+1))
}

// arrive begins a call, and the next one after a while.
func (g *generator) arrive() {
	g.after(time.Duration(g.rng.ExpFloat64()/g.t.CallsPerSecond*float64(time.Second)), g.arrive)
	if g.calls >= maxCalls {
		return
	}
	g.calls++
	g.newCall().begin()
}

func (g *generator) stop() {
	for c := range g.alive {
		g.srv.live.drop(c)
	}
}

// send appends an event with the blocks of a channel and of a destination, if
// there are such, and more headers.
func (g *generator) send(name, class string, c, dest *channel, headers ...string) {
	frame := g.srv.beginEvent(make([]byte, 0, 512), name, class)
	if c != nil {
		frame = c.appendTo(frame, "")
	}
	if dest != nil {
		frame = dest.appendTo(frame, "Dest")
	}
	g.finish(class, frame, headers...)
}

func (g *generator) finish(class string, frame []byte, headers ...string) {
	frame = append(appendHeaders(frame, headers), "\r\n"...)
	g.out = append(g.out, event{class, frame})
}
