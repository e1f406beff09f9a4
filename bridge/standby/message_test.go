package standby

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/costtest"
)

func someHeartbeat() *Heartbeat {
	m := Mark{Term: 3, Epoch: "k3f9x", N: 12, Sum: math.MaxUint64, Window: 7, Width: 99, Filters: 5}
	return &Heartbeat{
		Node: "b1", Incarnation: "k3f9-1", Seq: 9, Weight: 1, List: ListHash([]string{"pbx1", "pbx2"}), Servers: []string{"pbx1", "pbx2"},
		Leads:  []Leads{LeadsOf("pbx1", m, "b2")},
		Stands: []Stands{{Server: "pbx2", State: "apart", Reason: Differs, Term: 1, Lag: 4, AgeMS: 77, Unable: NoActions}},
	}
}

func TestHeartbeat_IsReadAsItWasWritten(t *testing.T) {
	h := someHeartbeat()
	data, err := h.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeHeartbeat(data)
	if err != nil || !reflect.DeepEqual(got, h) {
		t.Errorf("%v\n%s", err, cmp.Diff(h, got))
	}
	if m := got.Leads[0].Mark(); m != (Mark{Term: 3, Epoch: "k3f9x", N: 12, Sum: math.MaxUint64, Window: 7, Width: 99, Filters: 5}) {
		t.Errorf("%+v", m)
	}
	if narrow := LeadsOf("pbx1", Mark{Term: 1, Epoch: "e", N: 3}, ""); narrow.Mark().Width != 0 {
		t.Error("a Mark without a Window has one")
	}
}

func TestTerm_IsReadAsItWasWritten(t *testing.T) {
	rec := &Term{Server: "pbx1", Term: 4, Node: "b1", Incarnation: "x", Since: time.Date(2026, 11, 29, 1, 2, 3, 4000, time.UTC), Reason: "silence"}
	data, err := rec.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeTerm(data)
	if err != nil || !reflect.DeepEqual(got, rec) {
		t.Errorf("%v\n%s", err, cmp.Diff(rec, got))
	}
}

// The format is that of every bridge of this version: it does not change by accident.
func TestMessages_HaveTheFormatOfVersion2(t *testing.T) {
	data, err := someHeartbeat().Encode()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"v":2,"needs":1,"node":"b1","incarnation":"k3f9-1","seq":9,"weight":1,"list":"` +
		fmt.Sprintf("%016x", uint64(ListHash([]string{"pbx2", "pbx1"}))) + `","servers":["pbx1","pbx2"],` +
		`"leads":[{"server":"pbx1","term":3,"epoch":"k3f9x","n":12,"sum":"ffffffffffffffff","window":"0000000000000007","width":99,` +
		`"filters":"0000000000000005","yields":"b2"}],` +
		`"stands":[{"server":"pbx2","state":"apart","reason":"differs","term":1,"lag":4,"age_ms":77,"unable":"act"}]}`
	if diff := cmp.Diff(want, string(data)); diff != "" {
		t.Error(diff)
	}
	data, err = (&Term{Server: "pbx1", Term: 4, Node: "b1", Incarnation: "x", Since: time.Unix(0, 0).UTC(), Reason: "yield"}).Encode()
	want = `{"v":2,"needs":1,"server":"pbx1","term":4,"node":"b1","incarnation":"x","since":"1970-01-01T00:00:00Z","reason":"yield"}`
	if diff := cmp.Diff(want, string(data)); diff != "" || err != nil {
		t.Error(diff, err)
	}
	// The hash of an event and the draws of a rank are part of it.
	if h := Hash(nil); h != 0xef46db3751d8e999 { // of xxhash's own test vectors
		t.Errorf("%#x", h)
	}
	if h := Hash([]byte("Event: Hangup\r\n\r\n")); h != 0xd831b1f699564edb {
		t.Errorf("%#x", h)
	}
	if s := score("pbx1", "b1", 3); s != 0xeff7d26866782074 {
		t.Errorf("%#x", s)
	}
}

