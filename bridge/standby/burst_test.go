package standby

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

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

// reordered is a session's order of events of threads: neighbours of different threads
// change places.
func reordered(rng *rand.Rand, all []uint64, thread []int, often float64) []uint64 {
	out, of := slices.Clone(all), slices.Clone(thread)
	for range 2 {
		for i := 1; i < len(out); i++ {
			if of[i] != of[i-1] && rng.Float64() < often {
				out[i], out[i-1], of[i], of[i-1] = out[i-1], out[i], of[i-1], of[i]
			}
		}
	}
	return out
}

// Where two sessions have orders of their own, and many events are alike, a standby believes
// no place but the true one: of two that are off by one, more Marks speak for that.
func TestFollower_BelievesOnlyTheTruePlaceInAnotherOrder(t *testing.T) {
	joined, tried := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 5))
		alike := rapid.SampledFrom([]float64{0.1, 0.3, 0.5}).Draw(t, "alike")
		often := rapid.SampledFrom([]float64{0.02, 0.1, 0.3}).Draw(t, "often")
		all, thread := make([]uint64, 12000), make([]int, 12000)
		for i := range all {
			thread[i] = rng.IntN(4)
			if all[i] = rng.Uint64(); rng.Float64() < alike {
				all[i], thread[i] = 7, 4
			}
		}
		leader, standby := reordered(rng, all, thread, often), reordered(rng, all, thread, often)
		l, f, now := NewLedger("e", 0), NewFollower(1<<17), time.Unix(0, 0)
		read, start := 0, rng.IntN(300)
		standby = standby[start:]
		tried++
		for int(l.Sent()) < len(leader) {
			for range min(1+rng.IntN(60), len(leader)-int(l.Sent())) {
				l.Send(leader[l.Sent()])
			}
			l.Ack(l.Sent())
			for read < min(len(standby), int(l.Sent())+rng.IntN(60)-30-start) {
				f.Read(standby[read])
				read++
			}
			now = now.Add(250 * time.Millisecond)
			f.Observe(l.Mark(1), now)
			if s, _ := f.State(); s == InSync && start+int(f.cut()) != int(f.cutN) {
				t.Fatalf("event %d is taken for %d", start+int(f.cut()), f.cutN)
			}
		}
		if s, _ := f.State(); s == InSync {
			joined++
		}
	})
	t.Logf("%d of %d joined", joined, tried)
	if joined < tried/2 {
		t.Error("too few do")
	}
}
