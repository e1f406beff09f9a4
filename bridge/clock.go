package bridge

import "time"

// The wall clock may be set at any time, so nothing is decided by it. Every
// time.Time of this process carries a reading of the monotonic clock too, which
// Sub, After and Until use; what is published is the wall clock's.

// elapsed returns how long before now then was.
func elapsed(then, now time.Time) time.Duration { return max(0, now.Sub(then)) }

// left returns how much of d is left that began then.
func left(d time.Duration, then, now time.Time) time.Duration { return max(0, d-elapsed(then, now)) }

// wallTime returns when then was, in Unix nanoseconds: as the wall clock had
// it, or, if that has been set back since, as long before now as it was.
func wallTime(then, now time.Time) int64 {
	return min(then.UnixNano(), now.UnixNano()-int64(elapsed(then, now)))
}

// timeFormat is RFC 3339 with microseconds.
const timeFormat = "2006-01-02T15:04:05.000000Z07:00"

func stamp(t time.Time) string { return t.UTC().Format(timeFormat) }

// raise puts a token into c, of capacity 1, unless there is one.
func raise(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// millis is d in milliseconds, to the microsecond.
func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
