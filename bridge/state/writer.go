package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/present"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

const (
	// window is how many messages may be on their way to the bucket: what else
	// changes meanwhile waits as an object.
	window = 512
	// enough is the room for which a round is worth a look at all servers: who waits
	// for room waits until there is so much.
	enough = window / 4
	// turn is how many writes are taken from one server before the next has its.
	turn = 32
	// acksQueued bounds the acknowledgements that wait to be heard: each message has
	// two at the most, for a subscription is exchanged by having both.
	acksQueued = 2 * window
)

// writer writes what has changed at all servers into the bucket, and tells each server
// what became of it. Its goroutine is run; acknowledgements come on the connection's.
type writer struct {
	conn   *natsconn.Conn
	log    *zap.Logger
	inbox  string
	again  <-chan struct{} // the connection has come or gone
	wake   chan struct{}   // of capacity 1
	purge  time.Duration   // how long the mark of an end stays
	failed func(error)     // hears why something was not stored
	large  func(error)     // hears what was too large

	// Of its goroutine.
	active []*Server // those that have something to write
	at     int       // whose turn was last
	delays *backoff.ExponentialBackOff
	pause  time.Time // nothing is sent before

	looked time.Time // at what is not acknowledged
	onLook uint64    // the connect of then

	mu     sync.Mutex // protects the following
	slots  [window]slot
	free   []int
	fails  error     // since the goroutine looked
	well   bool      // something was stored since the last failure
	probes bool      // one message at a time, while they fail
	first  time.Time // that a message was refused, since it was calm
	last   time.Time // that one was
}

// slot is a place for one message on its way.
type slot struct {
	server *Server // nil: it is free
	write  present.Write
	turn   uint64 // which message of the slot's it is
	sent   time.Time
	on     uint64 // of which connect
}

func newWriter(c *natsconn.Conn, log *zap.Logger) *writer {
	w := &writer{conn: c, log: log, inbox: c.Inbox(), again: c.Watch(), wake: make(chan struct{}, 1), well: true}
	w.delays = backoff.NewExponentialBackOff()
	w.delays.InitialInterval, w.delays.MaxInterval = 250*time.Millisecond, 15*time.Second
	for i := range w.slots {
		w.free = append(w.free, i)
	}
	return w
}

// underWay returns how many messages are.
func (w *writer) underWay() int { return window - w.room() }

// room returns how many more may be.
func (w *writer) room() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.free)
}

// run writes until ctx ends.
func (w *writer) run(ctx context.Context, servers func() []*Server) {
	sub := &natsconn.Subscription{Subject: w.inbox + ".*", Handle: w.acknowledged, Made: func(sub *nats.Subscription) error {
		return sub.SetPendingLimits(acksQueued, -1)
	}}
	if err := w.conn.Add(sub); err != nil {
		w.log.Error("state: acknowledgements are not heard", zap.Error(err))
		return
	}
	defer func() { _ = w.conn.Stop(sub) }() // the connection ends either way
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(w.round(time.Now(), servers()))
		select {
		case <-timer.C:
		case <-w.wake:
		case <-w.again:
		case <-ctx.Done():
			return
		}
	}
}

// round sends what is due and there is room for, and returns how long it need not do
// so again.
func (w *writer) round(now time.Time, servers []*Server) time.Duration {
	w.expire(now)
	most := w.pace(now)
	w.active = slices.DeleteFunc(w.active, func(s *Server) bool { return s.gone.Load() })
	for _, s := range servers {
		if s.dirty.Swap(false) && !slices.Contains(w.active, s) {
			w.active = append(w.active, s)
		}
	}
	switch {
	case !w.conn.Up():
		return look
	case now.Before(w.pause):
		return w.pause.Sub(now)
	}
	for idle := 0; most > 0 && idle < len(w.active); {
		w.at = (w.at + 1) % len(w.active) // goes on where the last round ended
		n := w.take(w.active[w.at], now, min(turn, most))
		if most -= n; n > 0 {
			idle = 0
		} else {
			idle++
		}
	}
	if most == 0 {
		if w.room() >= enough { // it came during the round, and wakes nobody any more
			return 0
		}
		return look // or an acknowledgement, which wakes
	}
	return w.next(now)
}

// next returns in how long something is due, and forgets who has nothing.
func (w *writer) next(now time.Time) time.Duration {
	wait := look
	w.active = slices.DeleteFunc(w.active, func(s *Server) bool {
		due, any := s.present.Next(now)
		if any && s.leads(now) {
			wait = min(wait, due)
		}
		return !any
	})
	return max(wait, time.Millisecond)
}

// take sends what is due of one server.
func (w *writer) take(s *Server, now time.Time, most int) (n int) {
	if !s.leads(now) {
		return 0
	}
	l := w.conn.Get()
	for ; n < most; n++ {
		at, ok := w.slot()
		if !ok {
			return n
		}
		sl := &w.slots[at]
		if !s.present.Take(&sl.write, now) {
			w.giveBack(at)
			return n
		}
		msg := &nats.Msg{Subject: subjectPrefix + sl.write.Key, Reply: w.occupy(at, s), Data: sl.write.Value}
		if sl.write.End {
			msg.Data, msg.Header = nil, w.mark()
		}
		if err := w.conn.Publish(l, msg); err != nil {
			w.end(at, sl.turn, 0, err)
			return n
		}
	}
	return n
}

// mark is what makes a message the end of its key (NATS ADR-8), which goes itself in
// the end.
func (w *writer) mark() nats.Header {
	return nats.Header{
		"KV-Operation": []string{"PURGE"}, jetstream.MsgRollup: []string{jetstream.MsgRollupSubject},
		jetstream.MsgTTLHeader: []string{w.purge.String()},
	}
}

