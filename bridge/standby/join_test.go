package standby

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// contentOf returns a stream's contents: mostly from a small alphabet, so that windows
// differ by little, or the same over and over, so that they do not differ at all.
func contentOf(rng *rand.Rand, n int, fresh float64, alphabet, period int) []uint64 {
	out := make([]uint64, n)
	next := uint64(1000)
	for i := range out {
		switch {
		case rng.Float64() < fresh:
			next++
			out[i] = next
		case period > 0 && i >= period:
			out[i] = out[i-period]
		default:
			// The first of the alphabet is as frequent as all others.
			out[i] = uint64(rng.IntN(2) * rng.IntN(alphabet))
		}
	}
	for i, c := range out {
		out[i] = Hash([]byte{byte(c), byte(c >> 8), byte(c >> 16)})
	}
	return out
}

// A standby whose session began at any time, and which is ahead of the leader or behind,
// believes no place but the true one, however often events repeat.
func TestFollower_BelievesOnlyTheTruePlace(t *testing.T) {
	joined, tried := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 2))
		alphabet := rapid.SampledFrom([]int{1, 2, 5, 50, 200}).Draw(t, "alphabet")
		fresh := rapid.SampledFrom([]float64{0, 0.01, 0.1, 0.5}).Draw(t, "fresh")
		period := rapid.SampledFrom([]int{0, 0, 1, 7, 100}).Draw(t, "period")
		all := contentOf(rng, 6000, fresh, alphabet, period)
		start := rng.IntN(1500)
		l, f := NewLedger("e", 0), NewFollower(1<<17)
		read, now := start, time.Unix(0, 0)
		lag := rapid.IntRange(-150, 150).Draw(t, "lag")
		tried++
		for {
			for range 1 + rng.IntN(60) {
				if n := int(l.Sent()); n < len(all) {
					l.Send(all[n])
				}
			}
			l.Ack(l.Sent())
			for read < min(len(all), int(l.Sent())+lag+rng.IntN(20)) {
				f.Read(all[read])
				read++
			}
			now = now.Add(250 * time.Millisecond)
			released := read - f.Held()
			released += f.Hear(l.Mark(1), now)
			if released > max(start, int(l.Acked())) {
				t.Fatalf("of the session from %d on all up to %d is released, %d are stored", start, released, l.Acked())
			}
			if s, _ := f.State(); s == InSync {
				if cut := start + int(f.cut); cut != int(f.cutN) {
					t.Fatalf("event %d is taken for %d", cut, f.cutN)
				}
				if len(all) == int(l.Sent()) {
					joined++
				}
			}
			if int(l.Sent()) == len(all) {
				return
			}
		}
	})
	t.Logf("%d of %d joined", joined, tried)
	if joined < tried/8 {
		t.Error("too few do")
	}
}
