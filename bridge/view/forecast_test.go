package view

import (
	"math"
	"testing"
	"time"
)

// fill has the outbox of pbx1 grow so much each second, for 20 s, from start on.
func (w *watched) fill(start, perSecond int64) (bytes int64) {
	w.t.Helper()
	w.connect("pbx1")
	for bytes = start; ; bytes += 5 * perSecond {
		w.tell("pbx1", "buffers", buffers(1000, 1000, fields{"outbox": outbox(bytes, "normal")}))
		if bytes == start+20*perSecond {
			return bytes
		}
		w.pass(5 * time.Second)
	}
}

func TestForecast(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		start, rate int64
		full        time.Duration // from now; 0: no forecast
		state       State
	}{
		"not filling":              {1 << 20, 0, 0, StateWell},
		"draining":                 {60 << 20, -1 << 20, 0, StateWell},
		"for longer than a day":    {0, 770, 0, StateWell},
		"for less than a day":      {0, 800, 83866 * time.Second, StateWell},
		"in more than 5 minutes":   {0, 200 << 10, 307 * time.Second, StateWell},
		"in less than 5 minutes":   {0, 400 << 10, 143 * time.Second, StateTrouble},
		"over its capacity by now": {70 << 20, 1 << 20, -1, StateTrouble},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := watch(t)
			w.fill(c.start, c.rate)
			s := w.of("pbx1")
			equal(t, "state", s.State, c.state)
			switch {
			case c.full == 0:
				if s.Forecast != nil {
					t.Errorf("a forecast: %+v", s.Forecast)
				}
			case s.Forecast == nil:
				t.Error("no forecast")
			default:
				got := s.Forecast.Full.Sub(w.now)
				if d := got - max(c.full, 0); d.Abs() > time.Second {
					t.Errorf("full in %v, want %v", got, c.full)
				}
			}
			if c.state == StateTrouble {
				equal(t, "until kind", s.UntilKind, UntilFull)
				same(t, "until", s.Until, s.Forecast.Full.Time)
			}
		})
	}
}

// An outbox that fills and is emptied again is no trouble: the average is over 30 s, from
// its first word on.
func TestForecast_OfABurst(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.up("pbx1")
	for _, bytes := range []int64{0, 50 << 20, 0, 0, 0} {
		w.tell("pbx1", "buffers", buffers(0, 0, fields{"outbox": outbox(bytes, "normal")}))
		w.pass(5 * time.Second)
	}
	equal(t, "state", w.of("pbx1").State, StateWell)
}

// The average over 30 s comes near a new rate in its time.
func TestGrowth(t *testing.T) {
	t.Parallel()
	var g growth
	now, bytes := t0, int64(0)
	for range 100 {
		g.add(bytes, now)
		now = now.Add(5 * time.Second)
	}
	for range 6 {
		bytes += 5000
		g.add(bytes, now)
		now = now.Add(5 * time.Second)
	}
	if want := 1000 * (1 - 1/math.E); math.Abs(g.average-want) > 20 {
		t.Errorf("after 30 s the average is %v, want %v", g.average, want)
	}
	g.add(bytes+1, now.Add(-4999*time.Millisecond)) // no word makes a rate with one so near
	if g.bytes != bytes {
		t.Error("a rate was made of a millisecond")
	}
}

// All outboxes of a bridge together may be full before that of a server.
func TestForecast_OfAllOutboxes(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.node("b1", []string{"pbx1", "pbx2", "pbx3"}, fields{"outbox_total_bytes": 80 << 20})
	for i := range 5 {
		for _, name := range []string{"pbx1", "pbx2"} {
			w.tell(name, "buffers", buffers(0, 0, fields{"outbox": outbox(int64(i)*5<<20, "normal")}))
		}
		w.tell("pbx3", "buffers", buffers(0, 0, fields{"outbox": outbox(1<<20, "normal")}))
		w.pass(5 * time.Second)
	}
	s := w.of("pbx1") // 20 MiB, and 44 s by itself; 41 of 80 MiB at 2 MiB/s are 19 s
	if s.Forecast == nil || !s.Forecast.Total {
		t.Fatalf("the forecast is %+v", s.Forecast)
	}
	if got := s.Forecast.Full.Sub(w.now); (got - 19500*time.Millisecond).Abs() > time.Second {
		t.Errorf("full in %v", got)
	}
	if f := w.of("pbx3").Forecast; f != nil {
		t.Errorf("one that does not grow has a forecast: %+v", f)
	}
}
