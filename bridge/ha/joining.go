package ha

import (
	"sync"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
)

// A standby that is joining asks who leads how far it has read, and each asks its own session
// for a Pong meanwhile: at once, for what is raised between tells the two less (package
// standby, bounds.go).

// pingRate is how many Pings a second are asked of all servers together at most: a thousand
// that are joining would else ask twenty thousand, and so be slow to join.
const pingRate = 1000

// pings are how the Pings of all servers are spaced.
type pings struct {
	wishes int           // since the last tick
	pause  time.Duration // between two of a server
}

// tick has the pause be what the wishes want, of which most come again.
func (p *pings) tick() {
	p.wishes, p.pause = 0, time.Duration(p.wishes)*(time.Second/pingRate)
}

// asks are what those who are joining ask of a server that this bridge leads. Its methods may
// be called from any goroutine.
type asks struct {
	mu      sync.Mutex // protects the following
	answers standby.Answers
}

func (a *asks) ask(node string, probe uint64, now time.Time) (ping bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.answers.Ask(node, probe, now)
}

func (a *asks) wait() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.answers.Wait()
}

func (a *asks) pong(asked time.Time, epoch string, n uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers.Pong(asked, epoch, n)
}

func (a *asks) of(epoch string, since time.Time) []standby.Answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.answers.Of(epoch, since)
}

func (a *asks) clear() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers.Clear()
}

// ping has the event session ask for a Pong, unless it was asked just now while many are.
func (n *Node) ping(s *server, now time.Time) {
	n.pings.wishes++
	if link := s.link.Load(); link != nil && now.Sub(s.pinged) >= n.pings.pause {
		s.pinged = now
		link.ping()
	}
}

// takeProbes takes in what a bridge asks of what this one leads.
func (n *Node) takeProbes(h *standby.Heartbeat, now time.Time) {
	for i := range h.Stands {
		b := &h.Stands[i]
		if s := n.named(b.Server); s != nil && s.led && s.asks.ask(h.Node, b.Probe, now) {
			n.ping(s, now)
		}
	}
}

// takeAnswers takes in what the leader of s has answered this bridge, and asks for the next
// Pong, which tells how far the session is behind the Mark that came with it.
func (n *Node) takeAnswers(s *server, l *standby.Leads, now time.Time) {
	for _, a := range l.Answers {
		if a.Node == n.o.Config.Node {
			s.Outbox.Answer(l.Epoch, a.Probe, a.N)
		}
	}
	if s.up.Load() == 0 {
		return
	}
	if s.look(); !s.inSync() {
		n.ping(s, now)
	}
}
