package bridge

import (
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
)

// At an interval an operator hears of the session that is not up; of two, of
// the one that changed last.
func TestStates_TheWorstSessionIsToldOf(t *testing.T) {
	const up, waiting, connecting, stopped = amiconn.StateUp, amiconn.StateWaiting, amiconn.StateConnecting, amiconn.StateStopped
	start := time.Now()
	change := func(role amiconn.Role, to amiconn.State, second int) amiconn.Change {
		return amiconn.Change{Role: role, To: to, At: start.Add(time.Duration(second) * time.Second)}
	}
	for _, test := range []struct {
		event, action amiconn.Change
		want          amiconn.Role
	}{
		{change(0, up, 1), change(1, up, 2), amiconn.RoleActions},
		{change(0, up, 2), change(1, up, 1), amiconn.RoleEvents},
		{change(0, waiting, 1), change(1, up, 2), amiconn.RoleEvents},
		{change(0, up, 2), change(1, connecting, 1), amiconn.RoleActions},
		{change(0, waiting, 2), change(1, connecting, 1), amiconn.RoleEvents},
		{change(0, stopped, 1), change(1, waiting, 2), amiconn.RoleActions},
		{amiconn.Change{Role: 0}, change(1, up, 2), amiconn.RoleActions},
	} {
		s := states{sessions: []amiconn.Change{test.event, test.action}}
		if got, ok := s.worst(); !ok || got.Role != test.want {
			t.Errorf("of %v and %v it tells of %v, %v", test.event.To, test.action.To, got.Role, ok)
		}
	}
	if _, ok := (&states{sessions: []amiconn.Change{{Role: 0}, {Role: 1}}}).worst(); ok {
		t.Error("there is something to tell before the first change")
	}
}
