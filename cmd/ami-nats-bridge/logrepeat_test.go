package main

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// summed runs test with a logger that sums repeats, in a bubble.
func summed(t *testing.T, test func(*zap.Logger, *observer.ObservedLogs)) {
	synctest.Test(t, func(t *testing.T) {
		core, seen := observer.New(zapcore.DebugLevel)
		sums := &repeats{seen: make(map[repeatKey]*repeated)}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { sums.run(ctx); close(done) }()
		test(zap.New(&repeatCore{Core: core, repeats: sums}), seen)
		stop()
		<-done
	})
}

func TestRepeats_FirstAtOnceThenOneLineAnInterval(t *testing.T) {
	summed(t, func(log *zap.Logger, seen *observer.ObservedLogs) {
		for i := range 350 { // 35 s, ten a second
			log.Warn("corrupt frame", zap.String("server", "pbx1"), zap.Int("bytes", i))
			if i == 0 && seen.Len() != 1 {
				t.Fatal("the first was not written at once")
			}
			time.Sleep(100 * time.Millisecond)
		}
		lines := seen.All()
		if len(lines) != 4 {
			t.Fatalf("%d lines in 35 s of the same, want the first and 3 sums", len(lines))
		}
		sum := 1
		for _, line := range lines[1:] {
			n, ok := line.ContextMap()["repeated"].(int64)
			if !ok || line.Message != "corrupt frame" || line.ContextMap()["server"] != "pbx1" {
				t.Fatalf("%+v", line)
			}
			sum += int(n)
		}
		if sum < 295 || sum > 305 {
			t.Errorf("the lines tell of %d in 30 s, want 300", sum)
		}
	})
}

func TestRepeats_ForgetsAfterAQuietInterval(t *testing.T) {
	summed(t, func(log *zap.Logger, seen *observer.ObservedLogs) {
		for range 3 {
			log.Info("nats connected", zap.String("connection", "events"))
			time.Sleep(time.Minute)
		}
		if n := seen.Len(); n != 3 {
			t.Errorf("%d lines, want each of three that are a minute apart", n)
		}
		for _, line := range seen.All() {
			if n := line.ContextMap()["repeated"]; n != nil {
				t.Errorf("a line that stands alone says repeated: %v", n)
			}
		}
	})
}

func TestRepeats_KeepsApartWhatDiffers(t *testing.T) {
	summed(t, func(log *zap.Logger, seen *observer.ObservedLogs) {
		for _, server := range []string{"pbx1", "pbx2"} {
			s := log.With(zap.String("server", server))
			s.Warn("session lost", zap.String("from", "up"), zap.String("to", "waiting"))
			s.Warn("session lost", zap.String("from", "connecting"), zap.String("to", "waiting"))
			s.Info("session up")
			for range 5 {
				s.Debug("session state")
			}
		}
		if n := seen.Len(); n != 16 {
			t.Errorf("%d lines, want 3 different ones and 5 at debug of each server", n)
		}
	})
}

func TestRepeats_RemembersABoundedNumber(t *testing.T) {
	summed(t, func(log *zap.Logger, seen *observer.ObservedLogs) {
		for range 2 {
			for i := range 2 * maxRepeats {
				log.Info("x", zap.String("server", fmt.Sprint(i)))
			}
		}
		if n := seen.Len(); n != 3*maxRepeats {
			t.Errorf("%d lines, want %d: what is not remembered is written", n, 3*maxRepeats)
		}
	})
}
