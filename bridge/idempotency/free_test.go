package idempotency

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config/configtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/journal"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/journal/journaltest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn/conntest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// unacknowledged is a cache whose claim of a key was stored, perhaps, and not acknowledged in time.
type unacknowledged struct {
	*Cache
	conn  *natsconn.Conn
	claim journal.Entry
	told  *[]*Outcome
}

func newUnacknowledged(t *testing.T, c *natsconn.Conn, key string) *unacknowledged {
	t.Helper()
	cfg := configtest.Valid()
	r := New(&cfg, "mine", c, &journaltest.Fake{Limit: QueueBytes}, func(error) {}, zap.NewNop())
	w := &waiter{told: new([]*Outcome)}
	r.Claim(keyOf(key), w)
	_, entry := written(t, r.shared)
	return &unacknowledged{r, c, entry, w.told}
}

func (u *unacknowledged) store(t *testing.T) uint64 {
	t.Helper()
	msg := nats.NewMsg(u.claim.Msg.Subject)
	msg.Data = u.claim.Msg.Data
	ack, err := u.conn.Get().JS.PublishMsg(t.Context(), msg)
	if err != nil {
		t.Fatal(err)
	}
	return ack.Sequence
}

// A claim that is in the bucket though it was not acknowledged, at once or later, is free there as soon as it is seen:
// its request was refused, and another bridge would wait for it. What others, or later requests, have made of the key
// stays.
func TestFree_AClaimThatWasNotAcknowledged(t *testing.T) {
	c := conntest.Open(t, natstest.Start(t, t.TempDir(), 0).ClientURL())
	cfg := configtest.Valid()
	all := streams.New(&cfg, []*natsconn.Conn{c}, func() {}, func(context.Context, string, streams.State) {}, zap.NewNop())
	natstest.Within(t, "the bucket", func() bool { all.Check(t.Context()); return all.Well() })
	lost := errors.New("no acknowledgement in time")

	u := newUnacknowledged(t, c, "stored")
	at := u.store(t)
	u.claim.Done(nil, lost)
	if len(*u.told) != 1 || (*u.told)[0].Error.Kind != "idempotency_unavailable" || (*u.told)[0].Error.Sent != "no" {
		t.Errorf("told %+v", *u.told)
	}
	freed := func(u *unacknowledged, at uint64) {
		t.Helper()
		e, entry := written(t, u.shared)
		if e.State != "free" || e.Run != "mine" || entry.Msg.Header.Get(jetstream.ExpectedLastSubjSeqHeader) != strconv.FormatUint(at, 10) || !entry.Must {
			t.Errorf("%+v is written, %v", e, entry.Msg.Header)
		}
	}
	(<-u.shared.work)(t.Context())
	freed(u, at)

	u = newUnacknowledged(t, c, "later")
	u.claim.Done(nil, lost)
	look := <-u.shared.work
	ended := make(chan struct{})
	go func() { defer close(ended); look(t.Context()) }()
	at = u.store(t)
	<-ended
	freed(u, at)

	u = newUnacknowledged(t, c, "again")
	u.claim.Done(nil, lost)
	u.store(t)
	w := &waiter{told: new([]*Outcome)}
	u.Claim(keyOf("again"), w) // the same caller once more
	_, again := written(t, u.shared)
	if _, err := c.Get().JS.Publish(t.Context(), again.Msg.Subject, again.Msg.Data); err != nil {
		t.Fatal(err)
	}
	(<-u.shared.work)(t.Context())
	if n := len(u.shared.journal.(*journaltest.Fake).Take(10)); n != 0 {
		t.Errorf("%d are written over the claim of another request", n)
	}

	for what, err := range map[string]error{
		"refused": &jetstream.APIError{ErrorCode: natsconn.StreamMessageExceedsMaximum}, "not sent": nats.ErrDisconnected, "over": journal.ErrEnded,
	} {
		u = newUnacknowledged(t, c, what)
		u.claim.Done(nil, err)
		if len(u.shared.work) != 0 {
			t.Errorf("%s: it is looked for", what)
		}
	}
}

// Only so many are looked for, and no longer than it makes sense.
func TestFree_IsBounded(t *testing.T) {
	t.Parallel()
	s, _ := sharing()
	s.places, s.work = make(chan struct{}, maxKeysAwaited), make(chan func(context.Context), maxKeysAwaited)
	for range maxFreed + 5 {
		s.free(&Entry{}, 1)
	}
	if len(s.work) != maxFreed || len(s.places) != maxFreed {
		t.Errorf("%d are looked for", len(s.work))
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	s.conn = conntest.Open(t, natstest.Start(t, t.TempDir(), 0).ClientURL())
	(<-s.work)(ctx)
	if n := s.freeing.Load(); n != maxFreed-1 {
		t.Errorf("%d are looked for when one has ended", n)
	}
}
