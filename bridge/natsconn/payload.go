package natsconn

import "time"

// MaxPayload returns how many bytes a message may have that is sent on l now, as far as is
// known.
func (c *Conn) MaxPayload(l *Link) int {
	most := l.MaxPayload()
	if limit := c.limitNow(); limit > 0 {
		most = min(most, limit-1)
	}
	return int(most)
}

// limitNow is limitAt now. It looks at the clock only where there was a limit: it is asked for each
// message.
func (c *Conn) limitNow() int64 {
	if c.limit.Load() == 0 {
		return 0
	}
	return c.limitAt(time.Now())
}

// limitAt is the size of a payload that has shown to be too large; 0 if none is known at now.
func (c *Conn) limitAt(now time.Time) int64 {
	if limit := c.limit.Load(); limit > 0 && c.since(now) < c.limitEnd.Load() {
		return limit
	}
	return 0
}
