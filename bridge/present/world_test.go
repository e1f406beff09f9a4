package present

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"maps"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// fataler is what *testing.T and *rapid.T have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// world is a Present between a simulated session and a bucket in memory.
type world struct {
	t      fataler
	p      *Present
	now    time.Time
	bucket map[string]map[string]string
	writes int
}

func newWorld(t fataler, o Options) *world {
	w := &world{t: t, p: newPresent(o), now: start, bucket: map[string]map[string]string{}}
	w.p.Login("s1", w.now)
	w.p.Booted(w.now)
	return w
}

// skipFirst has the lists of the first round answered with nothing.
func (w *world) skipFirst() *world {
	for {
		ask, ok := w.p.Due(w.now)
		if !ok {
			return w
		}
		w.p.Apply(w.listing(ask), w.now)
	}
}

// frame makes a frame of lines.
func frame(lines string) *frames.Frame {
	f := &frames.Frame{}
	for line := range strings.Lines(lines) {
		name, value, _ := strings.Cut(strings.TrimRight(strings.TrimLeft(line, "\t"), "\r\n"), ":")
		f.Headers = append(f.Headers, frames.Header{Key: []byte(name), Value: append([]byte{}, strings.TrimPrefix(value, " ")...)})
	}
	return f
}

// event has one event come. Lines are "Header: value".
func (w *world) event(lines ...string) {
	w.now = w.now.Add(time.Millisecond)
	w.p.Reduce(frame(strings.Join(lines, "\n")), w.now)
}

// listing returns a run of ask, begun now and complete, with items.
func (w *world) listing(ask Ask, items ...string) *Run {
	r := w.p.Begin(ask, w.now)
	w.parts(r, items...)
	return r
}

func (w *world) parts(r *Run, items ...string) {
	for _, item := range append(items, "Event: "+lists[r.ask.List].complete) {
		r.Part(asJSON(frame(item), w.p.opts.Charset), w.now)
	}
}

func asJSON(f *frames.Frame, c frames.Charset) []byte {
	event, _ := frames.AppendJSON(nil, f, c)
	return event
}

// list has a list asked for and answered at once.
func (w *world) list(l List, items ...string) {
	w.t.Helper()
	if !w.p.Apply(w.listing(Ask{List: l}, items...), w.now) {
		w.t.Fatalf("the list %v was not applied", l)
	}
}

// drain has what is due written. Each key is one, each value JSON of strings with no
// field that is not its kind's, and what ends was written.
func (w *world) drain() map[string]map[string]string {
	w.t.Helper()
	var one Write
	for w.p.Take(&one, w.now) {
		w.writes++
		if !validKey.MatchString(one.Key) {
			w.t.Fatalf("%q is no key", one.Key)
		}
		if one.End {
			if w.bucket[one.Key] == nil {
				w.t.Fatalf("%s ends, and was never written", one.Key)
			}
			delete(w.bucket, one.Key)
		} else {
			var value map[string]string
			if err := json.Unmarshal(one.Value, &value); err != nil || !utf8.Valid(one.Value) {
				w.t.Fatalf("%s: %v: %s", one.Key, err, one.Value)
			}
			if err := followsSchema(&one); err != nil {
				w.t.Fatalf("%s: %v: %s", one.Key, err, one.Value)
			}
			w.bucket[one.Key] = value
		}
		one.Revision = uint64(w.writes)
		w.p.Done(&one, true, w.now)
	}
	return w.bucket
}

// want compares the fields of key, but for those that are not named. Nil: it is not
// there.
func (w *world) want(t *testing.T, key string, want map[string]string) {
	t.Helper()
	got, there := w.drain()["pbx1."+key]
	if want == nil {
		if there {
			t.Errorf("%s is there: %v", key, got)
		}
		return
	}
	if !there {
		t.Errorf("%s is not there; there are %q", key, keysOf(w.bucket))
		return
	}
	some := map[string]string{}
	for name := range want {
		some[name] = got[name]
	}
	if d := cmp.Diff(want, some); d != "" {
		t.Errorf("%s (-want +got):\n%s", key, d)
	}
}

func keysOf(m map[string]map[string]string) (all []string) {
	for k := range maps.Keys(m) {
		all = append(all, k)
	}
	return all
}

// capture returns the frames of a recorded session of a real Asterisk.
func capture(t testing.TB, path string) []*frames.Frame {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(unzipped)
	if err != nil {
		t.Fatal(err)
	}
	_, wire, _ := bytes.Cut(data, []byte("\n"))
	return framesOf(t, wire)
}
