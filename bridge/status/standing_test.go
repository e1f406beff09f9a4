package status

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn/conntest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// sharedServer is a testServer that another bridge has too.
type sharedServer struct {
	*Server
	speaks, sure bool
	standing     standby.Standing
}

func newShared(t *testing.T) *sharedServer {
	s := &sharedServer{Server: testServer(t), sure: true}
	s.Share(Shared{
		Speaks: func() bool { return s.speaks }, Sure: func() bool { return s.sure }, Standing: func() *standby.Standing { return &s.standing },
	})
	return s
}

// waiting are the subjects of what waits to be published.
func (s *sharedServer) waiting() string {
	var all []string
	for _, m := range s.publisher.waiting {
		all = append(all, strings.TrimPrefix(m.key.Subject, "ami.status.pbx1."))
	}
	return strings.Join(all, " ")
}

// Who does not speak for a server publishes nothing of it. Who begins to says at once who
// leads, and all else as soon as it is looked; who ends leaves nothing behind.
func TestStanding_WhoSpeaksSaysAllAtOnce(t *testing.T) {
	s, link := newShared(t), amiconn.Status{Breaker: amiconn.BreakerStatus{State: amiconn.BreakerClosed}}
	s.standing = standby.Standing{Leader: "b2", Term: 1}
	change := amiconn.Change{Name: "event", Role: amiconn.RoleEvents, To: amiconn.StateUp, At: time.Now()}
	s.OnSession(change)
	s.OnBreaker(amiconn.BreakerChange{To: amiconn.BreakerClosed, At: time.Now()})
	s.OnStanding(false)
	s.Tick(time.Now(), &link)
	s.Look(time.Now(), func() amiconn.Status { return link })
	if got := s.waiting(); got != "" {
		t.Errorf("it stands by, and says %s", got)
	}
	s.speaks = true
	s.standing = standby.Standing{Leader: "b1", Term: 2, Since: time.Now(), Reason: "silence", Standbys: []standby.Standby{
		{Node: "b2", State: standby.InSync, Lag: 3, LagFor: 1250 * time.Millisecond}, {Node: "b3", State: standby.Apart, Reason: standby.Differs},
		{Node: "b4", State: standby.InSync, Lag: 3}, {Node: "b5", State: standby.InSync}, {Node: "b6", State: standby.Joining, Reason: standby.Alike},
	}}
	s.OnSession(change)
	if got := s.waiting(); got != "" {
		t.Errorf("it has not said yet that it leads, and says %s", got)
	}
	s.OnStanding(true)
	if got := s.waiting(); got != "ha" || len(s.publisher.changed) != 1 {
		t.Errorf("it leads, and says %q; %d wake the status", got, len(s.publisher.changed))
	}
	for _, want := range []string{
		`"server":"pbx1","node":"b1"`, `"trigger":"change","leader":"b1","term":2`, `"reason":"silence"`,
		`"standbys":[{"node":"b2","state":"in_sync","lag":3,"lag_s":1.25},{"node":"b3","state":"apart","reason":"differs","lag":null,"lag_s":null},`,
		`{"node":"b4","state":"in_sync","lag":3,"lag_s":null},{"node":"b5","state":"in_sync","lag":0,"lag_s":0},{"node":"b6","state":"joining","reason":"alike","lag":null,"lag_s":null}]`,
	} {
		if body := string(s.publisher.waiting[0].body); !strings.Contains(body, want) {
			t.Errorf("it says %s, and not %s", body, want)
		}
	}
	s.Look(time.Now(), func() amiconn.Status { return link })
	if got := s.waiting(); got != "ha ha connection breaker buffers" {
		t.Errorf("it leads, and says %s", got)
	}
	s.speaks = false
	s.OnStanding(false)
	s.OnSession(change)
	if got := s.waiting(); got != "" {
		t.Errorf("it leads no more, and says %s", got)
	}
}

// A bridge that was frozen or cut off publishes nothing of a server before it knows that it
// speaks for it still; then nothing is missing, or nothing comes. Others' messages go on.
func TestStanding_WhoIsNotSureWaits(t *testing.T) {
	for _, stays := range []bool{true, false} {
		server := natstest.Start(t, t.TempDir(), 0)
		nc, _ := natstest.Client(t, server.ClientURL())
		sub, err := nc.SubscribeSync("ami.>")
		if err == nil {
			err = nc.Flush() // what comes by another connection is behind it
		}
		if err != nil {
			t.Fatal(err)
		}
		s := newShared(t)
		s.publisher = NewPublisher(conntest.Open(t, server.ClientURL()), func(string, []byte) {}, zap.NewNop())
		ends := 0
		next := func(want string) {
			t.Helper()
			ends++
			end := fmt.Sprint("end", ends) // behind all that comes
			s.publisher.Publish(s.subjects.Status(end, ""), "")
			s.publisher.Flush()
			var got []string
			for {
				m, err := sub.NextMsg(natstest.Patience)
				if err != nil {
					t.Fatal(err)
				}
				what := strings.TrimPrefix(m.Subject, "ami.status.pbx1.")
				if what == end {
					break
				}
				if !strings.HasPrefix(what, "end") { // one of before is published once more
					got = append(got, what)
				}
			}
			if text := strings.Join(got, " "); text != want {
				t.Errorf("stays %v: %q, want %q", stays, text, want)
			}
		}
		s.speaks, s.standing.Leader = true, "b1"
		s.publishStanding(triggerChange)
		next("ha")
		s.sure = false
		s.publisher.Repeat() // it was cut off
		s.publishStanding(triggerInterval)
		next("")
		s.sure, s.speaks = true, stays
		if stays {
			next("ha ha")
			continue
		}
		next("")
		s.publisher.Repeat()
		next("")
	}
}
