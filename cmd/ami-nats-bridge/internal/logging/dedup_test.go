package logging

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/redact"
)

// output is a buffer for two goroutines.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

// take returns what was written since the last call.
func (o *output) take() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	text := o.buf.String()
	o.buf.Reset()
	return text
}

// repeatLog is a logger in a bubble with what it has written.
type repeatLog struct {
	*zap.Logger
	t    *testing.T
	out  output
	sink *Output
	from time.Time
}

func newRepeatLog(t *testing.T) *repeatLog {
	l := &repeatLog{t: t, from: time.Now()}
	l.Logger, l.sink = New(&l.out, JSON, zapcore.DebugLevel, NewRedactor(redact.Options{}))
	return l
}

// want compares the lines since the last call, each "second level message
// repeated n=", with want.
func (l *repeatLog) want(want ...string) {
	l.t.Helper()
	synctest.Wait()
	var got []string
	for line := range strings.Lines(l.out.take()) {
		var f struct {
			TS, Level, Msg, Server string
			Repeated, N            int
		}
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			l.t.Fatal(err)
		}
		at, err := time.Parse("2006-01-02T15:04:05.000Z0700", f.TS)
		if err != nil {
			l.t.Fatal(err)
		}
		text := fmt.Sprint(at.Sub(l.from).Seconds(), " ", f.Msg, f.Server)
		if f.Repeated > 0 {
			text += fmt.Sprintf(" %d×, n=%d", f.Repeated, f.N)
		}
		got = append(got, text)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		l.t.Error("lines (-want +got):", diff)
	}
}

func (l *repeatLog) close() {
	if err := l.sink.Close(l.t.Context()); err != nil {
		l.t.Error(err)
	}
}

func TestRepeats_AreOneLineAnIntervalForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newRepeatLog(t)
		defer l.close()
		n := 0
		say := func(times int) {
			for range times {
				n++
				l.Warn("x", zap.Int("n", n))
				time.Sleep(time.Second)
			}
		}
		say(1)
		l.want("0 x")
		time.Sleep(500 * time.Millisecond)
		say(8)
		l.want() // held
		say(1)
		l.want("9.5 x 9×, n=10")
		say(20) // a steady repeat: one line an interval
		l.want("19.5 x 10×, n=20", "29.5 x 10×, n=30")
		say(1)
		l.want()
		time.Sleep(30 * time.Second)
		l.want("30.5 x 1×, n=31") // the end of it
		say(1)
		l.want("61.5 x") // a first one again
	})
}

func TestRepeats_AreNotMergedWhenTheyDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newRepeatLog(t)
		logs := []*zap.Logger{l.Logger, l.Named("a"), l.With(zap.String("server", "1")), l.With(zap.String("server", "2")),
			l.With(zap.String("server", "1"), zap.String("role", "event"))}
		for _, log := range logs {
			log.Info("x")
			log.Warn("x")
			log.Error("x")
			log.Info("y")
			log.Info("x", zap.Stringer("to", textList{"up"}))
			log.Info("x", zap.Stringer("to", textList{"down"}))
			log.Info("x", zap.ByteString("event", []byte("Hangup")))
			log.Info("x", zap.Error(errors.New("refused")))
			log.Info("x", zap.Error(errors.New("closed")))
			log.Info("x", zap.Error(errors.New("closed 1")))
			for _, key := range []string{"role", "reason", "stream", "subject", "connection", "cause", "from"} {
				log.Info("x", zap.String(key, "a"))
			}
		}
		synctest.Wait()
		// Role "a" and role "event" are two, so that nothing merges.
		if got, want := strings.Count(l.out.take(), "\n"), len(logs)*17; got != want {
			t.Errorf("%d lines, want %d", got, want)
		}
		for _, log := range logs {
			log.Info("x", zap.Error(errors.New("closed 2")), zap.Time("at", time.Now()), zap.Int("failures", 7))
		}
		l.want()
		l.close()
	})
}

func TestRepeats_LetDebugAndSumsPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newRepeatLog(t)
		defer l.close()
		for range 3 {
			l.Debug("d")
			l.Warn("events dropped", zap.Uint64("count", 7))
		}
		l.want("0 d", "0 events dropped", "0 d", "0 events dropped", "0 d", "0 events dropped")
	})
}

func TestRepeats_AreWrittenAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newRepeatLog(t)
		for i := range 3 {
			l.Error("x", zap.Int("n", i))
			l.With(zap.String("server", "1")).Error("x", zap.Int("n", i))
		}
		l.close()
		l.want("0 x", "0 x1", "0 x 2×, n=2", "0 x1 2×, n=2")
		l.Error("x")
		if l.sink.Lost() != 1 {
			t.Error("a line behind the end is not counted as lost")
		}
	})
}

func TestRepeats_RememberABoundedNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newRepeatLog(t)
		defer l.close()
		for range 2 {
			for i := range repeatKeys + 10 {
				l.Info("x", zap.String("server", fmt.Sprint(i)))
			}
		}
		synctest.Wait()
		// The second time only what is not remembered is written.
		if got, want := strings.Count(l.out.take(), "\n"), repeatKeys+20; got != want {
			t.Errorf("%d lines, want %d", got, want)
		}
		time.Sleep(repeatInterval)
		synctest.Wait()
		if got, want := strings.Count(l.out.take(), "\n"), repeatKeys; got != want {
			t.Errorf("%d lines after the interval, want %d", got, want)
		}
		time.Sleep(repeatInterval)
		synctest.Wait()
		l.Info("x", zap.String("server", "new"))
		l.Info("x", zap.String("server", "new"))
		l.want("20 xnew")
	})
}

// What a field points to is the caller's again when the call returns.
func TestRepeats_KeepNothingOfTheCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newRepeatLog(t)
		buffer, list := []byte("frame1"), textList{"a"}
		for range 2 {
			l.Info("x", zap.ByteString("frame", buffer), zap.Stringer("list", list), zap.Any("any", list))
		}
		copy(buffer, "XXXXXX")
		list[0] = "X"
		l.close()
		if got := l.out.take(); strings.Count(got, `"frame":"frame1","list":"a","any":`) != 2 || strings.Contains(got, "X") {
			t.Error(got)
		}
	})
}

func TestRepeats_SinkNeverWaitsForManyWriters(t *testing.T) {
	var out bytes.Buffer
	log, sink := New(&out, JSON, zapcore.InfoLevel, NewRedactor(redact.Options{}))
	done := make(chan struct{})
	for i := range 4 {
		go func() {
			for n := range 2000 {
				log.With(zap.Int("i", i)).Info("x", zap.String("server", fmt.Sprint(n%3)))
			}
			done <- struct{}{}
		}()
	}
	for range 4 {
		<-done
	}
	if err := sink.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	written, repeats := 0, 0
	for line := range strings.Lines(out.String()) {
		var f struct{ Repeated int }
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatal(err)
		}
		repeats += f.Repeated
		if f.Repeated == 0 {
			written++
		}
	}
	if written != 3 || written+repeats != 8000 {
		t.Errorf("%d lines and %d repeats of 8000", written, repeats)
	}
}

// textList is a zap.Stringer that its owner may change.
type textList []string

func (l textList) String() string { return strings.Join(l, ",") }
