package status

import (
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox/outboxtest"
)

// What is dropped for an hour is told in a few lines, another reason at once, and
// at the end all of it.
func TestServer_DropsOfAnHour(t *testing.T) {
	s := testServer(t)
	core, logs := observer.New(zapcore.InfoLevel)
	s.log = zap.New(core)
	now := time.Now()
	said := map[string]uint64{}
	if s.logDrops(s.outbox.Account().Dropped, now); len(s.logged) > 0 {
		t.Errorf("of a server that has lost nothing %v is kept", s.logged)
	}
	tell := func() {
		s.logDrops(s.outbox.Account().Dropped, now)
		for _, line := range logs.TakeAll() {
			said[line.ContextMap()["reason"].(string)] += line.ContextMap()["count"].(uint64)
			said["lines"]++
			if since := line.ContextMap()["since"].(time.Time); since.Before(s.states.began) || since.After(now) {
				t.Errorf("since %v", since)
			}
		}
		now = now.Add(5 * time.Second)
	}
	for i := range 720 {
		s.outbox.RefuseAs(outboxtest.Entry(i), outbox.DropOverflow)
		tell()
		if i == 300 {
			before := said["lines"]
			s.outbox.Refuse(outboxtest.Entry(i))
			if tell(); said["lines"] != before+1 || said[outbox.DropOversize] != 1 {
				t.Errorf("another reason: %v", said)
			}
		}
	}
	if said["lines"] > 15 {
		t.Errorf("%d lines", said["lines"])
	}
	for _, told := range s.logged {
		told.End()
	}
	if tell(); said[outbox.DropOverflow] != 720 {
		t.Errorf("told of %d", said[outbox.DropOverflow])
	}
}
