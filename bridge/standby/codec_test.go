package standby

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/costtest"
)

// anyHeartbeat draws a Heartbeat, with what is left out left out as often as not, and texts
// that no bridge says.
func anyHeartbeat(t *rapid.T) *Heartbeat {
	text := rapid.OneOf(rapid.Just(""), rapid.SampledFrom(words[:]), rapid.StringMatching(`[A-Za-z0-9_-]{1,32}`), rapid.String())
	number := rapid.OneOf(rapid.Just(uint64(0)), rapid.Uint64())
	signed := rapid.OneOf(rapid.Just(int64(0)), rapid.Int64())
	small := rapid.OneOf(rapid.Just(0), rapid.IntRange(-1, math.MaxInt32))
	list := func(name string) []int { return make([]int, rapid.IntRange(0, 3).Draw(t, name)) }
	h := &Heartbeat{
		Version: small.Draw(t, "v"), Needs: small.Draw(t, "needs"), Node: text.Draw(t, "node"), Incarnation: text.Draw(t, "incarnation"),
		Seq: number.Draw(t, "seq"), Weight: small.Draw(t, "weight"), List: Sum(number.Draw(t, "list")), SilenceMS: signed.Draw(t, "silence"), Groups: Sum(number.Draw(t, "groups")), Part: small.Draw(t, "part"), Parts: small.Draw(t, "parts"),
	}
	for range list("servers") {
		h.Servers = append(h.Servers, text.Draw(t, "server"))
	}
	for range list("leads") {
		l := Leads{
			Server: text.Draw(t, "server"), Term: number.Draw(t, "term"), Epoch: text.Draw(t, "epoch"), N: number.Draw(t, "n"), Sum: Sum(number.Draw(t, "sum")),
			Width: number.Draw(t, "width"), Filters: Sum(number.Draw(t, "filters")), Yields: text.Draw(t, "yields"), Unable: Unable(text.Draw(t, "unable")),
		}
		if rapid.Bool().Draw(t, "has a window") {
			window := Sum(number.Draw(t, "window"))
			l.Window = &window
		}
		for range list("answers") {
			l.Answers = append(l.Answers, Answer{text.Draw(t, "node"), number.Draw(t, "probe"), number.Draw(t, "n")})
		}
		h.Leads = append(h.Leads, l)
	}
	for range list("stands") {
		h.Stands = append(h.Stands, Stands{
			Server: text.Draw(t, "server"), State: text.Draw(t, "state"), Reason: Reason(text.Draw(t, "reason")), Term: number.Draw(t, "term"),
			Lag: number.Draw(t, "lag"), AgeMS: signed.Draw(t, "age"), LagMS: signed.Draw(t, "lag"), Unable: Unable(text.Draw(t, "unable")),
			OldestMS: signed.Draw(t, "oldest"), Probe: number.Draw(t, "probe"),
		})
	}
	for range list("tries") {
		h.Tries = append(h.Tries, Tries{text.Draw(t, "server"), signed.Draw(t, "for")})
	}
	return h
}

// What is written is what encoding/json writes, to the byte. What is read of it is what
// encoding/json reads.
func TestCodec_IsThatOfEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := anyHeartbeat(t)
		want, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		got := h.appendJSON(nil)
		if string(got) != string(want) {
			t.Fatal(cmp.Diff(string(want), string(got)))
		}
		readsAlike(t, got)
	})
}

// readsAlike wants what is read of data, if anything is, to be what encoding/json reads.
func readsAlike(t interface{ Fatal(...any) }, data []byte) {
	var got, want Heartbeat
	if !got.scan(string(data)) {
		return
	}
	if err := json.Unmarshal(data, &want); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatal(string(data), err, cmp.Diff(want, got))
	}
}

// What a bridge says is read without encoding/json: else it would be read all the same, and
// take longer.
func TestCodec_ReadsWhatABridgeSays(t *testing.T) {
	full := someHeartbeat()
	full.Tries = []Tries{{"pbx3", 17}}
	full.Leads[0].Unable, full.Leads[0].Answers = Mute, []Answer{{"b2", math.MaxUint64, 1}, {"b3", 0, 0}}
	full.Stands[0].LagMS, full.Stands[0].OldestMS, full.Stands[0].Probe = 1, math.MaxInt64, 5
	part := *full
	part.Part, part.Parts = 1, 2
	for _, h := range []*Heartbeat{someHeartbeat(), full, &part, {Node: "b1", Incarnation: "i", Weight: 1}} {
		data := h.appendJSON(nil)
		var got, want Heartbeat
		if err := json.Unmarshal(data, &want); err != nil || !got.scan(string(data)) || !reflect.DeepEqual(got, want) {
			t.Errorf("%.200s is read as %.200v, %v", data, got, err)
		}
	}
}

