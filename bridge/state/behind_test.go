package state

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// The bucket is behind once messages are refused for longer than a moment, also while some are stored in
// between, and until none has been for a while.
func TestWriter_IsBehindWhileTheBucketRefuses(t *testing.T) {
	w := startWriting(t, 1, 4)
	if now := time.Now(); w.writer.isBehind(now) || w.writer.isBehind(now.Add(time.Hour)) {
		t.Error("it is behind, and nothing was refused")
	}
	const refusal = `{"error":{"code":400,"err_code":10111,"description":"message rollup not permitted"}}`
	answer(t, w.next(t, 4), refusal)
	answer(t, w.next(t, 1), stored) // a probe
	answer(t, w.next(t, 1), refusal)
	natstest.Within(t, "two rounds are refused", func() bool { return w.servers.all()[0].Counts().WritesRefused >= 5 })
	if now := time.Now(); w.writer.isBehind(w.first()) || !w.writer.isBehind(w.first().Add(behindAfter+calmFor/2)) {
		t.Errorf("since %v behind now: %v", now.Sub(w.first()), w.writer.isBehind(now))
	}
	natstest.Within(t, "all is stored", func() bool {
		if m, err := w.came.NextMsg(time.Millisecond); err == nil {
			answer(t, []*nats.Msg{m}, stored)
		}
		return w.servers.all()[0].Counts().Writes >= 4
	})
	natstest.Within(t, "it is calm", func() bool { return !w.writer.isBehind(time.Now().Add(calmFor)) })
}

func (w *writing) first() time.Time {
	w.writer.mu.Lock()
	defer w.writer.mu.Unlock()
	return w.writer.first
}

// What the bucket lacks for it is refused is not called live.
func TestServer_IsNotLiveWhileTheBucketIsBehind(t *testing.T) {
	stands := streams.OK
	s, server := aState(&stands)
	s.Seen(stands)
	s.bucket = aBucket(t)
	now := time.Now()
	server.OnSession(amiconn.Change{Role: amiconn.RoleEvents, To: amiconn.StateUp, At: now, Session: "s1"})
	server.hold(t.Context()) // it has the key
	server.present.Booted(now)
	for ask, due := server.present.Due(now); due; ask, due = server.present.Due(now) {
		server.present.Fail(server.present.Begin(ask, now), "timeout", now)
	}
	server.knows = true
	for _, step := range []struct {
		probes      bool
		first, last time.Duration // ago
		want        string
	}{{false, time.Hour, time.Hour, "live"}, {true, 0, 0, "live"}, {true, 2 * behindAfter, 0, "syncing"}, {false, 2 * behindAfter, 0, "syncing"}, {false, time.Hour, 2 * calmFor, "live"}} {
		w := s.writer
		w.mu.Lock()
		w.probes, w.first, w.last = step.probes, time.Now().Add(-step.first), time.Now().Add(-step.last)
		w.mu.Unlock()
		server.hold(t.Context())
		if last, err := s.bucket.last(t.Context(), "pbx1.server"); err != nil || !strings.Contains(string(last.value), `"state":"`+step.want+`"`) {
			t.Errorf("%+v: the key says %s, %v", step, last.value, err)
		}
	}
}
