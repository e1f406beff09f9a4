package outbox

import (
	"strconv"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
)

// Gap is a hole in a server's events. In an outbox it stands where they are
// missing, and grows with them until it is sent; then it is final.
type Gap struct {
	// from and to are Unix nanoseconds: the least and the greatest of the wall
	// clock's, so that one which is set makes a gap longer and never negative.
	From, To  int64
	Reason    string
	Lost      uint64
	Unknown   bool   // nobody can know how many
	Restarted string // yes, no or unknown after a lost session, else empty
	Resume    bool   // from is when the last event was that the stream holds
	Held      bool   // restarted is to be told; what is behind waits
	asks      int    // with HA: the sessions that ended here; who leads decides whether it begins an epoch
	sent      bool   // at least once
}

// gapBytes is what a gap costs beside its entry.
const gapBytes = 96

// first returns g when it is sent for the first time, else nil.
func (g *Gap) first() *Gap {
	if g.sent {
		return nil
	}
	g.sent = true
	return g
}

// add notes one lost event.
func (g *Gap) add(at int64) {
	if g.Lost == 0 {
		g.From = at
	}
	g.From, g.To = min(g.From, at), max(g.To, at)
	g.Lost++
}

// merge takes over what another gap of the same reason says.
func (g *Gap) merge(other *Gap) {
	g.From, g.To = min(g.From, other.From), max(g.To, other.To)
	g.Lost += other.Lost
	g.asks += other.asks
	g.Unknown = g.Unknown || other.Unknown
	if other.Restarted == "yes" || g.Restarted == "no" {
		g.Restarted = other.Restarted
	}
}

// AppendJSON appends the Gap event, as NATS has it.
func (g *Gap) AppendJSON(p []byte) []byte {
	p = append(p, `{"Event":"Gap","From":"`...)
	p = time.Unix(0, g.From).UTC().AppendFormat(p, clock.Format)
	p = append(p, `","To":"`...)
	p = time.Unix(0, g.To).UTC().AppendFormat(p, clock.Format)
	p = append(append(append(p, `","Reason":"`...), g.Reason...), `","Lost":"`...)
	if g.Unknown {
		p = append(p, "unknown"...)
	} else {
		p = strconv.AppendUint(p, g.Lost, 10)
	}
	if g.Restarted != "" {
		p = append(append(p, `","Restarted":"`...), g.Restarted...)
	}
	return append(p, `"}`...)
}

// GapRestart is the reason of a Gap between two processes.
const GapRestart = "bridge_restart"
