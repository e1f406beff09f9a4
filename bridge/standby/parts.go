package standby

import (
	"errors"
	"fmt"
	"time"
)

const (
	// maxParts bounds the parts of a Heartbeat: the largest one goes where NATS takes 8 KiB.
	maxParts = 256
	// partsPatience is for how long the parts of one that is not whole are kept.
	partsPatience = 2 * time.Second
)

// EncodeWithin returns the Heartbeat as JSON, with this Version: in one message, or, where
// that would be of more than limit bytes, in parts. Parts are read by bridges of Version 2 and
// later. Others hear nothing of it, as they did of one that NATS did not take.
func (h *Heartbeat) EncodeWithin(limit int) ([][]byte, error) {
	limit = min(limit, MaxMessage)
	data, err := h.encode()
	if err != nil || len(data) <= limit {
		return [][]byte{data}, err
	}
	for n := max(2, len(data)/max(1, limit)+1); n <= maxParts; n += max(1, n/8) {
		if all := h.split(n, limit); all != nil {
			return all, nil
		}
	}
	return nil, fmt.Errorf("it is of %d bytes, and NATS takes %d: raise max_payload", len(data), limit)
}

// split returns the Heartbeat in n parts; nil if one of them is of more than limit bytes.
func (h *Heartbeat) split(n, limit int) (all [][]byte) {
	for i := range n {
		part := *h
		part.Needs, part.Part, part.Parts = parts, i+1, n
		part.Servers, part.Leads, part.Stands, part.Tries = piece(h.Servers, i, n), piece(h.Leads, i, n), piece(h.Stands, i, n), piece(h.Tries, i, n)
		data := part.appendJSON(nil)
		if len(data) > limit {
			return nil
		}
		all = append(all, data)
	}
	return all
}

// piece is the i'th of n pieces.
func piece[T any](all []T, i, n int) []T { return all[i*len(all)/n : (i+1)*len(all)/n] }

// Parts are Heartbeats of which not all parts have come: one of each process, the newest. Who
// sends another loses what was before. It is not safe for concurrent use.
type Parts struct {
	by map[string]*partial // by incarnation
}

// partial is a Heartbeat of which some parts have come.
type partial struct {
	parts []*Heartbeat // by number
	left  int
	at    time.Time // when the first came
}

var errParts = errors.New("parts of too many other bridges wait for the rest")

// Add takes in a Heartbeat, or a part of one. It returns the whole one, when all parts are
// there; else nil.
func (p *Parts) Add(h *Heartbeat, now time.Time) (*Heartbeat, error) {
	if h.Parts == 0 {
		return h, nil
	}
	one := p.by[h.Incarnation]
	switch {
	case one == nil:
		if !p.admit(now) {
			return nil, errParts
		}
	case one.seq() > h.Seq && now.Sub(one.at) <= partsPatience:
		return nil, nil
	}
	if one == nil || one.seq() != h.Seq || len(one.parts) != h.Parts {
		one = &partial{make([]*Heartbeat, h.Parts), h.Parts, now}
		p.by[h.Incarnation] = one
	}
	if one.parts[h.Part-1] == nil {
		one.parts[h.Part-1] = h
		one.left--
	}
	if one.left > 0 {
		return nil, nil
	}
	delete(p.by, h.Incarnation)
	return one.whole()
}

// admit makes room for one more.
func (p *Parts) admit(now time.Time) bool {
	if p.by == nil {
		p.by = make(map[string]*partial)
	}
	for incarnation, one := range p.by {
		if now.Sub(one.at) > partsPatience {
			delete(p.by, incarnation)
		}
	}
	return len(p.by) < maxBridges
}

// seq is the number of the Heartbeat.
func (p *partial) seq() uint64 {
	for _, h := range p.parts {
		if h != nil {
			return h.Seq
		}
	}
	return 0
}

// whole puts the parts together.
func (p *partial) whole() (*Heartbeat, error) {
	h := *p.parts[0]
	h.Part, h.Parts = 0, 0
	for _, part := range p.parts[1:] {
		h.Servers, h.Leads = append(h.Servers, part.Servers...), append(h.Leads, part.Leads...)
		h.Stands, h.Tries = append(h.Stands, part.Stands...), append(h.Tries, part.Tries...)
	}
	if err := h.check(); err != nil {
		return nil, fmt.Errorf("no message of a bridge: %w", err)
	}
	return &h, nil
}
