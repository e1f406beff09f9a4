package ingest

import (
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
)

// The Gap says as well that Asterisk was not started anew since the last event of
// the process before, if the stream has told by the first of this one. That it
// was, nobody can be sure of: the Uptime alone may be that of a clock that was set.
func TestRecall_TellsWhetherAsteriskRestarted(t *testing.T) {
	for _, test := range []struct {
		name, uptime, want string
		known              bool
	}{
		{"up since before", "1000", "no", true},
		{"started since, or its clock was set", "5", "unknown", true},
		{"not known in time", "5", "unknown", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, login := testSource(t), time.Now()
			last := login.Add(-time.Minute).Round(0) // as the stream has it
			if test.known {
				s.outbox.SetLastBefore(last)
			}
			s.OnSession(amiconn.Change{Role: amiconn.RoleEvents, To: amiconn.StateUp, Session: "s1", At: login})
			s.watchRestart(amiconn.Event{At: time.Now(), Frame: fullyBooted(t, test.uptime)})
			s.outbox.SetLastBefore(last)
			_, _, told, ok := s.outbox.Take(nil)
			if !ok || told == nil || told.Reason != outbox.GapRestart || told.Restarted != test.want || told.From != last.UnixNano() {
				t.Errorf("%+v, want restarted %s", told, test.want)
			}
		})
	}
}

// A session that is lost again before an event has come leaves a Gap of its own,
// beside that of the loss before.
func TestRestart_ASecondLossBeforeAnyEventIsToldAsWell(t *testing.T) {
	s, start := testSource(t), time.Now().Add(-time.Minute)
	s.outbox.SetLastBefore(time.Time{})
	up := func(session string, after time.Duration) {
		s.OnSession(amiconn.Change{Role: amiconn.RoleEvents, To: amiconn.StateUp, Session: session, At: start.Add(after)})
	}
	down := func(session string, reason amiconn.Reason, after time.Duration) {
		s.OnSession(amiconn.Change{Role: amiconn.RoleEvents, To: amiconn.StateWaiting, Session: session, Reason: reason, At: start.Add(after)})
	}
	up("s1", 0)
	s.watchRestart(amiconn.Event{At: start, Frame: fullyBooted(t, "1000")})
	down("s1", amiconn.ReasonClosed, time.Second)
	up("s2", 2*time.Second)
	down("s2", amiconn.ReasonRead, 3*time.Second)
	up("s3", 4*time.Second)
	s.watchRestart(amiconn.Event{At: start.Add(5 * time.Second), Frame: fullyBooted(t, "1005")})
	var told []string
	for {
		_, _, gap, ok := s.outbox.Take(nil)
		if !ok {
			break
		}
		told = append(told, gap.Reason)
	}
	if len(told) != 2 || told[0] != string(amiconn.ReasonClosed) || told[1] != string(amiconn.ReasonRead) {
		t.Errorf("told are %v", told)
	}
}

// The Gap of a lost session begins at the last event, not at the last Pong, and
// ends at the login.
func TestRestart_AGapIsFromTheLastEventToTheLogin(t *testing.T) {
	s, start := testSource(t), time.Now().Add(-time.Hour).Truncate(time.Second)
	s.outbox.SetLastBefore(time.Time{})
	state := func(to amiconn.State, session string, after time.Duration) {
		s.OnSession(amiconn.Change{Role: amiconn.RoleEvents, To: to, Session: session, Reason: amiconn.ReasonRead, At: start.Add(after)})
	}
	state(amiconn.StateUp, "s1", 0)
	s.watchRestart(amiconn.Event{At: start.Add(time.Second), Frame: fullyBooted(t, "1000")})
	clock := func(login, told time.Duration) {
		c := pong(start.Add(told), 0)
		c.Born = start.Add(login)
		s.OnClock(c)
	}
	clock(0, 40*time.Second)
	state(amiconn.StateWaiting, "s1", 50*time.Second)
	state(amiconn.StateUp, "s2", time.Minute)
	clock(time.Minute, 61*time.Second)
	s.watchRestart(amiconn.Event{At: start.Add(62 * time.Second), Frame: fullyBooted(t, "1061")})
	_, _, told, ok := s.outbox.Take(nil)
	if !ok || told == nil || told.From != start.Add(time.Second).UnixNano() || told.To != start.Add(time.Minute).UnixNano() || told.Restarted != "no" {
		t.Errorf("%+v", told)
	}
}
