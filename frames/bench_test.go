package frames

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"strings"
	"testing"
)

// busy returns the bytes of testdata/busy.ami.gz behind the banner: 2,000
// frames that Asterisk 22 sent under load.
func busy(tb testing.TB) []byte {
	tb.Helper()
	file, err := os.Open("testdata/busy.ami.gz")
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
	_, frames, _ := bytes.Cut(data, []byte("\n"))
	return frames
}

// endless repeats data for ever.
type endless struct {
	data []byte
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.data[e.at:])
	e.at = (e.at + n) % len(e.data)
	return n, nil
}

func nextFrame(tb testing.TB, r *Reader) *Frame {
	f, err := r.Next()
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

// Each operation is one frame of the busy capture.
func BenchmarkNext(b *testing.B) {
	r := NewReader(&endless{data: busy(b)}, 1<<20)
	b.ReportAllocs()
	for b.Loop() {
		nextFrame(b, r)
	}
	b.SetBytes(int64(r.Stats().Bytes) / int64(r.Stats().Frames))
}

func BenchmarkNextAndJSON(b *testing.B) {
	r := NewReader(&endless{data: busy(b)}, 1<<20)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = AppendJSON(buf[:0], nextFrame(b, r), UTF8)
	}
	b.SetBytes(int64(r.Stats().Bytes) / int64(r.Stats().Frames))
}

func BenchmarkAppendJSON(b *testing.B) {
	text := map[string]string{
		"plain":   "Event: Newexten\r\n" + strings.Repeat("x", 5) + ": Local/s@load-00000000;1\r\n\r\n",
		"repeats": "Event: A\r\n" + strings.Repeat("ChanVariable: NAME=value\r\n", 50) + "\r\n",
		"utf-8":   "Event: A\r\nCallerIDName: " + strings.Repeat("é", 40) + "\r\n\r\n",
		"escapes": "Event: A\r\nValue: " + strings.Repeat(`say \"hello\" `, 10) + "\r\n\r\n",
	}
	for name, wire := range text {
		b.Run(name, func(b *testing.B) {
			f := nextFrame(b, NewReader(strings.NewReader(wire), 1<<20))
			var buf []byte
			b.SetBytes(int64(f.Size))
			b.ReportAllocs()
			for b.Loop() {
				buf, _ = AppendJSON(buf[:0], f, UTF8)
			}
		})
	}
}
