package replay

import "strconv"

// GapFinder watches the numbers of all events of some servers in their order, and
// finds what no Gap explains.
type GapFinder struct {
	// Begun says that the first event of each server may have others before it
	// that were not selected.
	Begun   bool
	servers map[string]*numbers
}

type numbers struct {
	sessions  map[string]uint64 // the last number of each
	announced uint64            // lost, as Gaps said, and not met yet
}

// See returns how many events are missing before e that no Gap explains, and
// whether e is one that was there before.
func (h *GapFinder) See(e *Event) (missing uint64, repeated bool) {
	n := h.servers[e.Server]
	if n == nil {
		if h.servers == nil {
			h.servers = make(map[string]*numbers)
		}
		n = &numbers{sessions: make(map[string]uint64)}
		h.servers[e.Server] = n
	}
	switch {
	case e.IsGap():
		if lost, err := strconv.ParseUint(e.Gap().Lost, 10, 64); err == nil {
			n.announced += lost
		}
		return 0, false
	case e.Number == 0:
		return 0, false // not of the bridge's
	}
	last, known := n.sessions[e.Session]
	if !known && len(n.sessions) == 0 && h.Begun {
		last = e.Number - 1
	}
	if known && e.Number <= last {
		return 0, true
	}
	n.sessions[e.Session] = e.Number
	missing = e.Number - last - 1
	explained := min(missing, n.announced)
	n.announced -= explained
	return missing - explained, false
}
