package view

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
)

// Time is a point in time; in JSON it is RFC 3339 in UTC with microseconds, or null
// if it is not known.
type Time struct{ time.Time }

// shift is t and by, unless it is not known.
func (t Time) shift(by time.Duration) Time {
	if t.IsZero() {
		return t
	}
	return Time{t.Add(by)}
}

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() || t.Year() < 1 || t.Year() > 9999 {
		return []byte("null"), nil
	}
	return t.UTC().AppendFormat(nil, `"`+clock.Format+`"`), nil
}

// thin is the space between thousands; it does not break a line.
const thin = "\u202f"

// Count is n with a thin space between thousands, such as 18 204.
func Count(n uint64) string {
	s := strconv.FormatUint(n, 10)
	var b strings.Builder
	for i := range len(s) {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteString(thin)
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// Rate is a number a second: whole from 10 on, below with one digit unless that is 0.
func Rate(r float64) string {
	switch {
	case !(r > 0):
		return "0"
	case r < 9.95:
		return strings.TrimSuffix(strconv.FormatFloat(r, 'f', 1, 64), ".0")
	case r > 1e15:
		r = 1e15
	}
	return Count(uint64(r + 0.5))
}

// Age is how long something has been, in the two largest units: 6 d 4 h, 9 h 8 min,
// 4 min 34 s, 12 s; from ten
// of the larger on in that alone: 16 min, 41 d.
func Age(d time.Duration) string {
	units := []struct {
		name string
		of   time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"min", time.Minute}, {"s", time.Second}}
	d = max(d, 0).Truncate(time.Second)
	for i, u := range units {
		if d < u.of && i < len(units)-1 {
			continue
		}
		text := fmt.Sprintf("%d %s", d/u.of, u.name)
		if rest := d % u.of; i < len(units)-1 && d < 10*u.of && rest >= units[i+1].of {
			text += fmt.Sprintf(" %d %s", rest/units[i+1].of, units[i+1].name)
		}
		return text
	}
	return ""
}

// Clock is how long something has been or will be, as a clock shows it: 0:09, 12:20,
// 1:02:03.
func Clock(d time.Duration) string {
	s := int64(max(d, 0) / time.Second)
	if s < 3600 {
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

// Moment is t as somebody at now wants it: the time of day, with the date if it is
// another day's.
func Moment(t Time, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	local := t.In(now.Location())
	if y, m, d := local.Date(); now.Year() == y && now.Month() == m && now.Day() == d {
		return local.Format("15:04:05")
	}
	if now.Year() == local.Year() {
		return local.Format("2 Jan 15:04")
	}
	return local.Format("2 Jan 2006")
}

// numberWords are the small numbers as words, as they begin a sentence.
var numberWords = []string{"None", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve"}

// counted is n as it begins a sentence.
func counted(n int) string {
	if n < len(numberWords) {
		return numberWords[n]
	}
	return Count(uint64(n))
}

// plural is one if n is 1, else many.
func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
