package natsconn

import "time"

// MaxPayload returns how many bytes a message may have that is sent on l now, as far as is
// known.
func (c *Conn) MaxPayload(l *Link) int {
	most := l.MaxPayload()
	if limit := c.limitAt(time.Now()); limit > 0 {
		most = min(most, limit-1)
	}
	return int(most)
}

// limitAt is the size of a payload that has shown to be too large; 0 if none is known at now.
func (c *Conn) limitAt(now time.Time) int64 {
	if limit := c.limit.Load(); limit > 0 && c.since(now) < c.limitEnd.Load() {
		return limit
	}
	return 0
}
