package frames

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// checkRead compares what a Reader makes of wire with what it promises: whole, and in pieces, so that
// bytes from before lie behind those that have come.
func checkRead(t *testing.T, wire string) {
	t.Helper()
	want, whole := plainRead(wire)
	for _, piece := range []int{len(wire), 100, 37} {
		got, _, err := readAll(chunkReader{strings.NewReader(wire), piece}, 1<<20)
		if !reflect.DeepEqual(want, got) || (err == io.EOF) != whole {
			t.Fatalf("%q in pieces of %d: %v (-plain +read):\n%s", wire, piece, err, cmp.Diff(want, got))
		}
	}
}

func TestUsual_AnyLengths(t *testing.T) {
	var wire strings.Builder
	for name := range 40 {
		wire.WriteString("Event: Lengths\r\n")
		for value := range 70 {
			fmt.Fprintf(&wire, "%s: %s\r\n", strings.Repeat("n", 1+name), strings.Repeat("v", value))
		}
		wire.WriteString("\r\n")
	}
	checkRead(t, wire.String())
}

// Whatever stands, or stands in between, at whatever place of an event: it is read as the rules say,
// and so is the event behind it.
func TestUsual_OddBytesAtEveryPlace(t *testing.T) {
	const next = "Event: Next\r\nChannel: Local/s@load-00000000;1\r\n\r\n"
	const event = "Event: Odd\r\nA: b\r\nEmpty:\r\nChannelStateDesc: Ring\r\nDestConnectedLineName: Local/s@load-00000000;1\r\nLast: \r\n\r\n"
	for at := range len(event) {
		for _, odd := range []string{"\x00", "\n", "\r", "\r\n", " ", ":", "(", ")", "*", "+", "\"", "\\", "\x7f", "\x80", "\xba", "\xff"} {
			checkRead(t, next+event[:at]+odd+event[at+1:]+next)
			checkRead(t, next+event[:at]+odd+event[at:]+next)
		}
	}
}

// A frame may be as long as the limit.
func TestUsual_Limit(t *testing.T) {
	for size := 90; size < 110; size++ {
		event := "Event: A\r\nB: " + strings.Repeat("x", size-len("Event: A\r\nB: \r\n\r\n")) + "\r\n\r\n"
		all, stats, err := readAll(strings.NewReader(event+strings.Repeat("Event: Next\r\n\r\n", 9)), 100)
		if len(all) != 10 || err != io.EOF || all[0].Truncated != (size > 100) || all[0].Size != size || stats.TooLarge > 1 {
			t.Errorf("of %d bytes: %+v, %+v, %v", size, all[0], stats, err)
		}
	}
}

// Nearly all that a busy Asterisk sends is usual.
func TestUsual_IsNearlyAll(t *testing.T) {
	r := NewReader(bytes.NewReader(busy(t)), 1<<20)
	tried, usual := 0, 0
	for {
		if r.end > r.start {
			tried++
			if _, size := r.usual(); size > 0 {
				usual++
			}
		}
		if _, err := r.Next(); err != nil {
			break
		}
	}
	if tried < 1900 || usual < tried/100*90 {
		t.Errorf("%d of %d", usual, tried)
	}
}
