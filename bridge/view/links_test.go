package view

import (
	"testing"
	"time"
)

// What a server's sessions and breaker are, how many Actions wait and how many events were
// dropped is said in a word each, for a column; nothing is said of what is not known now.
func TestServer_LinksInWords(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.node("b1", []string{"pbx1"}) // the server is not forgotten
	words := func(sessions, breaker, pending, dropped string) {
		t.Helper()
		s := w.of("pbx1")
		equal(t, "sessions", s.SessionsText(), sessions)
		equal(t, "breaker", s.BreakerText(), breaker)
		equal(t, "pending", s.PendingText(), pending)
		equal(t, "dropped", s.DroppedText(), dropped)
	}
	w.tell("pbx1", "gap", fields{"from": text(t0), "to": text(t0), "reason": "start"})
	words("", "", "", "")
	w.up("pbx1")
	w.tell("pbx1", "breaker", fields{"to": "closed", "since": text(w.now)})
	w.tell("pbx1", "buffers", buffers(50_000, 31_796, dropped("shed", 18204), fields{"pending_actions": fields{"depth": 7, "capacity": 1024}}))
	words("2 up", "closed", "7", Count(18_204))
	w.tell("pbx1", "connection", fields{"role": "action2", "to": "up", "since": text(w.now)})
	words("3 up", "closed", "7", Count(18_204))
	w.tell("pbx1", "connection", fields{"role": "action2", "to": "waiting", "since": text(w.now), "reason": "closed"})
	w.tell("pbx1", "breaker", fields{"to": "half-open", "since": text(w.now)})
	words("2 of 3 up", "half-open", "7", Count(18_204))
	w.pass(time.Minute) // b1 says nothing any more
	words("", "", "", "")
}
