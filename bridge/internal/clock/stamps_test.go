package clock

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Stamps says of each time what Format says, whichever came before it.
func TestStamps_AreTheFormat(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var stamps Stamps
	edges := []int64{0, 1, 999, 1000, 999_999_999, 1_000_000_000, -1, -1000, -1_000_000_000, 1<<63 - 1, -1 << 63, time.Date(2026, 12, 31, 23, 59, 59, 999_999_999, time.UTC).UnixNano()}
	at := time.Now().UnixNano()
	for i := range 20_000 {
		switch {
		case i < 2*len(edges):
			at = edges[i%len(edges)]
		case i%100 == 0:
			at = random.Int64()
		default:
			at += random.Int64N(20_000_000) - 5_000_000 // the wall clock may be set back
		}
		want := time.Unix(0, at).UTC().Format(Format)
		if got := string(stamps.Append([]byte("x"), at)); got != "x"+want {
			t.Fatalf("%d: %s, want %s", at, got, want)
		}
	}
}
