package standby

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// burstsOf returns what an Asterisk sends in bursts of one length: what is different in
// each, and ends that are alike in all.
func burstsOf(rng *rand.Rand, n, length, alike int) []uint64 {
	all := make([]uint64, n*length)
	for i := range all {
		if i%length < length-alike {
			all[i] = rng.Uint64()
			continue
		}
		all[i] = Hash([]byte{byte(i % length)})
	}
	return all
}

// An Asterisk of which little is asked sends in bursts, and each Mark falls behind the last
// event of one. A standby is in sync with it, be the ends of all bursts alike.
func TestFollower_JoinsWhereEachMarkFallsBehindTheSameEvent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 4))
		length := rapid.SampledFrom([]int{2, 4, 8, 16, 32, 64, 3, 5, 20, 100}).Draw(t, "length")
		alike := rapid.IntRange(1, min(5, length-1)).Draw(t, "alike")
		behind := rapid.IntRange(0, 2).Draw(t, "behind")
		const marks = 400
		start := 200/length + 1
		all := burstsOf(rng, start+marks, length, alike)
		f := NewFollower(1 << 17)
		place, n := follow(f, all, start*length-behind, start*length, length, marks)
		if s, why := f.State(); s != InSync || place != n {
			t.Fatalf("%v %s: event %d is taken for %d", s, why, place, n)
		}
	})
}
