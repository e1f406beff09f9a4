package benchmarks

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// rounds is how often each contender runs, one after another in each round, so
// that a busy machine is busy for all of them.
const rounds = 25

// busy returns what Asterisk 22 sent under load, behind its banner.
func busy(tb testing.TB) []byte {
	tb.Helper()
	file, err := os.Open("../frames/testdata/busy.ami.gz")
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		tb.Fatal(err)
	}
	data, err := io.ReadAll(unzipped)
	if err != nil {
		tb.Fatal(err)
	}
	_, wire, _ := bytes.Cut(data, []byte("\n"))
	return wire
}

// result is the median of one contender.
type result struct {
	perEvent time.Duration
	allocs   float64
}

// measure runs the contenders in turns.
func measure(tb testing.TB, wire []byte, contenders []contender) []result {
	tb.Helper()
	times := make([][]time.Duration, len(contenders))
	results := make([]result, len(contenders))
	events := 0
	for round := range rounds {
		for i, c := range contenders {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			start := time.Now()
			n, _, err := c.run(wire)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if err != nil {
				tb.Fatalf("%s: %v", c.name, err)
			}
			if events == 0 {
				events = n
			}
			if n != events {
				tb.Fatalf("%s read %d events, others %d", c.name, n, events)
			}
			results[i].allocs = float64(after.Mallocs-before.Mallocs) / float64(n)
			// The first round warms up.
			if round > 0 {
				times[i] = append(times[i], took/time.Duration(n))
			}
		}
	}
	for i := range times {
		slices.Sort(times[i])
		results[i].perEvent = times[i][len(times[i])/2]
	}
	return results
}

// compare prints a table of how many times the first contender is faster than
// the others, and returns the least of these.
func compare(t *testing.T, title string, wire []byte, contenders []contender) float64 {
	t.Helper()
	results := measure(t, wire, contenders)
	least := 0.0
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%s\tns/event\tallocs/event\tours is faster by\t\n", title)
	for i, r := range results {
		ratio := float64(r.perEvent) / float64(results[0].perEvent)
		if i == 1 || i > 1 && ratio < least {
			least = ratio
		}
		fmt.Fprintf(w, "%s\t%d\t%.2f\t%.1f\t\n", contenders[i].name, r.perEvent.Nanoseconds(), r.allocs, ratio)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", table.String())
	return least
}

func TestRatios(t *testing.T) {
	wire := busy(t)
	parse := compare(t, "bytes to headers", wire, []contender{
		{"frames Next", framesNext},
		{"bufio, strings, map", mapParse},
		{"net/textproto", mimeParse},
	})
	toJSON := compare(t, "bytes to JSON", wire, []contender{
		{"frames Next, AppendJSON", framesJSON},
		{"bufio, strings, map, encoding/json", mapJSON},
		{"net/textproto, encoding/json", mimeJSON},
	})
	if parse < 3 {
		t.Errorf("bytes to headers is only %.1f times as fast", parse)
	}
	if toJSON < 6 {
		t.Errorf("bytes to JSON is only %.1f times as fast", toJSON)
	}
}