// What is written otherwise encoding/json reads, and to what it refuses it is left to say why.
func TestCodec_LeavesTheRest(t *testing.T) {
	h := someHeartbeat()
	h.Version, h.Needs = Version, needs
	data := string(h.appendJSON(nil))
	for old, other := range map[string]string{
		`{"v":2`: `{ "v":2`, `"v":2,"needs":1`: `"needs":1,"v":2`, `"b1"`: `"b\u0031"`, `"seq":9`: `"seq":9e0`, `"seq":9,`: `"seq":18446744073709551616,`,
		`"weight":1`: `"weight":01`, `"lag":4`: `"lag":-4`, `"age_ms":77`: `"age_ms":9223372036854775808`, `"servers":["pbx1","pbx2"]`: `"servers":[]`,
		`"width":99`: `"width":99,"new":{"leads":[]}`, `}]}`: `}]} `, `"differs"`: "\"diff\x00rs\"", `"apart"`: `"àpart"`,
	} {
		text := strings.Replace(data, old, other, 1)
		if text == data || new(Heartbeat).scan(text) {
			t.Errorf("%s is read", text)
		}
		var want Heartbeat
		err := json.Unmarshal([]byte(text), &want)
		if err == nil {
			err = want.check()
		}
		got, gotErr := DecodeHeartbeat([]byte(text))
		if (err == nil) != (gotErr == nil) || err == nil && !reflect.DeepEqual(*got, want) {
			t.Errorf("%s is read as %+v, %v", text, got, gotErr)
		}
	}
	for i := range data {
		readsAlike(t, []byte(data[:i]))
	}
}

// A Heartbeat is read in a few allocations, whatever it says.
func TestCodec_AllocatesLittle(t *testing.T) {
	h := &Heartbeat{Node: "b1", Incarnation: "i", Weight: 1}
	for i := range 20 {
		h.Stands = append(h.Stands, Stands{Server: fmt.Sprint("pbx", i), State: InSync.String(), Reason: Differs, Unable: Mute})
	}
	data, err := h.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if n := costtest.Allocations(func() { _, _ = DecodeHeartbeat(data) }); n > 8 {
		t.Errorf("%v allocations for %d servers", n, len(h.Stands))
	}
	if n := costtest.Allocations(func() { _, _ = h.Encode() }); n > 1 {
		t.Errorf("%v allocations to write it", n)
	}
}

// What outlives a Heartbeat is no part of its text, which is large: a bridge keeps some Marks
// of each server, and names, for long.
func TestCodec_NothingKeepsAMessage(t *testing.T) {
	now := time.Unix(100, 0)
	r, f := NewRoster("b0", "x", 1, time.Second), NewFollower(1000)
	for seq := range uint64(maxMarks - 1) {
		h := someHeartbeat()
		h.Seq, h.Leads[0].N, h.Stands[0].Server = seq+1, seq+1, "pbx1"
		data, err := h.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if h, err = DecodeHeartbeat(data); err == nil {
			err = r.Observe(h, now)
		}
		if err != nil {
			t.Fatal(err)
		}
		text := unsafe.StringData(h.Leads[0].Server)
		within := func(s string) bool {
			at := uintptr(unsafe.Pointer(unsafe.StringData(s))) - uintptr(unsafe.Pointer(text))
			return at < uintptr(len(data)) || -at < uintptr(len(data))
		}
		l, _ := r.Leader("pbx1")
		if l.Mark.Filters = 0; !within(h.Leads[0].Epoch) || !within(l.Mark.Epoch) {
			t.Fatal("the Epoch is no part of the message")
		}
		f.Observe(l.Mark, now)
		kept := []string{h.Node, h.Incarnation, l.Node, l.Incarnation, h.Leads[0].Yields, h.Stands[0].State, string(h.Stands[0].Reason), string(h.Stands[0].Unable), f.epoch}
		kept = append(kept, r.members["b1"].has...)
		for name := range r.rows {
			kept = append(kept, name)
		}
		for _, m := range f.marks {
			kept = append(kept, m.Epoch)
		}
		if i := slices.IndexFunc(kept, within); i >= 0 || len(f.marks) != int(seq)+1 {
			t.Fatalf("of %q, and %d marks, the %d. is a part of the message", kept, len(f.marks), i)
		}
	}
}
