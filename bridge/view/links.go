package view

// SessionsText says how many of a server's sessions are up: "3 up", "2 of 3 up". Empty if
// nothing is known of them now.
func (s *Server) SessionsText() string {
	if len(s.Sessions) == 0 || s.State == StateUnknown {
		return ""
	}
	n := 0
	for i := range s.Sessions {
		if s.Sessions[i].State == up {
			n++
		}
	}
	if all := len(s.Sessions); n < all {
		return Count(uint64(n)) + " of " + Count(uint64(all)) + " up"
	}
	return Count(uint64(n)) + " up"
}

// BreakerText is the state of a server's breaker in a word: "closed", "half-open", "open".
// Empty if it is not known now.
func (s *Server) BreakerText() string {
	if s.Breaker == nil || s.State == StateUnknown {
		return ""
	}
	return s.Breaker.State
}

// DroppedText is how many events of a server were dropped since its bridge began. Empty if
// that is not known now.
func (s *Server) DroppedText() string {
	if s.Account == nil || s.State == StateUnknown {
		return ""
	}
	return Count(s.Account.DroppedSum())
}

// PendingText is how many Actions wait for their reply. Empty if that is not known now.
func (s *Server) PendingText() string {
	if s.Buffers == nil || s.State == StateUnknown {
		return ""
	}
	return Count(uint64(max(s.Buffers.Pending.Depth, 0)))
}
