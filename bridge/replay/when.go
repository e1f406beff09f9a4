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

// ParseTime reads RFC 3339, a date and time in now's zone, or how long before
// now: -90s, -1h30m, -2d.
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
		if days, ok := strings.CutSuffix(ago, "d"); ok {
			if n, err := strconv.ParseUint(days, 10, 16); err == nil {
				return now.AddDate(0, 0, -int(n)), nil
			}
		}
		if d, err := time.ParseDuration(ago); err == nil && d >= 0 {
			return now.Add(-d), nil
		}
	}
	return time.Time{}, errors.New("wants RFC 3339 (2026-11-24T10:00:00Z), a local date and time (2026-11-24 10:00), or how long ago (-90s, -1h, -2d)")
}
