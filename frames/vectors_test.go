package frames

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// vector is one file of testdata/vectors, whose README says what it means.
type vector struct {
	limit   int
	charset Charset
	banner  bool
	want    []string
	wire    []byte
}

func loadVector(t *testing.T, path string) vector {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text, wire, found := bytes.Cut(data, []byte("\n---\n"))
	if !found {
		t.Fatal("no line ---")
	}
	v := vector{limit: 1 << 20, wire: wire}
	blank, replaced, end := "blank 0", "replaced 0", "end EOF"
	for line := range strings.SplitSeq(string(text), "\n") {
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "#":
		case "limit":
			_, err = fmt.Sscan(rest, &v.limit)
		case "charset":
			err = v.charset.UnmarshalText([]byte(rest))
		case "blank":
			blank = line
		case "replaced":
			replaced = line
		case "end":
			end = line
		case "banner":
			v.banner = true
			v.want = append(v.want, line)
		case "event", "response", "other", "too":
			v.want = append(v.want, line)
		default:
			t.Fatalf("unknown expectation %q", line)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	v.want = append(v.want, blank, replaced, end)
	return v
}

// read says what the Reader makes of src, in the words of a vector.
func (v *vector) read(src io.Reader) (got []string) {
	r := NewReader(src, v.limit)
	if v.banner {
		b, err := r.ReadBanner()
		if err != nil {
			return []string{err.Error()}
		}
		got = append(got, "banner "+b.Name+"|"+b.Version)
	}
	replaced := 0
	for {
		f, err := r.Next()
		tooLarge := errors.Is(err, ErrFrameTooLarge)
		if err != nil && !tooLarge {
			return append(got, fmt.Sprint("blank ", r.Stats().Blank),
				fmt.Sprint("replaced ", replaced), "end "+err.Error())
		}
		payload, n := AppendJSON(nil, f, v.charset)
		replaced += n
		line := kindName(f.Kind()) + " " + string(payload)
		if tooLarge {
			line = fmt.Sprintf("too large %d %s", f.Size, line)
		}
		got = append(got, line)
	}
}

func kindName(k Kind) string {
	return [...]string{KindOther: "other", KindEvent: "event", KindResponse: "response"}[k]
}

func TestVectors(t *testing.T) {
	paths, err := filepath.Glob("testdata/vectors/*.ami")
	if err != nil || len(paths) == 0 {
		t.Fatal("no vectors", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".ami"), func(t *testing.T) {
			v := loadVector(t, path)
			sources := map[string]func(io.Reader) io.Reader{
				"whole":         func(r io.Reader) io.Reader { return r },
				"byte by byte":  iotest.OneByteReader,
				"in halves":     iotest.HalfReader,
				"data with EOF": iotest.DataErrReader,
				"in sevens":     func(r io.Reader) io.Reader { return chunkReader{r, 7} },
			}
			for how, wrap := range sources {
				if diff := cmp.Diff(v.want, v.read(wrap(bytes.NewReader(v.wire)))); diff != "" {
					t.Errorf("%s (-want +got):\n%s", how, diff)
				}
			}
		})
	}
}

// chunkReader reads at most size bytes a call.
type chunkReader struct {
	io.Reader
	size int
}

func (c chunkReader) Read(p []byte) (int, error) { return c.Reader.Read(p[:min(len(p), c.size)]) }
