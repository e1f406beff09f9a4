package amiconn

import (
	"slices"
	"sync"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// outgoing is one Action on its way to the socket.
type outgoing struct {
	id   string // ActionID to ask the table about; empty for Ping and Logoff
	data []byte
	may  func() bool // see Action; nil for yes
}

// writeQueue is the write buffer of a Session, bounded in bytes. When it is
// full, reserve refuses: the caller is told that the server is busy. Bytes are
// given back once they are written.
type writeQueue struct {
	limit int
	start func() // has a writer begin, which calls take until it gets nothing; called with mu held

	mu        sync.Mutex // protects the following
	waiting   []outgoing
	writing   bool // somebody writes, a writer or another: nobody else may
	actions   int  // with their bytes: waiting, or being written
	bytes     int
	highWater int
	closed    bool
}

func newWriteQueue(limit int, start func()) *writeQueue {
	return &writeQueue{limit: limit, start: start}
}

// reserve takes room for n bytes, to be used by commit or returned by cancel.
func (q *writeQueue) reserve(n int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrNotConnected
	}
	if q.bytes+n > q.limit {
		return ErrBusy
	}
	q.actions++
	q.bytes += n
	q.highWater = max(q.highWater, q.bytes)
	return nil
}

func (q *writeQueue) cancel(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.actions--
	q.bytes -= n
}

// give gives back n bytes of an Action that is written in part.
func (q *writeQueue) give(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bytes -= n
}

// commit queues o, for which room was reserved. It reports whether anybody still
// writes.
func (q *writeQueue) commit(o outgoing) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.waiting = append(q.waiting, o)
	if !q.writing {
		q.writing = true
		q.start()
	}
	return true
}

// exceed takes room for n bytes of a Ping or a Logoff, which a full buffer must not keep
// from the socket: they are few and small.
func (q *writeQueue) exceed(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.actions++
	q.bytes += n
}

// take returns what waits and leaves an empty queue. It is for the writer, which has to
// end if it gets nothing.
func (q *writeQueue) take(spare []outgoing) (taken []outgoing) {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken, q.waiting = q.waiting, nil
	if q.writing = len(taken) > 0; q.writing {
		q.waiting = spare[:0]
	}
	return taken
}

// begin reports whether nobody writes, and nothing waits: then who asks may write, and calls
// wrote.
func (q *writeQueue) begin() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.writing || len(q.waiting) > 0 {
		return false
	}
	q.writing = true
	return true
}

// wrote ends what begin has begun. What is left of an Action, if anything, goes before all
// others. That, and what waits by now, is a writer's.
func (q *writeQueue) wrote(left outgoing) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(left.data) > 0 && !q.closed {
		q.waiting = slices.Insert(q.waiting, 0, left)
	}
	if q.writing = len(q.waiting) > 0; q.writing {
		q.start()
	}
}

func (q *writeQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.waiting = nil
}

// depth returns the Actions and the bytes that wait, and the most bytes that
// ever did.
func (q *writeQueue) depth() (actions, bytes, highWater int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.actions, q.bytes, q.highWater
}

// write is the writer, which is there while something waits that nobody could write without
// waiting: one Action at a time, each in one write but for TLS. An
// Action whose call has ended while it waited, or that may not be written any more, is
// not written at all. One that has begun is written to its end.
func (s *Session) write() {
	for batch := s.queue.take(nil); len(batch) > 0 && s.cause.Load() == nil; batch = s.queue.take(batch) {
		for i, o := range batch {
			batch[i] = outgoing{}
			if s.writes(o) {
				if !s.writeOne(o.data) {
					return
				}
			}
			s.queue.cancel(len(o.data))
		}
	}
}

// writes reports whether o is to be written now. One that may not be has not begun: that it
// was not sent is certain, and its caller is told so.
func (s *Session) writes(o outgoing) bool {
	switch {
	case o.id == "":
		return true
	case o.may != nil && !o.may():
		s.table.Withdraw(o.id, ErrWithdrawn)
		return false
	}
	return s.table.Sent(o.id)
}

// writeOne writes within ReadTimeout: a server that takes nothing for so long
// is as dead as one that says nothing.
func (s *Session) writeOne(data []byte) bool {
	err := s.conn.SetWriteDeadline(time.Now().Add(s.cfg.ReadTimeout))
	if err == nil {
		_, err = frames.WriteChunks(s.conn, data, s.chunk)
	}
	if err == nil {
		err = s.conn.SetWriteDeadline(noDeadline) // also for writeNow
	}
	switch {
	case err == nil:
		return true
	case timedOut(err):
		s.end(ReasonWriteTimeout, err)
	default:
		s.end(ReasonWrite, err)
	}
	return false
}
