package harness

import (
	"errors"
	"sync/atomic"

	"go.uber.org/zap/zapcore"
)

// Explosive is a zapcore.Core that panics on the line of a corrupt frame.
type Explosive struct{ Panics atomic.Int64 }

var errExplosive = errors.New("explosive")

// Enabled takes every level, as zapcore.LevelEnabler.
func (e *Explosive) Enabled(zapcore.Level) bool { return true }

// With keeps no fields, as zapcore.Core.
func (e *Explosive) With([]zapcore.Field) zapcore.Core { return e }

// Sync has nothing to write, as zapcore.Core.
func (e *Explosive) Sync() error { return nil }

// Check takes every line, as zapcore.Core.
func (e *Explosive) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	return checked.AddCore(entry, e)
}

// Write panics on the line of a corrupt frame, as zapcore.Core.
func (e *Explosive) Write(entry zapcore.Entry, _ []zapcore.Field) error {
	if entry.Message == "corrupt frame" {
		e.Panics.Add(1)
		panic(errExplosive)
	}
	return nil
}
