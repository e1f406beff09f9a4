package ha

import (
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
)

// says is what a Heartbeat says of s: that this bridge leads it, or stands by. Who claims anew
// what it led publishes nothing meanwhile and stands by, as a rule in sync: it reads the
// server, nobody begins to in its place, and others may claim before it. It is neither
// without a session, nor where something keeps it from leading: then it tries to
// (Node.tries), so that another reads in its place if that lasts.
func (n *Node) says(s *server, now time.Time) (leads *standby.Leads, stands *standby.Stands) {
	s.look()
	how, up := &s.how, s.up.Load()
	switch {
	case s.machine.Leads() && how.Leads:
		l := standby.LeadsOf(s.Name, how.Mark, s.machine.Heir())
		heir, _ := n.roster.Successor(s.Name, now)
		if l.Unable = n.unable(s, heir, now); s.machine.Undrained() {
			l.Unable = standby.Mute // whoever claims ends its batches until nothing can be stored any more
		}
		l.Answers = s.asks.of(how.Mark.Epoch, now.Add(-n.lately()))
		return &l, nil
	case up != 0 && !how.Leads && n.mayClaim():
		age := time.Since(s.began) - time.Duration(up)
		return nil, &standby.Stands{
			Server: s.Name, State: how.State.String(), Reason: how.Reason, Term: how.Term, Lag: how.Lag, AgeMS: max(0, age.Milliseconds()),
			LagMS: lagFor(how.Behind, now).Milliseconds(), Unable: n.unable(s, "", now), OldestMS: oldest(how.Oldest, now), Probe: s.Outbox.Probe(uint64(now.UnixNano())),
		}
	}
	return nil, nil
}

// lagFor is for how long something lags since then, at least a millisecond; 0 if nothing does.
func lagFor(since, now time.Time) time.Duration {
	if since.IsZero() {
		return 0
	}
	return max(time.Millisecond, now.Sub(since))
}

// publish has the others hear h, in as many parts as NATS wants.
func (n *Node) publish(h *standby.Heartbeat) {
	link := n.o.Conn.Get()
	all, err := h.EncodeWithin(n.o.Conn.MaxPayload(link))
	size := 0
	for _, data := range all {
		m := nats.NewMsg(n.subject(n.o.Config.Node))
		m.Data = data
		if err = n.o.Conn.Publish(link, m); err != nil {
			break
		}
		size += len(data)
	}
	n.pause = min(beat, max(beatLeast, time.Duration(size)*time.Second/beatRate))
	if err != nil && n.o.Conn.Up() {
		n.log.Error("no word to the other bridges", zap.Error(err))
	}
}
