package bridge

import (
	"strconv"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
)

// gap is a hole in a server's events. In an outbox it stands where they are
// missing, and grows with them until it is sent; then it is final.
type gap struct {
	// from and to are Unix nanoseconds: the least and the greatest of the wall
	// clock's, so that one which is set makes a gap longer and never negative.
	from, to  int64
	reason    string
	lost      uint64
	unknown   bool   // nobody can know how many
	restarted string // yes, no or unknown after a lost session, else empty
	recall    bool   // from is when the last event was that the stream holds
	held      bool   // restarted is to be told; what is behind waits
	sent      bool   // at least once
}

// gapBytes is what a gap costs beside its entry.
const gapBytes = 96

// first returns g when it is sent for the first time, else nil.
func (g *gap) first() *gap {
	if g.sent {
		return nil
	}
	g.sent = true
	return g
}

// add notes one lost event.
func (g *gap) add(at int64) {
	if g.lost == 0 {
		g.from = at
	}
	g.from, g.to = min(g.from, at), max(g.to, at)
	g.lost++
}

// merge takes over what another gap of the same reason says.
func (g *gap) merge(other *gap) {
	g.from, g.to = min(g.from, other.from), max(g.to, other.to)
	g.lost += other.lost
	g.unknown = g.unknown || other.unknown
	if other.restarted == "yes" || g.restarted == "no" {
		g.restarted = other.restarted
	}
}

// appendTo writes the Gap event.
func (g *gap) appendTo(p []byte) []byte {
	p = append(p, `{"Event":"Gap","From":"`...)
	p = time.Unix(0, g.from).UTC().AppendFormat(p, clock.Format)
	p = append(p, `","To":"`...)
	p = time.Unix(0, g.to).UTC().AppendFormat(p, clock.Format)
	p = append(append(append(p, `","Reason":"`...), g.reason...), `","Lost":"`...)
	if g.unknown {
		p = append(p, "unknown"...)
	} else {
		p = strconv.AppendUint(p, g.lost, 10)
	}
	if g.restarted != "" {
		p = append(append(p, `","Restarted":"`...), g.restarted...)
	}
	return append(p, `"}`...)
}

// gapRestart is the reason of a Gap between two processes.
const gapRestart = "bridge_restart"
