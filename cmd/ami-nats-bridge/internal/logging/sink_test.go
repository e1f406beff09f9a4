package logging

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/redact"
)

// valve is a writer that is stuck until it is opened.
type valve struct {
	open chan struct{}

	mu  sync.Mutex
	buf bytes.Buffer
}

func (v *valve) Write(p []byte) (int, error) {
	<-v.open
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.buf.Write(p)
}

// logged is a line of the JSON format.
type logged struct {
	Level  string
	Msg    string
	Count  int
	Reason string
}

func parse(t *testing.T, text string) (lines []logged) {
	t.Helper()
	for line := range strings.Lines(text) {
		var l logged
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		lines = append(lines, l)
	}
	return lines
}

func TestSink_NeverBlocksOnAPipeThatNobodyReads(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	log, sink := New(w, JSON, zapcore.DebugLevel, NewRedactor(redact.Options{}))
	for range 4 * sinkLines { // many times what a pipe holds
		log.Debug("line", zap.String("text", strings.Repeat("x", 200)))
	}
	if sink.Lost() == 0 {
		t.Error("nothing was lost: the test does not fill the sink")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := sink.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close of a stuck sink: %v", err)
	}
	r.Close() // lets the drainer go
	<-sink.done
	w.Close()
}

func TestSink_TellsOfTheLossWhenItCanWriteAgain(t *testing.T) {
	v := &valve{open: make(chan struct{})}
	log, sink := New(v, JSON, zapcore.DebugLevel, NewRedactor(redact.Options{}))
	const written = 3 * sinkLines
	for range written {
		log.Debug("line")
	}
	close(v.open)
	if err := sink.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept, told := 0, 0
	for _, l := range parse(t, v.buf.String()) {
		switch {
		case l.Msg == "line":
			kept++
		case l.Msg == "log lines lost" && l.Level == "warn" && l.Reason == "the log's reader was too slow":
			told += l.Count
		default:
			t.Errorf("unexpected line %+v", l)
		}
	}
	if kept+told != written || uint64(told) != sink.Lost() || told == 0 {
		t.Errorf("%d written, %d kept, %d told of, %d counted", written, kept, told, sink.Lost())
	}
}

// broken fails until it is mended.
type broken struct {
	failures int
	buf      bytes.Buffer
}

func (b *broken) Write(p []byte) (int, error) {
	if b.failures > 0 {
		b.failures--
		return 0, errors.New("no space left")
	}
	return b.buf.Write(p)
}

func TestSink_TellsOfFailedWritesWithTheNextLine(t *testing.T) {
	b := &broken{failures: 1}
	sink := &logSink{w: b, wake: make(chan struct{}, 1), notice: func(lost uint64, reason string) []byte {
		return fmt.Appendf(nil, "%d lost: %s\n", lost, reason)
	}}
	for _, line := range []string{"first\n", "", "second\n"} { // the drainer's steps, one by one
		if line != "" {
			sink.Write([]byte(line))
		}
		batch, told, _ := sink.take(nil)
		if len(batch) > 0 {
			sink.write(batch, told)
		}
	}
	if got, want := b.buf.String(), "second\n1 lost: the log could not be written\n"; got != want || sink.Lost() != 1 {
		t.Errorf("%q, want %q; %d lost", got, want, sink.Lost())
	}
}

func TestSink_BoundsBytes(t *testing.T) {
	v := &valve{open: make(chan struct{})}
	_, sink := New(v, JSON, zapcore.DebugLevel, NewRedactor(redact.Options{}))
	line := []byte(strings.Repeat("x", 64<<10) + "\n")
	for range 100 {
		if n, err := sink.Write(line); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
	}
	sink.mu.Lock()
	held := len(sink.buf)
	sink.mu.Unlock()
	if held > sinkBytes {
		t.Errorf("holds %d bytes", held)
	}
	close(v.open)
	if err := sink.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestLogger_WritesBothFormatsFromItsLevelOn(t *testing.T) {
	for format, want := range map[Format]string{JSON: `"msg":"shown","delay":"1.5s"`, Console: "WARN\tshown\t{\"delay\": \"1.5s\"}"} {
		var out bytes.Buffer
		log, sink := New(&out, format, zapcore.WarnLevel, NewRedactor(redact.Options{}))
		log.Info("hidden")
		log.Warn("shown", zap.Duration("delay", 1500*time.Millisecond))
		if err := sink.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), want) || strings.Contains(out.String(), "hidden") {
			t.Errorf("%v: %q", format, &out)
		}
	}
}

// A notice that cannot be written told nobody anything: its number comes again.
func TestSink_TellsAgainWhatAFailedNoticeTold(t *testing.T) {
	b := &broken{failures: 2}
	sink := &logSink{w: b, wake: make(chan struct{}, 1), notice: func(lost uint64, reason string) []byte {
		return fmt.Appendf(nil, "%d lost: %s\n", lost, reason)
	}}
	step := func() int {
		batch, told, _ := sink.take(nil)
		if len(batch) > 0 {
			sink.write(batch, told)
		}
		return len(batch)
	}
	for range sinkLines + 5 { // 5 too many
		sink.Write([]byte("a\n"))
	}
	step()
	if step() != 0 {
		t.Error("the notice is tried again without a line: this spins on a closed pipe")
	}
	for _, line := range []string{"b\n", "c\n"} {
		sink.Write([]byte(line))
		step()
	}
	want := fmt.Sprintf("c\n%d lost: the log's reader was too slow, and the log could not be written\n", sinkLines+6)
	if got := b.buf.String(); got != want || sink.Lost() != sinkLines+6 {
		t.Errorf("%q, want %q; %d lost", got, want, sink.Lost())
	}
}
