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
			released += f.Observe(l.Mark(1), now)
			if released > max(start, int(l.Acked())) {
				t.Fatalf("of the session from %d on all up to %d is released, %d are stored", start, released, l.Acked())
			}
			if s, _ := f.State(); s == InSync {
				if cut := start + int(f.cut()); cut != int(f.cutN) {
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

// follow has a standby that has read the first events of all hear of a leader that has
// stored stored of them and goes on, step at a time, with the standby as far ahead as it is.
func follow(f *Follower, all []uint64, read, stored, step, marks int) (place, n uint64) {
	l, now := NewLedger("e", 0), time.Unix(0, 0)
	for i := range stored {
		l.Send(all[i])
		l.Ack(l.Sent())
	}
	for _, h := range all[:read] {
		f.Read(h)
	}
	for range marks {
		now = now.Add(250 * time.Millisecond)
		f.Observe(l.Mark(1), now)
		for range step {
			l.Send(all[l.Sent()])
			l.Ack(l.Sent())
			f.Read(all[read])
			read++
		}
	}
	return f.cut(), f.cutN
}

// A standby that is one event behind at each Mark has the sums of a place that is off by
// one, where all Marks fall behind equal events. It does not believe it, and finds the true
// one in the end.
func TestFollower_DoubtsThePlaceThatIsOffByOne(t *testing.T) {
	all := make([]uint64, 8000)
	for i := range all {
		if n := i + 1; n%20 != 0 && n%20 != 16 {
			all[i] = Hash([]byte{byte(n), byte(n >> 8)})
		}
	}
	for marks := 1; marks < 300; marks += 7 {
		f := NewFollower(1 << 17)
		place, n := follow(f, all, 199, 200, 20, marks)
		if s, why := f.State(); place != n || marks < 20 && s != Joining || marks > 250 && s != InSync {
			t.Errorf("%v %s at %d, event %d, after %d Marks", s, why, place, n, marks)
		}
	}
	f := NewFollower(1 << 17) // where Marks fall elsewhere it is found
	place, n := follow(f, all, 206, 207, 20, 100)
	if s, _ := f.State(); s != InSync || place != n {
		t.Errorf("%v: event %d is taken for %d", s, place, n)
	}
}

// What repeats with a period longer than all that is looked at is found at several
// places, and none of them is believed.
func TestFollower_DoubtsPlacesOfALongPeriod(t *testing.T) {
	const period = near + 2000
	all := make([]uint64, 6*period)
	for i := range all {
		all[i] = Hash([]byte{byte(i % period), byte(i % period >> 8), byte(i % period >> 16)})
	}
	f := NewFollower(1 << 17)
	follow(f, all, 3*period, period+period/2, 100, 100)
	if s, _ := f.State(); s != Joining {
		t.Errorf("%v at %d, event %d", s, f.cut(), f.cutN)
	}
}
