package amiconn

import (
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// A Pong tells the server's clock to the microsecond; one without a time, or of a
// session without events, tells nothing.
func TestRead_APongTellsTheServersClock(t *testing.T) {
	for _, test := range []struct {
		timestamp string
		role      Role
		want      time.Time
	}{
		{"1700000000.250001", RoleEvents, time.Unix(1700000000, 250001000)},
		{"1700000000.000042", RoleBoth, time.Unix(1700000000, 42000)},
		{"1700000000", RoleEvents, time.Unix(1700000000, 0)},
		{"1700000000.x", RoleEvents, time.Unix(1700000000, 0)},
		{"1700000000.250001", RoleActions, time.Time{}},
		{"", RoleEvents, time.Time{}},
		{"soon", RoleEvents, time.Time{}},
	} {
		var told Clock
		s := &Session{Role: test.role, born: time.Now().Add(-time.Minute), hooks: Hooks{Clock: func(c Clock) { told = c }}}
		s.pingAt.Store(int64(30 * time.Second))
		s.readAt = time.Now()
		s.pong(&frames.Frame{Headers: []frames.Header{header("Response", "Success"), header("Timestamp", test.timestamp)}})
		if !told.Server.Equal(test.want) {
			t.Errorf("%q: %v, want %v", test.timestamp, told.Server, test.want)
		}
		if !test.want.IsZero() && (!told.Born.Equal(s.born) || told.Sent.Sub(s.born) != 30*time.Second || !told.Received.Equal(s.readAt)) {
			t.Errorf("%q: %+v", test.timestamp, told)
		}
		if s.pingAt.Load() != 0 {
			t.Error("the Ping counts as unanswered")
		}
	}
}
