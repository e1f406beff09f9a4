package frames

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// addVectors seeds with the bytes of every vector.
func addVectors(f *testing.F, add func(wire []byte)) {
	paths, err := filepath.Glob("testdata/vectors/*.ami")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		if _, wire, _ := bytes.Cut(data, []byte("\n---\n")); len(wire) < 4<<10 {
			add(wire)
		}
	}
}

func FuzzReader(f *testing.F) {
	addVectors(f, func(wire []byte) {
		f.Add(wire, 1<<10, uint8(3))
		f.Add(wire, 64, uint8(5))
	})
	f.Fuzz(func(t *testing.T, wire []byte, limit int, chunk uint8) {
		limit = min(max(limit, minFrame), 1<<12)
		want, stats, wantErr := readAll(bytes.NewReader(wire), limit)
		sum := uint64(0)
		for i := range want {
			f := &want[i]
			if f.Truncated != (f.Size > limit) {
				t.Fatalf("limit %d, size %d, truncated %v", limit, f.Size, f.Truncated)
			}
			if len(f.Headers) == 0 && !f.Truncated {
				t.Fatal("an empty frame")
			}
			sum += uint64(f.Size)
		}
		if stats.Bytes != uint64(len(wire)) || stats.Frames+stats.TooLarge != uint64(len(want)) {
			t.Fatalf("%+v of %d bytes, %d frames", stats, len(wire), len(want))
		}
		// What is in no frame is blank lines of one or two bytes, or the tail.
		rest := stats.Bytes - sum
		if rest < stats.Blank || wantErr == io.EOF && rest > 2*stats.Blank {
			t.Fatalf("%d bytes outside frames: %+v, %v", rest, stats, wantErr)
		}
		for _, src := range []io.Reader{
			iotest.OneByteReader(bytes.NewReader(wire)),
			iotest.DataErrReader(chunkReader{bytes.NewReader(wire), int(chunk) + 1}),
		} {
			got, gotStats, gotErr := readAll(src, limit)
			if diff := cmp.Diff(want, got); diff != "" || gotErr != wantErr || gotStats != stats {
				t.Fatalf("%v, %+v instead of %v, %+v (-whole +pieces):\n%s", gotErr, gotStats, wantErr, stats, diff)
			}
		}
	})
}

func FuzzJSON(f *testing.F) {
	addVectors(f, func(wire []byte) { f.Add(wire, []byte("Event"), []byte("x"), false) })
	f.Add([]byte("$raw: a\r\nb\r\n$raw: c\r\n\r\n"), []byte("\xff"), []byte("\"\\\x00\x1f\xe2\x82"), true)
	f.Fuzz(func(t *testing.T, wire, key, value []byte, latin1 bool) {
		c := UTF8
		if latin1 {
			c = Latin1
		}
		// Names that no Reader returns must not break it either.
		checkJSON(t, &Frame{Headers: []Header{{key, value}, {value, key}, {nil, value}, {key, key}}}, c)
		all, _, _ := readAll(bytes.NewReader(wire), 1<<20)
		for i := range all {
			checkJSON(t, &all[i], c)
		}
	})
}

func FuzzAppendAction(f *testing.F) {
	f.Add("Ping", "ActionID", "b1.pbx1.k3f9.42", "Variable", "a: b")
	f.Add("Login", "Secret", "x\r\n\r\nAction: Originate", "", "")
	f.Add("x\x00", "a:b", "\n", " ", " \t ")
	f.Add("Originate", "Key", strings.Repeat("v", 1018), "K", strings.Repeat("v", 1020))
	f.Fuzz(func(t *testing.T, action, key1, value1, key2, value2 string) {
		headers := []Header{header("Action", action), header(key1, value1), header(key2, value2)}
		wire, err := AppendAction([]byte("before"), headers)
		if err != nil {
			_, ok := errors.AsType[*HeaderError](err)
			if !ok || string(wire) != "before" {
				t.Fatalf("%q, %v", wire, err)
			}
			if !strings.ContainsAny(action+key1+value1+key2+value2, "\r\n\x00:") &&
				key1 != "" && key2 != "" && !errors.Is(err, ErrLineTooLong) {
				t.Fatalf("refused without need: %v", err)
			}
			return
		}
		wire = bytes.TrimPrefix(wire, []byte("before"))
		if bytes.IndexByte(wire, 0) >= 0 {
			t.Fatalf("NUL in %q", wire)
		}
		for line := range bytes.SplitSeq(wire, []byte("\r\n")) {
			if len(line) > MaxLine {
				t.Fatalf("a line of %d bytes", len(line))
			}
		}
		got, stats, err := readAll(bytes.NewReader(wire), 1<<20)
		want := []Frame{{Headers: headers, Size: len(wire)}}
		if diff := cmp.Diff(want, got); diff != "" || err != io.EOF || stats.Blank != 0 {
			t.Fatalf("%v, %+v (-written +read):\n%s", err, stats, diff)
		}
	})
}
