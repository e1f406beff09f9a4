package frames

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// copyFrame takes f out of the Reader's buffer.
func copyFrame(f *Frame) Frame {
	c := Frame{Size: f.Size, Truncated: f.Truncated}
	for _, h := range f.Headers {
		c.Headers = append(c.Headers, Header{bytes.Clone(h.Key), bytes.Clone(h.Value)})
	}
	return c
}

// readAll returns every frame of src and the error that ended it.
func readAll(src io.Reader, limit int) (all []Frame, stats Stats, err error) {
	r := NewReader(src, limit)
	for {
		f, err := r.Next()
		if err != nil && !errors.Is(err, ErrFrameTooLarge) {
			return all, r.Stats(), err
		}
		all = append(all, copyFrame(f))
	}
}

func header(key, value string) Header { return Header{[]byte(key), []byte(value)} }

func TestReader_SplitsHeaders(t *testing.T) {
	wire := "Event: A\r\nEmpty: \r\nReportBlock:\r\nnone\r\nChanVariable(SIP/1.2.3.4:5060-1): A=b: c\r\n\r\n"
	got, _, err := readAll(strings.NewReader(wire), 1<<10)
	want := []Frame{{Size: len(wire), Headers: []Header{
		header("Event", "A"), header("Empty", ""), header("ReportBlock", ""),
		{nil, []byte("none")}, header("ChanVariable(SIP/1.2.3.4:5060-1)", "A=b: c"),
	}}}
	if diff := cmp.Diff(want, got); diff != "" || err != io.EOF {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if got[0].Headers[1].Value == nil || got[0].Headers[2].Value == nil {
		t.Error("an empty value is nil")
	}
}

func TestReader_BusyCaptureIsTheSameInRandomPieces(t *testing.T) {
	data := busy(t)
	want, stats, err := readAll(bytes.NewReader(data), 1<<20)
	if err != io.EOF || len(want) < 1990 || stats.TooLarge != 0 || stats.Bytes != uint64(len(data)) {
		t.Fatalf("%d frames, %+v, %v", len(want), stats, err)
	}
	for _, f := range want {
		if f.Kind() == KindOther || len(f.Name()) == 0 || len(f.Headers) < 3 {
			t.Fatalf("odd frame %q", f.Headers)
		}
	}
	for range 5 {
		got, _, err := readAll(&randomReader{bytes.NewReader(data), 3000}, 1<<20)
		if len(got) != len(want) || err != io.EOF {
			t.Fatalf("%d frames of %d, %v", len(got), len(want), err)
		}
		for i := range want {
			if !reflect.DeepEqual(got[i], want[i]) {
				t.Fatalf("frame %d (-want +got):\n%s", i, cmp.Diff(want[i], got[i]))
			}
		}
	}
}

// randomReader reads 1 to most bytes a call.
type randomReader struct {
	io.Reader
	most int
}

func (r *randomReader) Read(p []byte) (int, error) {
	return r.Reader.Read(p[:min(len(p), 1+rand.IntN(r.most))])
}

func TestReader_TakesAFrameOfExactlyTheLimit(t *testing.T) {
	wire := "Event: A\r\nB: " + strings.Repeat("x", 200) + "\r\n\r\n"
	for _, wrap := range []func(io.Reader) io.Reader{
		func(r io.Reader) io.Reader { return r }, iotest.OneByteReader,
	} {
		got, stats, _ := readAll(wrap(strings.NewReader(wire+wire)), len(wire))
		if len(got) != 2 || got[1].Truncated || stats.Frames != 2 {
			t.Errorf("at the limit: %+v", stats)
		}
		got, stats, _ = readAll(wrap(strings.NewReader(wire+wire)), len(wire)-1)
		want := Frame{Headers: []Header{header("Event", "A"), header("B", strings.Repeat("x", 200))}, Size: len(wire), Truncated: true}
		if diff := cmp.Diff([]Frame{want, want}, got); diff != "" || stats.TooLarge != 2 || stats.Frames != 0 {
			t.Errorf("a byte over: %+v (-want +got):\n%s", stats, diff)
		}
	}
}

func TestReader_DiscardsAHugeFrameInBoundedMemory(t *testing.T) {
	const limit = 60_000
	line := "Key: " + strings.Repeat("v", 95) + "\r\n"
	for name, wire := range map[string]string{
		"many lines":   "Event: Huge\r\nActionID: 7\r\n" + strings.Repeat(line, 40_000) + "\r\n",
		"one line":     "Event: Huge\r\nActionID: 7\r\nJSON: " + strings.Repeat("\rj", 2_000_000) + "\r\n\n",
		"bare LF":      "Event: Huge\nActionID: 7\n" + strings.Repeat("Key: x\n", 500_000) + "\n",
		"old Command":  "Response: Follows\r\nActionID: 7\r\n" + strings.Repeat("Event: X\r\n\r\n--", 300_000) + "--END COMMAND--\r\n\r\n",
		"LF in a line": "Event: Huge\r\nActionID: 7\r\n" + strings.Repeat("x\n", 2_000_000) + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			src := &watch{Reader: &randomReader{strings.NewReader(wire + "Event: Next\r\n\r\n"), 50_000}}
			r := NewReader(src, limit)
			src.watched = r
			f, err := r.Next()
			if !errors.Is(err, ErrFrameTooLarge) || !f.Truncated || f.Size != len(wire) {
				t.Fatalf("%v, truncated %v, size %d of %d", err, f.Truncated, f.Size, len(wire))
			}
			if string(f.Get("ActionID")) != "7" || f.Kind() == KindOther {
				t.Errorf("headers %q", f.Headers[:2])
			}
			if src.most != limit {
				t.Errorf("buffer grew to %d", src.most)
			}
			if f, err = r.Next(); err != nil || string(f.Name()) != "Next" {
				t.Errorf("the frame after it: %v", err)
			}
		})
	}
}