// slot takes a free slot.
func (w *writer) slot() (at int, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.free) == 0 {
		return 0, false
	}
	at = w.free[len(w.free)-1]
	w.free = w.free[:len(w.free)-1]
	return at, true
}

// giveBack frees a slot and returns how many are.
func (w *writer) giveBack(at int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.free = append(w.free, at)
	return len(w.free)
}

// occupy has the slot wait for an acknowledgement, and returns where that is to go.
func (w *writer) occupy(at int, s *Server) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	sl := &w.slots[at]
	sl.turn++
	sl.server, sl.sent, sl.on = s, time.Now(), w.conn.Connected()
	return w.inbox + "." + strconv.Itoa(at) + "-" + strconv.FormatUint(sl.turn, 10)
}

// acknowledged hears what JetStream says of a message.
func (w *writer) acknowledged(m *nats.Msg) {
	where, number, _ := strings.Cut(strings.TrimPrefix(m.Subject, w.inbox+"."), "-")
	at, err := strconv.Atoi(where)
	turn, otherErr := strconv.ParseUint(number, 10, 64)
	if err != nil || otherErr != nil || at < 0 || at >= window {
		return
	}
	revision, err := answerOf(m)
	w.end(at, turn, revision, err)
}

// answerOf returns the revision as which m says that the bucket has stored a message.
func answerOf(m *nats.Msg) (revision uint64, err error) {
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		return 0, nats.ErrNoResponders
	}
	var ack struct {
		Stream string
		Seq    uint64
		Error  *jetstream.APIError
	}
	switch err := json.Unmarshal(m.Data, &ack); {
	case err != nil:
		return 0, fmt.Errorf("an acknowledgement: %w", err)
	case ack.Stream != streams.StateStream && (ack.Stream != "" || ack.Error == nil): // what it refuses is its own
		return 0, fmt.Errorf("the stream %.40q answered for %s", ack.Stream, streams.StateStream)
	case ack.Error != nil:
		return 0, ack.Error
	case ack.Seq == 0:
		return 0, fmt.Errorf("the stream %.40q answered without a sequence", ack.Stream)
	}
	return ack.Seq, nil
}

// end ends the way of the slot's message of that turn, if it has not ended: it is stored as
// revision, or err says why not.
func (w *writer) end(at int, turn, revision uint64, err error) {
	w.mu.Lock()
	sl := &w.slots[at]
	if sl.server == nil || sl.turn != turn {
		w.mu.Unlock()
		return
	}
	s := sl.server
	sl.server = nil
	unfit := natsconn.TooLarge(err)
	switch {
	case unfit: // that says nothing of the bucket: tried again and again it would have all others wait
	case err != nil:
		w.fails, w.well = err, false
		w.refused(err, time.Now())
	default:
		w.well = true
	}
	wake := w.probes || err != nil && !unfit
	w.mu.Unlock()
	if err == nil {
		s.counts.writes.Add(1)
	} else {
		s.counts.refused.Add(1)
	}
	if unfit {
		w.large(err)
	}
	if unfit && !s.unfit.Swap(true) {
		s.log.Error("state: a value is larger than the bucket takes", zap.String("key", sl.write.Key), zap.Int("bytes", len(sl.write.Value)), zap.Error(err))
	}
	sl.write.Revision, sl.write.Unfit = revision, unfit
	s.present.Done(&sl.write, err == nil, time.Now())
	if free := w.giveBack(at); wake || free == enough {
		clock.Raise(w.wake)
	}
}

var (
	errNoAck = errors.New("no acknowledgement in time")
	errGone  = errors.New("the connection was lost before it was acknowledged")
)

// lookAcks is how often what was not acknowledged is looked at.
const lookAcks = 100 * time.Millisecond

// expire ends what was not acknowledged in time or was sent on a connection that is
// gone.
func (w *writer) expire(now time.Time) {
	connects := w.conn.Connected()
	if connects == w.onLook && now.Sub(w.looked) < lookAcks {
		return
	}
	w.looked, w.onLook = now, connects
	up := w.conn.Up()
	var gone, late [][2]uint64
	w.mu.Lock()
	for at := range w.slots {
		switch sl := &w.slots[at]; {
		case sl.server == nil:
		case !up || sl.on != connects:
			gone = append(gone, [2]uint64{uint64(at), sl.turn})
		case now.Sub(sl.sent) > natsconn.AckTimeout:
			late = append(late, [2]uint64{uint64(at), sl.turn})
		}
	}
	w.mu.Unlock()
	for _, one := range gone {
		w.end(int(one[0]), one[1], 0, errGone)
	}
	for _, one := range late {
		w.end(int(one[0]), one[1], 0, errNoAck)
	}
}

// pace returns how many messages may be sent now: while they fail one at a time
// probes, after waits that grow.
func (w *writer) pace(now time.Time) (most int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	failed := w.fails
	w.fails = nil
	switch {
	case failed != nil && !errors.Is(failed, errGone): // that says nothing of the bucket
		if !w.probes {
			w.log.Warn("state: the bucket does not take what has changed", zap.Error(failed))
		}
		if !w.probes || !now.Before(w.pause) {
			w.pause = now.Add(w.delays.NextBackOff())
		}
		w.probes = true
		w.failed(failed)
	case w.well && w.probes:
		w.log.Info("state: the bucket takes what has changed again")
		w.probes = false
		w.delays.Reset()
	}
	switch {
	case !w.probes:
		return len(w.free)
	case len(w.free) == window:
		return 1
	}
	return 0
}
