package logging

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
)

// The bounds of what waits to be written. As much again may be in the hands
// of a write that does not return.
const (
	sinkBytes = 1 << 20
	sinkLines = 8192
)

// logSink is a zapcore.WriteSyncer that never blocks. Lines wait in a bounded
// buffer for one goroutine that writes them; when it is full, lines are lost
// and counted, and one warning says how many and why as soon as writing is
// possible again. It is safe for concurrent use.
type logSink struct {
	w      io.Writer
	notice func(lost uint64, reason string) []byte
	lost   atomic.Uint64
	wake   chan struct{} // holds one token: there is something to write
	done   chan struct{} // closed when the drainer has returned
	broken bool          // the drainer's: the last write failed

	mu     sync.Mutex // protects the following
	buf    []byte     // whole lines
	lines  int
	closed bool
	untold losses
}

// losses counts lost lines by cause.
type losses struct {
	slow   uint64 // the buffer was full
	failed uint64 // a write failed
}

func (l losses) reason() string {
	switch {
	case l.failed == 0:
		return "the log's reader was too slow"
	case l.slow == 0:
		return "the log could not be written"
	}
	return "the log's reader was too slow, and the log could not be written"
}

// newLogSink starts writing to w. notice makes the line that reports a loss.
func newLogSink(w io.Writer, notice func(lost uint64, reason string) []byte) *logSink {
	s := &logSink{w: w, notice: notice, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go s.drain() // joined by Close
	return s
}

// Write takes one line. It never blocks and never fails.
func (s *logSink) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.buf)+len(line) > sinkBytes || s.lines >= sinkLines {
		s.untold.slow++
		s.lost.Add(1)
		return len(line), nil
	}
	s.buf = append(s.buf, line...)
	s.lines++
	s.signal()
	return len(line), nil
}

// Sync does nothing: to wait for the writer would be to block.
func (s *logSink) Sync() error { return nil }

// Lost returns how many lines were lost so far.
func (s *logSink) Lost() uint64 { return s.lost.Load() }

// Close takes no more lines and waits until all are written or ctx ends. After
// an error the drainer is still stuck in a write.
func (s *logSink) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.signal()
	s.mu.Unlock()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("flush the log: %w", ctx.Err())
	}
}

// signal is called with the lock held, so that it never waits: one token is
// enough for any number of lines.
func (s *logSink) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *logSink) drain() {
	defer close(s.done)
	var batch []byte
	for range s.wake {
		for {
			var noticed losses
			var last bool
			batch, noticed, last = s.take(batch[:0])
			if len(batch) > 0 && !s.write(batch, noticed) && last {
				return // nothing to gain from another try at the end
			}
			if len(batch) == 0 {
				if last {
					return
				}
				break
			}
		}
	}
}

// take swaps the buffers and puts the notice of a loss behind the lines that
// came before it. After a failed write it waits for a line to go with the
// notice, or it would spin on a closed pipe.
func (s *logSink) take(spare []byte) (batch []byte, noticed losses, last bool) {
	s.mu.Lock()
	batch, s.buf, s.lines = s.buf, spare, 0
	last = s.closed
	if len(batch) > 0 || last || !s.broken {
		noticed, s.untold = s.untold, losses{}
	}
	s.mu.Unlock()
	if lost := noticed.slow + noticed.failed; lost > 0 {
		batch = append(batch, s.notice(lost, noticed.reason())...)
	}
	return batch, noticed, last
}

// write counts the lines that it could not write. The notice is no such line:
// what it told is to be told again.
func (s *logSink) write(batch []byte, noticed losses) bool {
	n, err := s.w.Write(batch)
	s.broken = err != nil
	if err == nil {
		return true
	}
	lines := uint64(bytes.Count(batch[n:], []byte("\n")))
	if noticed != (losses{}) && lines > 0 {
		lines--
	}
	s.lost.Add(lines)
	s.mu.Lock()
	s.untold.slow += noticed.slow
	s.untold.failed += noticed.failed + lines
	s.mu.Unlock()
	return false
}
