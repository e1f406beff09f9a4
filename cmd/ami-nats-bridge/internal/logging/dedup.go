package logging

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const (
	// repeatInterval is how long the repeats of a line are held back.
	repeatInterval = 10 * time.Second
	// repeatKeys bounds the lines that are remembered. What comes on top is
	// written as it is.
	repeatKeys = 1024
)

// dedup sums lines that repeat: the first is written at once, and at the end
// of each interval one line with the fields of the last and, as "repeated",
// how many there were since the line before. After an interval without one the
// next is a first one again. It is safe for concurrent use.
type dedup struct {
	group sync.WaitGroup
	wake  chan struct{} // holds one token: the queue has begun
	stop  chan struct{}

	mu     sync.Mutex // protects the following
	seen   map[lineKey]*repeated
	queue  []*repeated // all that are seen, by deadline
	closed bool
}

// lineKey is what makes two lines the same.
type lineKey struct {
	logger, message, fields string
	level                   zapcore.Level
}

// repeated is a line in its interval.
type repeated struct {
	key      lineKey
	deadline time.Time
	held     int // repeats since the last line that was written
	// The last of them:
	core   zapcore.Core
	entry  zapcore.Entry
	fields []zapcore.Field
}

// newDedup starts the goroutine that writes the sums. Close joins it.
func newDedup() *dedup {
	r := &dedup{wake: make(chan struct{}, 1), stop: make(chan struct{}), seen: make(map[lineKey]*repeated)}
	r.group.Go(r.run)
	return r
}

// Close writes the sums that are due later. From then on all lines pass.
func (r *dedup) Close() {
	r.mu.Lock()
	closed := r.closed
	r.closed = true
	r.mu.Unlock()
	if !closed {
		close(r.stop)
	}
	r.group.Wait()
}

// hold reports whether the line waits for the end of its interval.
func (r *dedup) hold(key lineKey, core zapcore.Core, e zapcore.Entry, fields []zapcore.Field) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	if line := r.seen[key]; line != nil {
		line.held++
		line.core, line.entry, line.fields = core, e, Freeze(line.fields[:0], fields)
		return true
	}
	if len(r.seen) >= repeatKeys {
		return false
	}
	line := &repeated{key: key, deadline: time.Now().Add(repeatInterval)}
	r.seen[key] = line
	if r.queue = append(r.queue, line); len(r.queue) == 1 {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
	return false
}

func (r *dedup) run() {
	timer := time.NewTimer(repeatInterval)
	defer timer.Stop()
	for {
		next, more := r.flush(time.Now(), false)
		if more {
			timer.Reset(time.Until(next))
		}
		select {
		case <-r.wake:
		case <-timer.C:
		case <-r.stop:
			r.flush(time.Now(), true)
			return
		}
	}
}

// flush writes the sums whose interval is over, or all, and forgets what did
// not repeat. It returns the next deadline, if there is one.
func (r *dedup) flush(now time.Time, all bool) (next time.Time, more bool) {
	r.mu.Lock()
	var due []repeated
	for len(r.queue) > 0 && (all || !r.queue[0].deadline.After(now)) {
		line := r.queue[0]
		r.queue[0] = nil
		r.queue = r.queue[1:]
		if line.held == 0 {
			delete(r.seen, line.key)
			continue
		}
		due = append(due, *line)
		if all {
			continue
		}
		*line = repeated{key: line.key, deadline: now.Add(repeatInterval)}
		r.queue = append(r.queue, line)
	}
	if more = len(r.queue) > 0; more {
		next = r.queue[0].deadline
	}
	r.mu.Unlock()
	for _, line := range due {
		// The entry keeps its own time: sorted by it, the log is in order.
		_ = line.core.Write(line.entry, append(line.fields, zap.Int("repeated", line.held))) // the sink never fails
	}
	return next, more
}

// Freeze appends copies of fields that stay as they are when their owner goes
// on and changes what they point to.
func Freeze(to, fields []zapcore.Field) []zapcore.Field {
	for _, f := range fields {
		switch {
		case f.Type == zapcore.ByteStringType:
			to = append(to, zap.String(f.Key, string(f.Interface.([]byte))))
		case f.Type == zapcore.BinaryType:
			to = append(to, zap.Binary(f.Key, slices.Clone(f.Interface.([]byte))))
		case lazy(f):
			to = append(to, render(f)...)
		default:
			to = append(to, f)
		}
	}
	return to
}

// repeatCore hands lines to repeats first.
type repeatCore struct {
	zapcore.Core
	dedup *dedup
	with  string // what the fields of With add to the keys of its lines
}

func (r *dedup) wrap(core zapcore.Core) zapcore.Core { return &repeatCore{Core: core, dedup: r} }

// With remembers which of the fields tell lines apart.
func (c *repeatCore) With(fields []zapcore.Field) zapcore.Core {
	return &repeatCore{c.Core.With(fields), c.dedup, c.with + apart(fields)}
}

// Check lets Debug pass, for whoever asks for it wants every line.
func (c *repeatCore) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if e.Level < zapcore.InfoLevel || e.Level > zapcore.ErrorLevel {
		return c.Core.Check(e, to)
	}
	if c.Enabled(e.Level) {
		return to.AddCore(e, c)
	}
	return to
}

// Write writes the line unless it is a repeat. One with a count is a sum
// already, and the sum of sums would have to be made by whoever knows what
// they count.
func (c *repeatCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	sum := slices.ContainsFunc(fields, func(f zapcore.Field) bool { return f.Key == "count" })
	key := lineKey{e.LoggerName, e.Message, c.with + apart(fields), e.Level}
	if !sum && c.dedup.hold(key, c.Core, e, fields) {
		return nil
	}
	return c.Core.Write(e, fields)
}

// apartKeys are the fields that make two lines with one message different.
var apartKeys = strings.Fields("server role reason stream subject connection event from to restarted cause error")

var digits = regexp.MustCompile(`[0-9]+`)

// apart is the part of a line's key that its fields make. Times do not tell
// lines apart, and neither do the numbers, such as ports, in an error's text.
func apart(fields []zapcore.Field) string {
	var key strings.Builder
	for _, f := range fields {
		if !slices.Contains(apartKeys, f.Key) {
			continue
		}
		text := f.String
		switch {
		case f.Type == zapcore.ByteStringType:
			text = string(f.Interface.([]byte))
		case lazy(f):
			for _, shown := range render(f) {
				text += shown.String
			}
		}
		if f.Key == "cause" || f.Key == "error" {
			text = digits.ReplaceAllLiteralString(text, "0")
		}
		key.WriteString(f.Key + "=" + text + "\x00")
	}
	return key.String()
}
