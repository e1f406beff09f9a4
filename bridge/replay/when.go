package replay

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// layouts are those of a local date and time.
var layouts = [...]string{
	"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly,
}

// ParseTime reads RFC 3339; a date and time in now's zone; a time of this day
// (14:00), of today or of yesterday (yesterday 14:00), which without one begin
// with their midnight; now; or how long before now: -90s, -1h30m, -2d, -1w.
func ParseTime(text string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for _, layout := range layouts {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	if ago, ok := strings.CutPrefix(text, "-"); ok {
		if t, ok := before(now, ago); ok {
			return t, nil
		}
	}
	if text == "now" {
		return now, nil
	}
	if t, ok := ofDay(now, text); ok {
		return t, nil
	}
	return time.Time{}, errors.New("wants RFC 3339 (2026-11-24T10:00:00Z), a local date and time (2026-11-24 10:00), 14:00, today, yesterday, " +
		"yesterday 14:00, now, or how long ago (-90s, -1h, -2d, -1w)")
}

// before is now less some days, weeks or a duration.
func before(now time.Time, ago string) (time.Time, bool) {
	for unit, days := range map[string]int{"d": 1, "w": 7} {
		if count, ok := strings.CutSuffix(ago, unit); ok {
			n, err := strconv.ParseUint(count, 10, 16)
			return now.AddDate(0, 0, -days*int(n)), err == nil
		}
	}
	d, err := time.ParseDuration(ago)
	return now.Add(-d), err == nil && d >= 0
}

// ofDay is a time of today or yesterday.
func ofDay(now time.Time, text string) (time.Time, bool) {
	day, clock, _ := strings.Cut(text, " ")
	back := 0
	switch day {
	case "today":
	case "yesterday":
		back = 1
	default:
		clock = text
	}
	year, month, date := now.Date()
	if clock == "" {
		return time.Date(year, month, date-back, 0, 0, 0, 0, now.Location()), text != ""
	}
	for _, layout := range []string{"15:04", time.TimeOnly} {
		if t, err := time.Parse(layout, clock); err == nil {
			return time.Date(year, month, date-back, t.Hour(), t.Minute(), t.Second(), 0, now.Location()), true
		}
	}
	return time.Time{}, false
}
