package ingest

import (
	"strings"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clocktest"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// A clock that is set while a session is away makes no Gap that ends before it
// begins, and no restart of Asterisk.
func TestClock_SetWhileASessionIsAway(t *testing.T) {
	for _, jump := range clocktest.Jumps {
		for uptime, want := range map[string]string{"1000": "no", "3": "yes"} {
			s := testSource(t)
			s.outbox.SetLastBefore(time.Time{}) // there was no process before
			start := time.Now()
			first := fullyBooted(t, "990")
			s.OnSession(amiconn.Change{Role: amiconn.RoleEvents, To: amiconn.StateUp, Session: "s1", At: start})
			s.OnClock(pong(start, 0))
			s.watchRestart(amiconn.Event{At: start, Frame: first})
			s.OnSession(amiconn.Change{Role: amiconn.RoleEvents, To: amiconn.StateWaiting, Session: "s1", Reason: amiconn.ReasonClosed, At: start.Add(9 * time.Second)})
			back := clocktest.Set(t, start.Add(10*time.Second), jump)
			s.OnSession(amiconn.Change{Role: amiconn.RoleEvents, To: amiconn.StateUp, Session: "s2", At: back})
			s.watchRestart(amiconn.Event{At: back, Frame: fullyBooted(t, uptime)})
			s.OnClock(pong(back, -jump)) // the server's clock is as it was
			_, _, told, ok := s.outbox.Take(nil)
			if !ok || told == nil {
				t.Fatalf("set by %v: no Gap", jump)
			}
			if told.Restarted != want {
				t.Errorf("set by %v: restarted is %s, want %s", jump, told.Restarted, want)
			}
			if length := time.Duration(told.To - told.From); told.To != back.UnixNano() || length < 10*time.Second || jump <= 0 && length != 10*time.Second {
				t.Errorf("set by %v: the Gap is %v long", jump, length)
			}
		}
	}
}

// pong is what a Pong read at that time says of a server whose clock is ahead.
func pong(at time.Time, ahead time.Duration) amiconn.Clock {
	return amiconn.Clock{Born: at, Sent: at, Received: at, Server: at.Round(0).Add(ahead)}
}

func fullyBooted(t *testing.T, uptime string) *frames.Frame {
	t.Helper()
	f, err := frames.NewReader(strings.NewReader("Event: FullyBooted\r\nUptime: "+uptime+"\r\n\r\n"), 1<<12).Next()
	if err != nil {
		t.Fatal(err)
	}
	return f
}
