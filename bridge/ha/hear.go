package ha

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
)

// receive takes in what another bridge says of itself.
func (n *Node) receive(data []byte) {
	now := time.Now()
	h, err := standby.DecodeHeartbeat(data)
	if err == nil {
		h, err = n.parts.Add(h, now)
	}
	if err == nil && h == nil {
		return // others of its parts are to come
	}
	if err == nil {
		err = n.roster.Observe(h, now)
	}
	switch {
	case errors.Is(err, standby.ErrSameNode):
		n.onTwin(h, err, now)
		return
	case err != nil:
		n.log.Error("another bridge is not heard", zap.Error(err))
		return
	}
	if h.Node == n.o.Config.Node {
		n.onOwn(h.Seq, now)
		return
	}
	if !n.roster.Knows(h) {
		return // it came late: who sent it has said more since, or was replaced
	}
	n.others.observe(h, now, n.lately())
	n.takeProbes(h, now)
	for i := range h.Leads {
		s := n.named(h.Leads[i].Server)
		if s == nil || !s.begun.Load() {
			continue
		}
		l, ok := n.roster.Leader(s.Name)
		if !ok || l.Node != h.Node {
			continue
		}
		s.knew(l.Incarnation)
		if s.trouble.Load() != nil {
			s.trouble.Store(nil)
		}
		s.mute = l.Unable == standby.Mute
		n.step(s, standby.Event{Kind: standby.SawHeartbeat, Leader: l})
		if l.Mark.Term >= s.machine.Term() {
			s.Outbox.Observe(l.Mark, now)
			n.takeAnswers(s, &h.Leads[i], now)
		}
	}
}
