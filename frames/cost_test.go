package frames

import (
	"strings"
	"testing"
	"time"
)

// enough is hundreds of times what the tests below need, and a fraction of what
// they need with a Reader that looks at bytes again, or moves them, for each read
// or frame.
const enough = 20 * time.Second

// readWithin reads n frames, or ends the test when enough is over.
func readWithin(t *testing.T, r *Reader, n int) {
	t.Helper()
	began := time.Now()
	for i := range n {
		if _, err := r.Next(); err != nil {
			t.Fatalf("frame %d: %v", i, err)
		}
		if time.Since(began) > enough {
			t.Fatalf("after %v only %d of %d frames are read", enough, i+1, n)
		}
	}
}

// impatient fails a read that comes when enough is over.
type impatient struct {
	*testing.T
	chunkReader

	until time.Time
}

func (r impatient) Read(p []byte) (int, error) {
	if time.Now().After(r.until) {
		r.Fatalf("a frame in small pieces is not read after %v", enough)
	}
	return r.chunkReader.Read(p)
}

// A frame that comes in small pieces costs as much as it is long.
func TestReader_LooksAtEachByteOnce(t *testing.T) {
	const size = 4 << 20
	for name, wire := range map[string]string{
		"one line":        "Event: A\r\nB: " + strings.Repeat("x", size) + "\r\n\r\n",
		"bare line feeds": "Event: A\r\nB: " + strings.Repeat("x\n", size/2) + "\r\n\r\n",
		"many lines":      "Event: A\r\n" + strings.Repeat("B: c\r\n", size/24) + "\r\n",
		"raw output":      "Response: Follows\r\n" + strings.Repeat("-", size) + "--END COMMAND--\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			pieces := impatient{t, chunkReader{strings.NewReader(wire), 16}, time.Now().Add(enough)}
			readWithin(t, NewReader(pieces, 2*size), 1)
		})
	}
}

// A frame out of a full large buffer costs what it is long as well: nothing
// behind it is moved.
func TestReader_MovesNothingForAFrame(t *testing.T) {
	const frame = "Event: A\r\nPrivilege: call,all\r\nChannel: PJSIP/alice-00000001\r\nUniqueid: 1.2\r\n\r\n"
	const large, n = 4 << 20, 4 << 20 / len(frame)
	wire := "Event: Large\r\nX: " + strings.Repeat("x", large) + "\r\n\r\n" + strings.Repeat(frame, n)
	readWithin(t, NewReader(strings.NewReader(wire), 2*large), 1+n)
}
