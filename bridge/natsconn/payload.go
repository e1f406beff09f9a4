package natsconn

import "time"

// MaxPayload returns how many bytes a message may have that is sent on l now, as far as is
// known.
func (c *Conn) MaxPayload(l *Link) int {
	most := l.MaxPayload()
	if limit := c.limit.Load(); limit > 0 && time.Now().UnixNano() < c.limitEnd.Load() {
		most = min(most, limit-1)
	}
	return int(most)
}
