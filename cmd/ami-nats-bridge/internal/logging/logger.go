package logging

import (
	"bytes"
	"context"
	"io"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
)

// Output is where a logger's lines go. Close it once.
type Output struct {
	*logSink
	dedup *dedup
}

// Close writes what was summed, takes no more lines and waits until all are
// written or ctx ends.
func (o *Output) Close(ctx context.Context) error {
	o.dedup.Close()
	return o.logSink.Close(ctx)
}

// New makes the process's logger on w: repeats are summed, secrets taken
// out, and the lines written without ever blocking whoever logs.
func New(w io.Writer, format Format, level zapcore.LevelEnabler, r *Redactor) (*zap.Logger, *Output) {
	encoding := zap.NewProductionEncoderConfig()
	encoding.EncodeTime = zapcore.ISO8601TimeEncoder
	encoding.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.NewJSONEncoder(encoding)
	if format == Console {
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
	out := &Output{logSink: sink, dedup: newDedup()}
	core := r.wrap(zapcore.NewCore(encoder.Clone(), sink, level))
	return zap.New(out.dedup.wrap(core)), out
}

// Format is how log lines are written.
type Format uint8

const (
	JSON Format = iota
	Console
)

func (f Format) String() string { return setting.Choice(f, "json", "console") }

// UnmarshalText accepts json and console.
func (f *Format) UnmarshalText(text []byte) error { return setting.Choose(f, text, "json", "console") }
