package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// logOutput is where a logger's lines go. Close it once.
type logOutput struct {
	*logSink
	repeats *repeats
}

// Close writes what was summed, takes no more lines and waits until all are
// written or ctx ends.
func (o *logOutput) Close(ctx context.Context) error {
	o.repeats.Close()
	return o.logSink.Close(ctx)
}

// newLogger makes the process's logger on w: repeats are summed, secrets taken
// out, and the lines written without ever blocking whoever logs.
func newLogger(w io.Writer, format logFormat, level zapcore.LevelEnabler, r *redactor) (*zap.Logger, *logOutput) {
	encoding := zap.NewProductionEncoderConfig()
	encoding.EncodeTime = zapcore.ISO8601TimeEncoder
	encoding.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.NewJSONEncoder(encoding)
	if format == formatConsole {
		encoding.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder = zapcore.NewConsoleEncoder(encoding)
	}
	sink := newLogSink(w, func(lost uint64, reason string) []byte {
		line, err := encoder.EncodeEntry(zapcore.Entry{
			Level: zapcore.WarnLevel, Time: time.Now(), LoggerName: "log", Message: "log lines lost",
		}, []zapcore.Field{zap.Uint64("count", lost), zap.String("reason", reason)})
		if err != nil {
			return nil
		}
		defer line.Free()
		return bytes.Clone(line.Bytes())
	})
	out := &logOutput{logSink: sink, repeats: newRepeats()}
	core := r.wrap(zapcore.NewCore(encoder.Clone(), sink, level))
	return zap.New(out.repeats.wrap(core)), out
}

// logFormat is how log lines are written.
type logFormat bool

const (
	formatJSON    logFormat = false
	formatConsole logFormat = true
)

func (f logFormat) String() string {
	if f == formatConsole {
		return "console"
	}
	return "json"
}

// UnmarshalText accepts json and console.
func (f *logFormat) UnmarshalText(text []byte) error {
	switch string(text) {
	case "json":
		*f = formatJSON
	case "console":
		*f = formatConsole
	default:
		return errors.New("wants json or console")
	}
	return nil
}
