package bridge

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// A count that grows for an hour is told at once, all of it, in a few lines; one
// that begins to grow again is told at once again.
func TestSum_TellsAllOfAnHourInAFewLines(t *testing.T) {
	now := time.Now()
	s := sum{at: now}
	var total, told uint64
	lines := 0
	step := func(grows uint64) {
		total += grows
		if n, since := s.due(total, now); n > 0 {
			lines++
			told += n
			if since.After(now) || lines > 1 && now.Sub(since) > longestSum+5*time.Second {
				t.Errorf("since %v, at %v", since, now)
			}
		}
		now = now.Add(5 * time.Second)
	}
	step(0)
	if step(3); lines != 1 || told != 3 {
		t.Fatalf("%d lines of %d: the first is not told at once", lines, told)
	}
	for range 720 {
		step(7)
	}
	t.Logf("%d lines in an hour", lines)
	if lines > 14 || lines < 6 {
		t.Errorf("%d lines in an hour", lines)
	}
	for range 241 { // for as long as the last wait, behind the rest
		step(0)
	}
	if told != total {
		t.Errorf("told of %d, there were %d", told, total)
	}
	before := lines
	if step(1); lines != before+1 || told != total {
		t.Errorf("what begins anew is not told at once")
	}
	step(1)
	s.end()
	if step(0); told != total {
		t.Errorf("the end left %d untold", total-told)
	}
}

// What is dropped for an hour is told in a few lines, another reason at once, and
// at the end all of it.
func TestServer_DropsOfAnHour(t *testing.T) {
	s := pureServer(t)
	core, logs := observer.New(zapcore.InfoLevel)
	s.status.log = zap.New(core)
	now := time.Now()
	said := map[string]uint64{}
	tell := func() {
		s.status.tellDrops(now)
		for _, line := range logs.TakeAll() {
			said[line.ContextMap()["reason"].(string)] += line.ContextMap()["count"].(uint64)
			said["lines"]++
		}
		now = now.Add(5 * time.Second)
	}
	for i := range 720 {
		s.ingest.outbox.refuseAs(pushed(i), dropOverflow)
		tell()
		if i == 300 {
			before := said["lines"]
			s.ingest.outbox.refuse(pushed(i))
			if tell(); said["lines"] != before+1 || said[dropOversize] != 1 {
				t.Errorf("another reason: %v", said)
			}
		}
	}
	if said["lines"] > 15 {
		t.Errorf("%d lines", said["lines"])
	}
	for _, told := range s.status.told {
		told.end()
	}
	if tell(); said[dropOverflow] != 720 {
		t.Errorf("told of %d", said[dropOverflow])
	}
}

// What comes with each try is told once, until the connection stands again.
func TestSeen_TellsWhatIsNew(t *testing.T) {
	var s seen
	refused, denied := errors.New("refused"), errors.New("denied")
	for i, step := range []struct {
		err  error
		want zapcore.Level
	}{
		{refused, zap.WarnLevel}, {refused, zap.DebugLevel}, {denied, zap.WarnLevel}, {refused, zap.DebugLevel},
		{nil, 0}, {refused, zap.WarnLevel}, {refused, zap.DebugLevel},
	} {
		if step.err == nil {
			s.forget()
		} else if got := s.level(zap.WarnLevel, step.err); got != step.want {
			t.Errorf("step %d: %v, want %v", i, got, step.want)
		}
	}
	for i := range 10 * maxSeen {
		s.level(zap.WarnLevel, fmt.Errorf("error %d", i))
	}
	if len(s.texts) > maxSeen {
		t.Errorf("%d are remembered", len(s.texts))
	}
}
