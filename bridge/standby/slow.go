package standby

import "time"

const (
	// slowPatience is how many times as long bridges may be silent while NATS is slow, or this
	// bridge: to claim and to read what they do makes it slower.
	slowPatience = 3
	// slowFewest is of how many others most are silent then. Of fewer it may well be that
	// most have died.
	slowFewest = 4
)

// Slow reports whether most other bridges that were heard a moment ago are silent at once:
// that is rather NATS, or this bridge, than they.
func (r *Roster) Slow(now time.Time) bool {
	others, silent := 0, 0
	for _, m := range r.members {
		if d := now.Sub(m.at); m.Node != r.self && d <= slowPatience*lostAfter {
			if others++; d > r.silence {
				silent++
			}
		}
	}
	return others >= slowFewest && 2*silent > others
}
