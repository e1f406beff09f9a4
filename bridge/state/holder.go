package state

import (
	"bytes"
	"context"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
)

// holder has the key <server>.server, or waits for it. Whoever has it writes the
// server's state: each write of it takes the place of the holder's own last one and of
// nothing else, and it expires when the holder has written none for three intervals of
// the status.
//
// The fields but for the last two are for who drives the server.
type holder struct {
	key      string
	node     string
	interval time.Duration // between two writes
	ttl      time.Duration
	led      bool // a Leader says whose the key is, and no other keeps it from that one

	revision uint64    // of the last write; 0: it is not held
	written  []byte    // by that
	unsure   []byte    // by a later one of which nobody knows whether it is stored
	next     time.Time // when it is written, or looked at, again
	ever     bool      // it was held by this process
	said     string    // the last error that the log has told of
	known    time.Time // when the bucket last said whose it is

	began time.Time    // what until counts from, on the monotonic clock
	until atomic.Int64 // nanoseconds: held for sure
	other atomic.Pointer[string]
}

func newHolder(server, node string, interval time.Duration) *holder {
	// A time to live is of whole seconds.
	ttl := max(time.Second, (3*interval + time.Second - 1).Truncate(time.Second))
	return &holder{key: server + serverSuffix, node: node, interval: interval, ttl: ttl, began: time.Now(), known: time.Now()}
}

// leads reports whether the key is held at now. It looks at no bucket: the time that a
// write is good for, less a sixth of it, counts from before it was sent. So a bridge
// that was frozen, or cut off, knows that another may write by now.
func (h *holder) leads(now time.Time) bool { return int64(now.Sub(h.began)) < h.until.Load() }

// deaf reports whether the bucket has not said whose the key is for longer than a key
// lasts, and nobody but this node was known to hold it: NATS is not there, or does not
// answer.
func (h *holder) deaf(now time.Time) bool { return now.Sub(h.known) > h.ttl && h.elsewhere() == "" }

// elsewhere returns the node that holds the key, "" if it is this one, or none.
func (h *holder) elsewhere() string {
	if other := h.other.Load(); other != nil {
		return *other
	}
	return ""
}

func (h *holder) setOther(node string) (changed bool) {
	changed = h.elsewhere() != node
	h.other.Store(&node)
	return changed
}

// isDue reports whether keep would write the key, or look at it.
func (h *holder) isDue(value []byte, now time.Time) bool {
	return !now.Before(h.next) || h.revision > 0 && !h.says(value)
}

// keep writes the key again if it is held and value is another or the interval is
// over, and looks at it if another has it. It reports whether it is newly held by
// this, after which all that is in the bucket may be another's.
func (h *holder) keep(ctx context.Context, b *bucket, value []byte, log *zap.Logger) (isNew bool) {
	if !h.isDue(value, time.Now()) {
		return false
	}
	if h.revision > 0 {
		err := h.write(ctx, b, value, h.revision)
		if err == nil {
			return false
		}
		if !natsconn.Overtaken(err) {
			h.tell(log, "state: the server's key was not written", err)
			h.next = time.Now().Add(h.interval)
			return false
		}
		h.let()
	}
	return h.claim(ctx, b, value, log)
}

// claim takes the key if nobody has it, or an earlier process of the same node, or if a
// Leader has said that it is this bridge's: whoever led before loses it by that.
func (h *holder) claim(ctx context.Context, b *bucket, value []byte, log *zap.Logger) bool {
	last, err := b.last(ctx, h.key)
	h.next = time.Now().Add(h.interval)
	if err != nil {
		h.tell(log, "state: the server's key was not read", err)
		return false
	}
	h.known = time.Now()
	// A write whose acknowledgement was lost is this process's own.
	if !h.led && !last.gone && (last.node != h.node || h.ever) && !bytes.Equal(last.value, h.unsure) {
		if last.ttl > 0 { // what is left of it is no more than that
			h.next = time.Now().Add(min(h.interval, last.ttl/4))
		}
		if h.setOther(last.node) {
			log.Info("state is written by another node", zap.String("node", last.node))
		}
		return false
	}
	if err := h.write(ctx, b, value, last.revision); err != nil {
		if natsconn.Overtaken(err) {
			h.next = time.Now() // by whom, the next look tells
		} else {
			h.tell(log, "state: the server's key was not written", err)
		}
		return false
	}
	if h.setOther("") {
		log.Info("state is written by this node")
	}
	h.ever = true
	return true
}

func (h *holder) write(ctx context.Context, b *bucket, value []byte, after uint64) error {
	sent := time.Now()
	revision, err := b.put(ctx, h.key, value, h.ttl, after)
	if err != nil {
		if !natsconn.Overtaken(err) {
			h.unsure = append(h.unsure[:0], value...)
		}
		return err
	}
	h.written, h.known = append(h.written[:0], value...), time.Now()
	h.revision, h.next, h.said = revision, sent.Add(h.interval), ""
	h.until.Store(int64(sent.Add(h.ttl * 5 / 6).Sub(h.began)))
	return nil
}

// says reports whether value is what the key was last written with.
func (h *holder) says(value []byte) bool { return h.revision > 0 && bytes.Equal(value, h.written) }

// let gives the key up.
func (h *holder) let() {
	h.revision = 0
	h.until.Store(0)
}

// tell logs an error that was not told of last.
func (h *holder) tell(log *zap.Logger, what string, err error) {
	if err.Error() != h.said {
		h.said = err.Error()
		log.Warn(what, zap.Error(err))
	}
}