// watch notes the largest buffer that it is asked to read into.
type watch struct {
	io.Reader
	watched *Reader
	most    int
}

func (w *watch) Read(p []byte) (int, error) {
	w.most = max(w.most, len(w.watched.buf))
	return w.Reader.Read(p)
}

func TestReader_HugeFirstLineLeavesNoHeaders(t *testing.T) {
	wire := strings.Repeat("x", 300) + "\r\nEvent: A\r\n\r\nEvent: B\r\n\r\n"
	got, _, err := readAll(iotest.HalfReader(strings.NewReader(wire)), 100)
	want := []Frame{{Size: 300 + 14, Truncated: true}, {Headers: []Header{header("Event", "B")}, Size: 12}}
	if diff := cmp.Diff(want, got); diff != "" || err != io.EOF {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestReader_GivesItsBufferBack(t *testing.T) {
	huge := "Event: Huge\r\n" + strings.Repeat("A: b\r\n", 100_000) + "\r\n"
	small := strings.Repeat("Event: Small\r\nA: b\r\n\r\n", 100)
	r := NewReader(chunkReader{strings.NewReader(huge + small), 50}, 1<<20)
	if f := nextFrame(t, r); len(f.Headers) != 100_001 || len(r.buf) < len(huge) {
		t.Fatalf("%d headers in a buffer of %d", len(f.Headers), len(r.buf))
	}
	for range 100 {
		if f := nextFrame(t, r); string(f.Get("A")) != "b" {
			t.Fatalf("headers %q", f.Headers)
		}
	}
	if len(r.buf) != firstBuffer || cap(r.ends) > keptHeaders || cap(r.frame.Headers) > keptHeaders {
		t.Errorf("kept %d bytes, %d lines, %d headers", len(r.buf), cap(r.ends), cap(r.frame.Headers))
	}
}

// A session that says little keeps little, however long; reads that fill that make
// room for a busy one, which is given back when it says little again.
func TestReader_IsSmallUntilItIsBusy(t *testing.T) {
	event := "Event: Small\r\nA: b\r\n\r\n"
	little, much := strings.Repeat(event, 1000), strings.Repeat(event, 1000)
	r := NewReader(io.MultiReader(chunkReader{strings.NewReader(little), len(event)}, strings.NewReader(much),
		chunkReader{strings.NewReader(little), len(event)}), 1<<20)
	for range 1000 {
		nextFrame(t, r)
	}
	if len(r.buf) != firstBuffer {
		t.Errorf("%d bytes for single events", len(r.buf))
	}
	for range 1000 {
		nextFrame(t, r)
	}
	if len(r.buf) != minBuffer {
		t.Errorf("%d bytes for many at once", len(r.buf))
	}
	for range 1000 {
		nextFrame(t, r)
	}
	if len(r.buf) != firstBuffer {
		t.Errorf("%d bytes for single events behind many at once", len(r.buf))
	}
}

// A session of which each read brings more than a quiet one's buffer holds keeps the
// buffer of a busy one, also behind a frame that took more.
func TestReader_KeepsTheBufferOfABusySession(t *testing.T) {
	huge := "Event: Huge\r\nA: " + strings.Repeat("x", 4*minBuffer) + "\r\n\r\n"
	const event = "Event: Small\r\nA: b\r\n\r\n"
	const each, reads = 2 * firstBuffer / len(event), 10 * quietReads
	r := NewReader(io.MultiReader(strings.NewReader(huge), chunkReader{strings.NewReader(strings.Repeat(event, each*reads)), each * len(event)}), 1<<20)
	nextFrame(t, r)
	for range each * reads {
		nextFrame(t, r)
	}
	if len(r.buf) != minBuffer {
		t.Errorf("%d bytes", len(r.buf))
	}
}

func TestReader_EndOfInput(t *testing.T) {
	for wire, want := range map[string]error{
		"":                               io.EOF,
		"\r\n\n":                         io.EOF,
		"Event: A\r\n\r\n\r\n":           io.EOF,
		"E":                              io.ErrUnexpectedEOF,
		"Event: A\r\n":                   io.ErrUnexpectedEOF,
		"Event: A\r\n\r\nEvent: B\r\n\r": io.ErrUnexpectedEOF,
		"Event: " + strings.Repeat("x", 500) + "\r\n": io.ErrUnexpectedEOF,
	} {
		r := NewReader(strings.NewReader(wire), 100)
		var err error
		for err == nil {
			_, err = r.Next()
		}
		if err != want {
			t.Errorf("%q: %v, want %v", wire, err, want)
		}
		if _, again := r.Next(); again != want {
			t.Errorf("%q: asked again: %v, want %v", wire, again, want)
		}
	}
}

// stutter times out in two reads of three, as a connection with a deadline
// does, once without bytes and once with some.
type stutter struct {
	io.Reader
	reads int
}

func (s *stutter) Read(p []byte) (int, error) {
	s.reads++
	if s.reads%3 == 0 {
		return 0, os.ErrDeadlineExceeded
	}
	n, err := s.Reader.Read(p)
	if s.reads%3 == 1 && err == nil {
		err = os.ErrDeadlineExceeded
	}
	return n, err
}

func TestReader_GoesOnAfterATimeout(t *testing.T) {
	long := "Event: " + strings.Repeat("x", 200) + "\r\n\r\n"
	wire := "Event: A\r\nB: c\r\n\r\n" + long + "Event: D\r\n\r\n"
	r := NewReader(&stutter{Reader: iotest.OneByteReader(strings.NewReader(wire))}, 64)
	var names []string
	timeouts := 0
	for {
		f, err := r.Next()
		switch {
		case err == nil:
			names = append(names, string(f.Name()))
			continue
		case errors.Is(err, ErrFrameTooLarge) && f.Size == len(long):
			names = append(names, "too large")
			continue
		case errors.Is(err, os.ErrDeadlineExceeded):
			timeouts++
			continue
		}
		if diff := cmp.Diff([]string{"A", "too large", "D"}, names); diff != "" || err != io.EOF {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		break
	}
	if timeouts < len(wire) {
		t.Errorf("%d timeouts", timeouts)
	}
}

func TestReader_PassesErrorsOnAfterTheFramesBeforeThem(t *testing.T) {
	broken := errors.New("connection reset")
	src := io.MultiReader(strings.NewReader("Event: A\r\n\r\nEvent: B"), iotest.ErrReader(broken))
	got, _, err := readAll(iotest.DataErrReader(src), 1<<10)
	if len(got) != 1 || !errors.Is(err, broken) {
		t.Errorf("%d frames, %v", len(got), err)
	}
}

type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, nil }

func TestReader_GivesUpOnAReaderWithoutProgress(t *testing.T) {
	if _, err := NewReader(nothing{}, 100).Next(); !errors.Is(err, io.ErrNoProgress) {
		t.Error(err)
	}
}

func TestReader_AllocatesNothingPerEvent(t *testing.T) {
	r := NewReader(&endless{data: busy(t)}, 1<<20)
	var payload []byte
	all := func() {
		for range 2000 {
			payload, _ = AppendJSON(payload[:0], nextFrame(t, r), UTF8)
		}
	}
	all()
	if n := testing.AllocsPerRun(10, all); n != 0 {
		t.Errorf("%v allocations in 2000 events", n)
	}
}

// Who knows that a connection is quiet need not wait for many reads: behind Rest what grew is
// given back with the next read, the room for headers too, and a frame stays good until then.
func TestReader_RestsAtOnce(t *testing.T) {
	event := "Event: Large\r\n" + strings.Repeat("A: b\r\n", 500) + "\r\n"
	const pong = "Response: Success\r\nPing: Pong\r\n\r\n"
	r := NewReader(io.MultiReader(strings.NewReader(event), chunkReader{strings.NewReader(pong + pong + pong), len(pong)}), 1<<20)
	nextFrame(t, r)
	f := nextFrame(t, r)
	grown := len(r.buf)
	r.Rest()
	if string(f.Get("Ping")) != "Pong" {
		t.Errorf("the frame is %q", f.Headers)
	}
	for range 2 {
		if f := nextFrame(t, r); string(f.Get("Ping")) != "Pong" {
			t.Errorf("headers %q", f.Headers)
		}
	}
	if grown <= firstBuffer || len(r.buf) != firstBuffer || cap(r.ends) > 16 || cap(r.frame.Headers) > 16 {
		t.Errorf("%d bytes, then %d, room for %d lines and %d headers", grown, len(r.buf), cap(r.ends), cap(r.frame.Headers))
	}
}
