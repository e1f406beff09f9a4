package actions

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
)

func TestTally_CountsByResultAndKind(t *testing.T) {
	var counted requestStats
	for range 98 {
		counted.add(resultAnswered, nil, 3*time.Millisecond)
	}
	counted.add(resultFailed, &reply.Error{Kind: "asterisk_error"}, 20*time.Millisecond)
	counted.add(resultFailed, &reply.Error{Kind: "timeout"}, 2*time.Minute)
	counted.add(resultRefused, &reply.Error{Kind: "forbidden"}, time.Hour) // no duration of Asterisk's
	want := shownStats{
		Answered: 98, Failed: 2, Refused: 1,
		Errors:   map[string]uint64{"asterisk_error": 1, "timeout": 1, "forbidden": 1},
		Duration: durationStats{Count: 100, Sum: 120_314, Average: 1203.14, P50: 3.775, P99: 25, Max: 120_000},
	}
	d := counted.durations()
	if diff := cmp.Diff(want, counted.stats(&d)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// An estimate lies in the bucket of the true one, and not over the longest.
func TestTally_QuantilesAreOfTheirBucket(t *testing.T) {
	for _, took := range []time.Duration{
		time.Microsecond, 500 * time.Microsecond, 501 * time.Microsecond, 70 * time.Millisecond, time.Minute, time.Hour,
	} {
		var counted requestStats
		counted.add(resultAnswered, nil, took)
		d := counted.durations()
		for _, q := range []float64{0.01, 0.5, 0.99, 1} {
			var low time.Duration
			for _, bound := range bounds {
				if bound < took {
					low = bound
				}
			}
			if got := d.quantile(q); got < low || got > took {
				t.Errorf("one of %v: %v of them take %v", took, q, got)
			}
		}
	}
	if d := (&requestStats{}).durations(); d.quantile(0.99) != 0 || d.average() != 0 {
		t.Error("of nothing there is a duration")
	}
}

func TestTally_IsWholeAndFree(t *testing.T) {
	var counted requestStats
	fail := &reply.Error{Kind: "timeout"}
	if n := testing.AllocsPerRun(100, func() { counted.add(resultFailed, fail, time.Second) }); n != 0 {
		t.Errorf("%v allocations an Action", n)
	}
	counted = requestStats{}
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for j := range 1000 {
				counted.add(resultAnswered, nil, time.Duration(i*1000+j)*time.Microsecond)
			}
		})
	}
	group.Wait()
	d := counted.durations()
	if sum := 8000 * 7999 / 2 * time.Microsecond; d.count != 8000 || d.sum != sum || d.longest != 7999*time.Microsecond {
		t.Errorf("%d of %v, the longest %v", d.count, d.sum, d.longest)
	}
	if got := d.seconds()[0.005]; got != 5001 {
		t.Errorf("%d took up to 5 ms", got)
	}
}

// No kind of failure is counted as none, and each is one that callers know of.
func TestTally_KnowsEachKind(t *testing.T) {
	page, err := os.ReadFile("../../docs/actions.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := []string{string(reply.KindNoInbox)} // of which nobody is told
	for _, row := range regexp.MustCompile("(?m)^\\| [45][0-9]{2} \\| (`[^|]+) \\|").FindAllStringSubmatch(string(page), -1) {
		documented = append(documented, strings.Split(strings.Trim(row[1], "`"), "`, `")...)
	}
	slices.Sort(documented)
	var counted []string
	for _, kind := range reply.Kinds {
		counted = append(counted, string(kind))
	}
	slices.Sort(counted)
	if diff := cmp.Diff(counted, slices.Compact(documented)); diff != "" {
		t.Errorf("(-counted +in docs/actions.md):\n%s", diff)
	}
}
