package actions

import "sync/atomic"

// asked counts what other bridges were asked for, by what became of it. It may be read from
// any goroutine.
type asked struct {
	asked, answered, refused, unled, unanswered atomic.Uint64
}

// Asked returns how many requests of e another bridge was asked for, and by what became of
// them how many have ended: answered (it replied what became of the Action), refused (it
// replied that it did not take it), unled (no bridge took the question) and unanswered (nobody
// knows what became of it). The rest waits.
func (e *Endpoint) Asked() (n uint64, ended map[string]uint64) {
	ended = map[string]uint64{
		"answered": e.asked.answered.Load(), "refused": e.asked.refused.Load(),
		"unled": e.asked.unled.Load(), "unanswered": e.asked.unanswered.Load(),
	}
	return e.asked.asked.Load(), ended
}
