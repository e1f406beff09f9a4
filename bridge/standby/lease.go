package standby

import "time"

const (
	// leastLease and mostLease bound SendLease. A batch lives ten seconds.
	leastLease = 400 * time.Millisecond
	mostLease  = 4 * time.Second
)

// SendLease is for how long a batch goes on after the newest acknowledged event was sent. One who was
// frozen for longer begins another, which its fence refuses if somebody has claimed meanwhile: that is
// after the silence at the earliest. Where the stream takes longer to answer, no batch ever goes on.
func SendLease(silence time.Duration) time.Duration {
	return min(max(silence*2/5, leastLease), mostLease)
}

// MayGoOn reports whether the next event may go into the batch that is open.
func MayGoOn(newestAckedSent, now time.Time, lease time.Duration) bool {
	return now.Sub(newestAckedSent) < lease
}
