package present

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// validKey is nats.go's rule for a key (kv.go validKeyRe), less what would make a
// token empty.
var validKey = regexp.MustCompile(`^[-_=a-zA-Z0-9]+(\.[-_=a-zA-Z0-9]+)+$`)

// A key is one that a bucket takes, has a token for each id, of bounded length, and
// leads back to the ids; two ids never share one.
func FuzzKey(f *testing.F) {
	for _, id := range []string{
		"", "=", "==", ".", "1795910672.4", "Local/wait@load/n", "=3D", "a b", "\x00\xff", strings.Repeat("a", 128), strings.Repeat("a", 129),
		strings.Repeat(".", 42), strings.Repeat(".", 43), strings.Repeat("é", 500), strings.Repeat("a", 94) + "==" + strings.Repeat("0", 32),
	} {
		f.Add(id, "q")
		f.Add("q", id)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		key := Key("pbx1", Member, a, b)
		if !validKey.MatchString(key) {
			t.Fatalf("%q is no key", key)
		}
		for token := range strings.SplitSeq(key, ".") {
			if len(token) > maxToken {
				t.Errorf("a token of %d bytes", len(token))
			}
		}
		server, kind, ids, ok := ParseKey(key)
		if !ok || server != "pbx1" || kind != Member || len(ids) != 2 {
			t.Fatalf("%q: %q %v %q %v", key, server, kind, ids, ok)
		}
		for i, id := range []string{a, b} {
			if ids[i] != id && escapedLen([]byte(id)) <= maxToken {
				t.Errorf("%q came back as %q", id, ids[i])
			}
		}
		index := appendIndex(nil, [][]byte{[]byte(a), []byte(b)})
		if got := string(appendKey(nil, "pbx1", Member, string(index))); got != key && a != "" && b != "" {
			t.Errorf("%q by its index, %q by its ids", got, key)
		}
		if again := Key("pbx1", Member, b, a); again == key && a != b {
			t.Errorf("%q and %q share %q", a, b, key)
		}
		// The key itself as an id is another id.
		if id := strings.Split(key, ".")[2]; id != a && Key("pbx1", Queue, id) == Key("pbx1", Queue, a) {
			t.Errorf("%q and %q share a key", id, a)
		}
	})
}

// A key that is read and is one of ours is the one that its ids make.
func FuzzParseKey(f *testing.F) {
	f.Add("pbx1.channel.1=2E1")
	f.Add("pbx1.member.q.=")
	f.Add("pbx1.queue." + strings.Repeat("a", 94) + "==" + strings.Repeat("0", 32))
	f.Add("pbx1.channel.1=2e1")
	f.Fuzz(func(t *testing.T, key string) {
		server, kind, ids, ok := ParseKey(key)
		if !ok || slices.ContainsFunc(ids, func(id string) bool { return isCut([]byte(id)) }) {
			return
		}
		if again := Key(server, kind, ids...); again != key {
			t.Errorf("%q names what %q names", key, again)
		}
	})
}

// Whatever comes, by events and by lists, cut and in any order: no panic, the bounds
// hold, each value is JSON of strings with no field that is not its kind's, and when
// all has ended nothing is held.
func FuzzFrames(f *testing.F) {
	for _, name := range []string{"asterisk-22.ami.gz", "asterisk-16.ami.gz"} {
		all := capture(f, "testdata/"+name)
		for i := 0; i < len(all); i += 40 {
			var wire []byte
			for _, frame := range all[i:min(i+40, len(all))] {
				for _, h := range frame.Headers {
					wire = append(append(append(append(wire, h.Key...), ": "...), h.Value...), "\r\n"...)
				}
				wire = append(wire, "\r\n"...)
			}
			f.Add(wire, uint64(i), false)
		}
	}
	f.Add([]byte("Event: QueueCallerJoin\r\nQueue: "+strings.Repeat("q", 2000)+"\r\nUniqueid: 1\r\n\r\n"), uint64(1), true)
	f.Fuzz(func(t *testing.T, wire []byte, seed uint64, latin bool) {
		o := Options{Keep: AllKinds, MaxObjects: 40, MaxBytes: 24 << 10}
		if latin {
			o.Charset = frames.Latin1
		}
		w := newWorld(t, o)
		all := framesOf(t, wire)
		r := rand.New(rand.NewPCG(seed, 0))
		var run *Run
		for _, frame := range all {
			w.now = w.now.Add(time.Duration(r.IntN(1000)) * time.Millisecond)
			if run != nil && r.IntN(3) == 0 {
				run.Part(asJSON(frame, o.Charset), w.now)
			} else {
				w.p.Reduce(frame, w.now)
			}
			switch r.IntN(12) {
			case 0:
				if run == nil {
					run = w.p.Begin(Ask{List: List(r.IntN(int(Lists)))}, w.now)
				}
			case 1:
				if run != nil {
					run.complete = true
					w.p.Apply(run, w.now)
					run = nil
				}
			case 2:
				w.drain()
			}
			if c := w.p.Counts(); c.Held > o.MaxObjects || c.Bytes > o.MaxBytes+int64(8*maxField) {
				t.Fatalf("%d objects of %d bytes", c.Held, c.Bytes)
			}
		}
		if run != nil {
			w.p.Fail(run, "timeout", w.now)
		}
		w.p.Login("s2", w.now)
		for l := range Lists {
			w.list(l)
		}
		w.list(Conferences)
		w.drain()
		w.now = w.now.Add(2 * tombstoneAge)
		for range 40 {
			w.event("Event: X")
		}
		if c := w.p.Counts(); c.Held != 0 || c.Bytes != 0 || len(w.p.owned) != 0 || len(w.p.waiting) != 0 || len(w.bucket) != 0 {
			t.Fatalf("nothing is up: %+v, %v", c, w.bucket)
		}
	})
}
