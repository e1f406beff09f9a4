package clock

import "time"

// Stamps writes one time after the other as Format has it, in UTC. Most differ from the
// one before in the microseconds alone, so that the rest is kept. It is for one
// goroutine.
type Stamps struct {
	second int64  // since 1970
	text   []byte // of it, up to the point; empty: none yet
}

// upToPoint is Format up to the microseconds.
const upToPoint = "2006-01-02T15:04:05."

// Append appends the time of so many nanoseconds since 1970.
func (s *Stamps) Append(dst []byte, at int64) []byte {
	t := time.Unix(0, at)
	if second := t.Unix(); second != s.second || len(s.text) == 0 {
		s.second, s.text = second, t.UTC().AppendFormat(s.text[:0], upToPoint)
	}
	dst = append(append(dst, s.text...), "000000Z"...)
	micros := t.Nanosecond() / 1000
	for i := len(dst) - len("0Z"); micros > 0; i-- {
		dst[i] = byte('0' + micros%10)
		micros /= 10
	}
	return dst
}
