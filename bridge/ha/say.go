package ha

import (
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
)

// says is what a Heartbeat says of s: that this bridge leads it, or stands by. Who claims anew
// what it led publishes nothing meanwhile and stands by, as a rule in sync: it reads the
// server, nobody begins to in its place, and others may claim before it. It is neither
// without a session, nor where something keeps it from leading: then it tries to
// (Node.tries), so that another reads in its place if that lasts.
func (n *Node) says(s *server, now time.Time) (leads *standby.Leads, stands *standby.Stands) {
	how, up := s.Outbox.Shared(s.machine.Term()), s.up.Load()
	switch {
	case s.machine.Leads() && how.Leads:
		l := standby.LeadsOf(s.Name, how.Mark, s.machine.Heir())
		heir, _ := n.roster.Successor(s.Name, now)
		l.Unable = n.unable(s, heir, now)
		l.Answers = s.asks.of(how.Mark.Epoch, now.Add(-n.lately()))
		return &l, nil
	case up != 0 && !how.Leads && n.mayClaim():
		age := time.Since(s.began) - time.Duration(up)
		return nil, &standby.Stands{
			Server: s.Name, State: how.State.String(), Reason: how.Reason, Term: how.Term, Lag: how.Lag, AgeMS: max(0, age.Milliseconds()),
			Unable: n.unable(s, "", now), OldestMS: oldest(how.Oldest, now), Probe: s.Outbox.Probe(uint64(now.UnixNano())),
		}
	}
	return nil, nil
}
