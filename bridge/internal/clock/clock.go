package clock

import "time"

// The wall clock may be set at any time, so nothing is decided by it. Every
// time.Time of this process carries a reading of the monotonic clock too, which
// Sub, After and Until use; what is published is the wall clock's.

// Elapsed returns how long before now then was.
func Elapsed(then, now time.Time) time.Duration { return max(0, now.Sub(then)) }

// Left returns how much of d is left that began then.
func Left(d time.Duration, then, now time.Time) time.Duration { return max(0, d-Elapsed(then, now)) }

// Wall returns when then was, in Unix nanoseconds: as the wall clock had
// it, or, if that has been set back since, as long before now as it was.
func Wall(then, now time.Time) int64 {
	return min(then.UnixNano(), now.UnixNano()-int64(Elapsed(then, now)))
}

// Format is RFC 3339 with microseconds.
const Format = "2006-01-02T15:04:05.000000Z07:00"

// Stamp is t as messages have it: RFC 3339 in UTC.
func Stamp(t time.Time) string { return t.UTC().Format(Format) }

// Raise puts a token into c, of capacity 1, unless there is one.
func Raise(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Text is what err says, or nothing without one.
func Text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Millis is d in milliseconds, to the microsecond.
func Millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