// A bridge reads what the next version says and it does not know, and refuses only what
// says that it needs the next version.
func TestMessages_OfTheNextVersionAreRead(t *testing.T) {
	data, err := someHeartbeat().Encode()
	if err != nil {
		t.Fatal(err)
	}
	next := strings.Replace(string(data), `{"v":2,`, `{"v":3,"zone":{"a":[1]},`, 1)
	next = strings.Replace(next, `{"server":"pbx1",`, `{"server":"pbx1","quorum":3,`, 1)
	h, err := DecodeHeartbeat([]byte(next))
	if err != nil || h.Version != 3 || len(h.Leads) != 1 || h.Leads[0].N != 12 {
		t.Errorf("%+v, %v", h, err)
	}
	for _, later := range []string{
		`{"v":4,"needs":3,"node":"b1"}`, `{"v":4,"needs":3,"node":["other","type"]}`, `{"leads":"all","v":4,"needs":3}`,
	} {
		if _, err := DecodeHeartbeat([]byte(later)); !errors.Is(err, ErrNewer) {
			t.Errorf("%s: %v", later, err)
		}
		if _, err := DecodeTerm([]byte(later)); !errors.Is(err, ErrNewer) {
			t.Errorf("%s: %v", later, err)
		}
	}
}

func TestMessages_AreBounded(t *testing.T) {
	h := largest()
	for i := range h.Leads {
		h.Leads[i].Answers = nil // that all are joined at once is said in parts
	}
	data, err := h.Encode()
	if err != nil || len(data) > MaxMessage {
		t.Fatalf("the largest is of %d bytes: %v", len(data), err)
	}
	t.Logf("the largest is of %d bytes", len(data))
	if _, err := DecodeHeartbeat(data); err != nil {
		t.Error(err)
	}
	h.Leads = append(h.Leads, h.Leads[0])
	if _, err := h.Encode(); err == nil {
		t.Error("one server more is written")
	}
	if _, err := DecodeHeartbeat(make([]byte, MaxMessage+1)); err == nil {
		t.Error("a longer one is read")
	}
}

