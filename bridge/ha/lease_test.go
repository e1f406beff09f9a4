package ha

import (
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
)

// It holds for a silence from when the newest Heartbeat was sent that came back, and once
// it has run out not before another silence.
func TestLease_HoldsByWhatCameBack(t *testing.T) {
	const silence = time.Second
	began := time.Now()
	at := func(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }
	for name, test := range map[string]struct {
		do          func(*lease)
		from, until int // milliseconds in which it holds, of those from 0 to 9000
	}{
		"nothing is sent":         {func(*lease) {}, 0, 0},
		"nothing comes back":      {func(l *lease) { l.beats(1, at(0)) }, 0, 0},
		"one":                     {func(l *lease) { l.beats(1, at(0)); l.returned(1, silence, at(200)) }, 0, 1000},
		"late, it counts as sent": {func(l *lease) { l.beats(1, at(0)); l.beats(2, at(250)); l.returned(1, silence, at(900)) }, 0, 1000},
		"not the newest sent": {func(l *lease) {
			l.beats(1, at(0))
			l.beats(2, at(250))
			l.returned(2, silence, at(300))
			l.returned(1, silence, at(400))
		}, 0, 1250},
		"of nobody": {func(l *lease) { l.beats(1, at(0)); l.returned(2, silence, at(300)) }, 0, 0},
		"twice":     {func(l *lease) { l.beats(1, at(0)); l.returned(1, silence, at(10)); l.returned(1, silence, at(20)) }, 0, 1000},
		// What was sent before a freeze comes back behind it: nothing is known by that.
		"frozen": {func(l *lease) {
			l.beats(1, at(0))
			l.returned(1, silence, at(10))
			l.beats(2, at(250))
			l.returned(2, silence, at(5000))
		}, 0, 0},
		// What is sent behind it comes back, and for a silence the claim may not be heard yet.
		"frozen, and awake": {func(l *lease) {
			l.beats(1, at(0))
			l.returned(1, silence, at(10))
			l.beats(2, at(5000))
			l.returned(2, silence, at(5010))
			l.beats(3, at(5900))
			l.returned(3, silence, at(5910))
		}, 6010, 6900},
		"frozen for less than a silence": {func(l *lease) {
			l.beats(1, at(0))
			l.returned(1, silence, at(10))
			l.beats(2, at(900))
			l.returned(2, silence, at(990))
		}, 0, 1900},
		"others claim sooner": {func(l *lease) { l.beats(1, at(0)); l.returned(1, silence/2, at(10)) }, 0, 500},
		"doubted":             {func(l *lease) { l.beats(1, at(0)); l.returned(1, silence, at(10)); l.doubt(at(-400)) }, 600, 1000},
		"too many are away": {func(l *lease) {
			for seq := range uint64(maxUnheard + 1) {
				l.beats(seq+1, at(int(seq)))
			}
			l.returned(1, silence, at(500))
		}, 0, 0},
	} {
		l := newLease(silence, began)
		test.do(l)
		for ms := range 9000 {
			if want := ms >= test.from && ms < test.until; l.holds(at(ms)) != want {
				t.Errorf("%s: at %d ms it holds: %v", name, ms, !want)
				break
			}
		}
	}
}

// Looking notes that it has run out, also when what was sent then comes back at once.
func TestLease_TheTickNotesThatItRanOut(t *testing.T) {
	began := time.Now()
	l := newLease(time.Second, began)
	l.beats(1, began)
	l.returned(1, time.Second, began)
	l.lapse(began.Add(999 * time.Millisecond))
	if !l.holds(began.Add(999 * time.Millisecond)) {
		t.Error("it has run out early")
	}
	woken := began.Add(3 * time.Second)
	l.lapse(woken)
	l.beats(2, woken)
	l.returned(2, time.Second, woken)
	if l.holds(woken) || l.holds(woken.Add(999*time.Millisecond)) {
		t.Error("it holds as if nobody could have claimed")
	}
}

// One that takes this bridge for dead sooner than it does others has claimed by then.
func TestLease_EndsWithTheShortestSilence(t *testing.T) {
	n := heardNode(t, 10*time.Second)
	now := time.Now()
	n.roster = standby.NewRoster("b1", "i1", 1, 10*time.Second)
	if err := n.roster.Observe(&standby.Heartbeat{Node: "b2", Incarnation: "i2", Seq: 1, Weight: 1, SilenceMS: 500}, now); err != nil {
		t.Fatal(err)
	}
	n.lease.beats(2, now)
	n.onOwn(2, now)
	for ms, want := range map[int]bool{499: true, 500: false} {
		if got := n.lease.holds(now.Add(time.Duration(ms) * time.Millisecond)); got != want {
			t.Errorf("after %d ms it holds: %v", ms, got)
		}
	}
}
