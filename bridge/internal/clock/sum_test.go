package clock

import (
	"testing"
	"time"
)

// A count that grows for an hour is told at once, all of it, in a few lines; one
// that begins to grow again is told at once again.
func TestSum_TellsAllOfAnHourInAFewLines(t *testing.T) {
	now := time.Now()
	s := Sum{At: now}
	var total, told uint64
	lines := 0
	step := func(grows uint64) {
		total += grows
		if n, since := s.Due(total, now); n > 0 {
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
	s.End()
	if step(0); told != total {
		t.Errorf("the end left %d untold", total-told)
	}
}