func TestMessages_AreRefused(t *testing.T) {
	for text, why := range map[string]string{
		`{}`: "version",
		`{"v":1,"needs":1,"node":"a.b","incarnation":"x","weight":1}`:                                                       "node",
		`{"v":1,"needs":1,"node":"b","incarnation":"","weight":1}`:                                                          "incarnation",
		`{"v":1,"needs":1,"node":"b","incarnation":"x","weight":0}`:                                                         "weight",
		`{"v":1,"needs":1,"node":"b","incarnation":"x","weight":101}`:                                                       "weight",
		`{"v":1,"needs":1,"node":"b","incarnation":"x","weight":1,"servers":["a b"]}`:                                       "server",
		`{"v":1,"needs":1,"node":"b","incarnation":"x","weight":1,"leads":[{"server":"p"}]}`:                                "led",
		`{"v":1,"needs":1,"node":"b","incarnation":"x","weight":1,"stands":[{"server":"p"}]}`:                               "stood by",
		`{"v":1,"needs":1,"node":"b","incarnation":"x","weight":1,"list":12}`:                                               "list",
		`{"v":1,"needs":1,"node":"b","incarnation":"x","weight":1,"list":"ABCDEF0123456789"}`:                               "hexadecimal",
		`{"v":1,"needs":1,"node":"b","incarnation":"x","weight":1,"seq":-1}`:                                                "seq",
		`{"v":1,"needs":1,"node":"b","incarnation":"x","weight":1,"list":"0123456789abcdef0"}`:                              "hexadecimal",
		`{"v":0,"needs":1,"node":"b","incarnation":"x","weight":1,"list":"0123456789abcdef"}`:                               "version",
		`{"v":1,"needs":1,"node":"b","incarnation":"x","weight":1,"list":"0123456789abcdef"}}`:                              "message",
		`{"v":1,"needs":-1,"node":"b","incarnation":"x","weight":1,"list":"0123456789abcdef"}`:                              "version",
		`{"v":1,"needs":1,"node":"b","incarnation":"x","weight":1,"stands":[{"server":"p","state":"in_sync","age_ms":-1}]}`: "stood by",
		`{"v":1,"needs":1,"node":"b","incarnation":"x","weight":1,"stands":[{"server":"p","state":"in_sync","unable":"` +
			strings.Repeat("x", maxToken+1) + `"}]}`: "stood by",
		`{"v":1,"needs":1,"node":"b","incarnation":"x","weight":1,"leads":[{"server":"p","term":1,"epoch":"e","width":63}]}`:                 "led",
		`{"v":1,"needs":1,"node":"b","incarnation":"x","weight":1,"leads":[{"server":"p","term":1,"epoch":"e","answers":[{"node":"a b"}]}]}`: "led",
		`{"v":1,"needs":1,"node":"b","incarnation":"x","weight":1,"leads":[{"server":"p","term":18446744073709551615,"epoch":"e"}]}`:         "led",
		`{"v":2,"needs":2,"node":"b","incarnation":"x","weight":1,"part":1}`:                                                                 "part",
		`{"v":2,"needs":2,"node":"b","incarnation":"x","weight":1,"parts":2}`:                                                                "part",
		`{"v":2,"needs":2,"node":"b","incarnation":"x","weight":1,"part":3,"parts":2}`:                                                       "part",
		`{"v":2,"needs":2,"node":"b","incarnation":"x","weight":1,"part":-1,"parts":-1}`:                                                     "part",
		`{"v":2,"needs":2,"node":"b","incarnation":"x","weight":1,"part":1,"parts":257}`:                                                     "part",
	} {
		if _, err := DecodeHeartbeat([]byte(text)); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{
		``, `{}`, `{"v":1,"needs":1,"server":"p","term":0,"node":"b","incarnation":"x"}`,
		`{"v":1,"needs":1,"server":"p q","term":1,"node":"b","incarnation":"x"}`,
		`{"v":1,"needs":1,"server":"p","term":18446744073709551615,"node":"b","incarnation":"x"}`,
		`{"v":1,"needs":1,"server":"p","term":1,"node":"","incarnation":"x"}`,
		`{"v":1,"needs":1,"server":"p","term":1,"node":"b","incarnation":"x","since":"yesterday"}`,
	} {
		if _, err := DecodeTerm([]byte(text)); err == nil {
			t.Errorf("%s is read", text)
		}
	}
}

func TestID_IsReadAsItWasWritten(t *testing.T) {
	name := rapid.StringMatching(`[A-Za-z0-9_-]{1,32}`)
	epoch := rapid.StringMatching(`[0-9a-z]{1,16}`)
	rapid.Check(t, func(t *rapid.T) {
		id := ID{name.Draw(t, "server"), epoch.Draw(t, "epoch"), rapid.Uint64().Draw(t, "n"), rapid.Uint64().Draw(t, "hash")}
		got, err := ParseID(string(id.AppendTo(nil)))
		if err != nil || got != id {
			t.Fatalf("%+v, %v", got, err)
		}
		e, n, err := ParseSeq(string(id.AppendSeq(nil)))
		if err != nil || e != id.Epoch || n != id.N {
			t.Fatalf("%s %d, %v", e, n, err)
		}
	})
}

// What a bridge without HA makes, or a hand, is no id.
func TestID_OthersAreRefused(t *testing.T) {
	for _, s := range []string{
		"", ".", "pbx1.e.1", "b1.pbx1.mb3k2x9a7q.42", "b1.pbx1.mb3k2x9a7q.0.3", "pbx1.e.01.0123456789abcdef", "pbx1.e.1.0123456789ABCDEF",
		"pbx1.e.+1.0123456789abcdef", "pbx1.E.1.0123456789abcdef", "pbx1.e.1.0123456789abcdef.", "pbx1.e.18446744073709551616.0123456789abcdef",
		"pb x.e.1.0123456789abcdef", ".e.1.0123456789abcdef", "pbx1..1.0123456789abcdef", "pbx1.e.1.0123456789abcde", "pbx1.abcdefghijklmnopq.1.0123456789abcdef",
	} {
		if id, err := ParseID(s); err == nil {
			t.Errorf("%q is %+v", s, id)
		}
	}
	for _, s := range []string{"", ":", "e:", ":1", "e:01", "e:-1", "e:1:2", "E:1", "e:1 "} {
		if _, _, err := ParseSeq(s); err == nil {
			t.Errorf("%q is an Ami-Seq", s)
		}
	}
}

func TestID_AllocatesNothing(t *testing.T) {
	id := ID{"pbx1", "k3f9x", 42, Hash([]byte("x"))}
	text := string(id.AppendTo(nil))
	buf := make([]byte, 0, 128)
	if n := costtest.Allocations(func() { buf = id.AppendSeq(id.AppendTo(buf[:0])); _, _ = ParseID(text) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// What is read is what is written again, and nothing makes a decoder panic.
func FuzzParseID(f *testing.F) {
	f.Add("pbx1.k3f9x.42.0123456789abcdef")
	f.Add("b1.pbx1.mb3k2x9a7q.42")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID(s)
		if err == nil && string(id.AppendTo(nil)) != s {
			t.Errorf("%q is read, %q written", s, id.AppendTo(nil))
		}
		if epoch, n, err := ParseSeq(s); err == nil && string(ID{Epoch: epoch, N: n}.AppendSeq(nil)) != s {
			t.Errorf("%q is read as Ami-Seq", s)
		}
	})
}

func FuzzHeartbeat(f *testing.F) {
	data, err := someHeartbeat().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"v":2,"needs":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		readsAlike(t, data)
		h, err := DecodeHeartbeat(data)
		if err != nil {
			return
		}
		again, err := h.Encode()
		if err != nil {
			t.Fatalf("%q is read and not written: %v", data, err)
		}
		r := NewRoster("self", "x", 1, time.Second)
		now := time.Unix(0, 0)
		if err := r.Observe(h, now); err == nil {
			for _, l := range h.Leads {
				r.Leader(l.Server)
				r.Turn(l.Server, now)
				r.Ranked(l.Server, now)
			}
		}
		if !json.Valid(again) {
			t.Errorf("%s", again)
		}
	})
}

