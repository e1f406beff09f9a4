package standby

import (
	"math/rand/v2"
	"testing"
	"time"
)

// reads is how many sessions there are of all servers.
func (w *placeWorld) reads() (n int) {
	for _, b := range w.bridges {
		n += len(b.reads)
	}
	return n
}

// Where NATS is so slow that most bridges do not hear most others, they do not read what
// the others read: that would make it slower. Once they hear one another again, what is read
// too often ends soon.
func TestMoves_WhenAllAreSlowNobodyReadsForAll(t *testing.T) {
	w := newPlaceWorld(t, rand.New(rand.NewPCG(3, 3)), 10, 24, 2, false)
	for _, b := range w.bridges {
		b.has = w.servers
		w.start(b, 1)
	}
	w.pass(time.Minute)
	whole, sum := w.reads(), 0
	w.loses = 85
	const seconds = 60
	for range seconds {
		w.pass(time.Second)
		sum += w.reads()
	}
	mean := sum / seconds
	t.Logf("%d sessions, %d in the mean while most words are lost", whole, mean)
	if mean > whole+whole*2/5 {
		t.Errorf("%d sessions become %d", whole, mean)
	}
	w.loses = 2
	w.pass(15 * time.Second) // a session that began just now may take that long to be in sync
	if n := w.reads(); n > whole+whole/10 {
		t.Errorf("%d sessions are %d still", whole, n)
	}
}
