package main

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
// and counted, and a warning says how many as soon as writing is possible
// again. It is safe for concurrent use.
type logSink struct {
	w      io.Writer
	notice func(lost uint64, reason string) []byte
	lost   atomic.Uint64
	wake   chan struct{} // holds one token: there is something to write
	done   chan struct{} // closed when the drainer has returned

	mu       sync.Mutex // protects the following
	buf      []byte     // whole lines
	lines    int
	closed   bool
	overflow uint64 // lines lost because buf was full, since the last notice
	failed   uint64 // lines lost because a write failed, since the last notice
}

// newLogSink starts writing to w. notice makes the line that tells of a loss.
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
		s.overflow++
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
			var last bool
			batch, last = s.take(batch[:0])
			if len(batch) > 0 && !s.write(batch) && last {
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
// came before it.
func (s *logSink) take(spare []byte) (batch []byte, last bool) {
	s.mu.Lock()
	overflow, failed := s.overflow, s.failed
	batch, s.buf = s.buf, spare
	s.lines, s.overflow, s.failed = 0, 0, 0
	last = s.closed
	s.mu.Unlock()
	if overflow > 0 {
		batch = append(batch, s.notice(overflow, "the log's reader was too slow")...)
	}
	if failed > 0 && (len(batch) > 0 || last) {
		batch = append(batch, s.notice(failed, "the log could not be written")...)
	} else if failed > 0 {
		s.mu.Lock()
		s.failed += failed // told with the next line, or this would spin on a closed pipe
		s.mu.Unlock()
	}
	return batch, last
}

func (s *logSink) write(batch []byte) bool {
	n, err := s.w.Write(batch)
	if err == nil {
		return true
	}
	lines := uint64(bytes.Count(batch[n:], []byte("\n")))
	s.lost.Add(lines)
	s.mu.Lock()
	s.failed += lines
	s.mu.Unlock()
	return false
}