func FuzzTerm(f *testing.F) {
	f.Add([]byte(`{"v":1,"needs":1,"server":"pbx1","term":4,"node":"b1","incarnation":"x","since":"1970-01-01T00:00:00Z","reason":"yield"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if rec, err := DecodeTerm(data); err == nil {
			again, err := rec.Encode()
			if err != nil {
				t.Fatalf("%q is read and not written: %v", data, err)
			}
			got, err := DecodeTerm(again)
			if err != nil || !got.Since.Equal(rec.Since) || got.Term != rec.Term {
				t.Errorf("%s is %+v, %v", again, got, err)
			}
		}
	})
}

func BenchmarkHeartbeat(b *testing.B) {
	h := &Heartbeat{Node: "b1", Incarnation: "x", Weight: 1}
	for i := range 200 {
		m := Mark{3, "k3f9x", 1 << 30, math.MaxUint64, math.MaxUint64, Window, 1}
		if i%2 == 0 {
			h.Leads = append(h.Leads, LeadsOf(fmt.Sprint("pbx", i), m, ""))
		} else {
			h.Stands = append(h.Stands, Stands{Server: fmt.Sprint("pbx", i), State: "in_sync", Term: 3})
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		data, _ := h.Encode()
		b.SetBytes(int64(len(data)))
		if _, err := DecodeHeartbeat(data); err != nil {
			b.Fatal(err)
		}
	}
}
