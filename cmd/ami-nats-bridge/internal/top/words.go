package top

import (
	"strconv"
	"strings"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// sign is the sign and tone of a state.
func (p Profile) sign(s view.State) (string, tone) {
	signs := map[view.State]struct {
		unicode, ascii string
		tone           tone
	}{
		view.StateLosing: {"▼", "v", bad}, view.StateDown: {"✖", "X", bad}, view.StateRefused: {"✖", "X", bad}, view.StateTrouble: {"▲", "!", warn},
		view.StateUnknown: {"◌", "?", dim}, view.StateSyncing: {"◌", "~", dim}, view.StateWell: {"●", "o", ok},
	}
	row, known := signs[s]
	if !known {
		row = signs[view.StateUnknown]
	}
	if p.signs() {
		return row.unicode, row.tone
	}
	return row.ascii, row.tone
}

// either is the first where the terminal has Unicode's signs, else the second.
func (p Profile) either(unicode, ascii string) string {
	if p.signs() {
		return unicode
	}
	return ascii
}

// short is an age without its blanks: 6d4h.
func short(d time.Duration) string { return strings.ReplaceAll(view.Age(d), " ", "") }

// when is a time as the user wants it.
func (ui *UI) when(t view.Time, now time.Time) string {
	switch {
	case t.IsZero():
		return "-"
	case ui.Times == TimesAge:
		return short(now.Sub(t.Time))
	case ui.Times == TimesUTC:
		return view.Moment(t, now.UTC())
	}
	return view.Moment(t, now)
}

// moment is the time of the picture in the zone of times in words.
func (a *painter) moment() time.Time {
	if a.ui.Times == TimesUTC {
		return a.now.UTC()
	}
	return a.now
}

// rates are those of a server in one line; empty if they are not known.
func rates(s *view.Server) string {
	r := s.Rates
	if r == nil {
		return ""
	}
	text := "events " + view.Rate(r.In) + "/s in"
	if !s.LedElsewhere() {
		text += ", " + view.Rate(r.Stored) + "/s stored"
	}
	if r.Actions != nil {
		text += "; actions " + view.Rate(*r.Actions) + "/s"
	}
	if r.P95 != nil {
		text += ", p95 " + view.Rate(*r.P95) + " ms"
	}
	return text
}

// until is what happens next to a server, and when: full 9:52, try 0:21.
func until(v *view.Verdict, now time.Time) string {
	left := v.Until.Sub(now)
	switch {
	case v.Until.IsZero():
		return ""
	case left <= 0:
		return v.UntilKind + " now"
	case left < time.Hour:
		return v.UntilKind + " " + view.Clock(left)
	}
	return v.UntilKind + " " + short(left)
}

// lost is what a server loses, behind why.
func lost(l *view.Losing) string {
	switch {
	case l == nil:
		return ""
	case l.Events == nil:
		return "All events since are lost."
	}
	text := view.Count(*l.Events) + " lost"
	if l.Rate > 0 {
		text += ", " + view.Rate(l.Rate) + "/s"
	}
	return text + "."
}

// lostShort is the same for a column.
func lostShort(l *view.Losing) string {
	switch {
	case l == nil:
		return ""
	case l.Events == nil:
		return "all since"
	}
	return view.Count(*l.Events)
}

// reason says all of an ill server in one line, the most important first.
func reason(s *view.Server) string {
	return strings.Join(strings.Fields(s.Why+" "+lost(s.Losing)+" "+s.Do), " ")
}

// brief is a number of at most six cells: 2 140, 31k, 3.0M.
func brief(r float64) string {
	switch {
	case r < 99_999.5:
		return view.Rate(r)
	case r < 999_500:
		return strconv.FormatFloat(r/1e3, 'f', 0, 64) + "k"
	case r < 9_950_000:
		return strconv.FormatFloat(r/1e6, 'f', 1, 64) + "M"
	}
	return strconv.FormatFloat(min(r/1e6, 99_999), 'f', 0, 64) + "M"
}

// spark is points as bars, scaled to the highest, in n cells.
func (p Profile) spark(points []uint64, n int) string {
	if !p.UTF8 || len(points) < n || n == 0 {
		return ""
	}
	each := len(points) / n
	points = points[len(points)-each*n:]
	sums, most := make([]uint64, n), uint64(0)
	for i, x := range points {
		sums[i/each] += x
		most = max(most, sums[i/each])
	}
	bars := []rune("▁▂▃▄▅▆▇█")
	var b strings.Builder
	for _, x := range sums {
		level := 0
		if most > 0 {
			level = int(float64(x) / float64(most) * float64(len(bars)-1))
		}
		b.WriteRune(bars[level])
	}
	return b.String()
}

// bar is percent of n cells.
func (p Profile) bar(percent float64, n int) string {
	eighths := int(min(max(percent, 0), 100) / 100 * float64(8*n))
	if percent > 0 {
		eighths = min(max(eighths, 1), 8*n)
	}
	if !p.signs() {
		full := (eighths + 7) / 8
		return strings.Repeat("#", full) + strings.Repeat(".", n-full)
	}
	text := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		text += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return text + strings.Repeat("·", n-(eighths+7)/8)
}

// percent is how full a buffer is.
func percent(b *view.Buffer) string {
	x := b.Percent()
	if x <= 0 {
		return "0 %"
	}
	return view.Rate(min(max(x, 0.1), 999)) + " %"
}

// number is n, and 0 for what cannot be.
func number[N int | int64](n N) string { return view.Count(uint64(max(0, n))) }

// bytes is n bytes in the largest unit.
func bytes(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	x := float64(max(n, 0))
	for len(units) > 1 && x >= 1024 {
		x, units = x/1024, units[1:]
	}
	return view.Rate(x) + " " + units[0]
}
