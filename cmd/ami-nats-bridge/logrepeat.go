package main

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const (
	// repeatInterval is how long a line's repeats are summed.
	repeatInterval = 10 * time.Second
	// maxRepeats bounds the lines that are remembered; over it a line is
	// written as if it were the first.
	maxRepeats = 1024
)

// sameFields are the fields in which repeats agree: a line about another server,
// or about another change of state, is another line.
var sameFields = []string{"server", "role", "reason", "from", "to", "stream", "subject", "connection", "restarted"}

// repeatKey is what repeats have in common.
type repeatKey struct {
	level           zapcore.Level
	logger, message string
	fields          string
}

// repeated is a line that was written, and what has come since.
type repeated struct {
	core   zapcore.Core
	entry  zapcore.Entry
	fields []zapcore.Field // of the last one
	count  int             // since the line was written
}

// repeats sums repeated lines: the first is written at once, those of the
// interval after it as one line with their number. It is safe for concurrent
// use.
type repeats struct {
	mu   sync.Mutex
	seen map[repeatKey]*repeated
}

// run writes the sums at each interval until ctx ends, and then once more.
func (r *repeats) run(ctx context.Context) {
	ticker := time.NewTicker(repeatInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			r.flush()
			return
		case <-ticker.C:
			r.flush()
		}
	}
}

// flush writes what was summed, and forgets the lines that did not come again.
func (r *repeats) flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, line := range r.seen {
		if line.count == 0 {
			delete(r.seen, key)
			continue
		}
		// A line that cannot be written is counted by the sink.
		_ = line.core.Write(line.entry, append(line.fields, zap.Int("repeated", line.count)))
		line.count = 0
	}
}

// again reports whether the line was summed instead of being first.
func (r *repeats) again(core zapcore.Core, key repeatKey, e zapcore.Entry, fields []zapcore.Field) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	line := r.seen[key]
	if line == nil {
		if len(r.seen) < maxRepeats {
			r.seen[key] = &repeated{core: core}
		}
		return false
	}
	line.core, line.entry = core, e
	line.fields = append(line.fields[:0], fields...)
	line.count++
	return true
}

// repeatCore is a zapcore.Core that sums repeats. Debug passes through.
type repeatCore struct {
	zapcore.Core
	repeats *repeats
	same    string // of the fields that With added
}

func (c *repeatCore) With(fields []zapcore.Field) zapcore.Core {
	return &repeatCore{c.Core.With(fields), c.repeats, appendSame(c.same, fields)}
}

func (c *repeatCore) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return checked.AddCore(e, c)
	}
	return checked
}

func (c *repeatCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	if e.Level > zapcore.DebugLevel {
		key := repeatKey{e.Level, e.LoggerName, e.Message, appendSame(c.same, fields)}
		if c.repeats.again(c.Core, key, e, fields) {
			return nil
		}
	}
	return c.Core.Write(e, fields)
}

func appendSame(same string, fields []zapcore.Field) string {
	for _, f := range fields {
		for _, name := range sameFields {
			if f.Key == name {
				same += "\x00" + name + "=" + value(f)
			}
		}
	}
	return same
}

// value is the text of a field that tells lines apart.
func value(f zapcore.Field) string {
	encoder := zapcore.NewMapObjectEncoder()
	f.AddTo(encoder)
	text, _ := encoder.Fields[f.Key].(string)
	return text
}
