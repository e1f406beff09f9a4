package frames

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"
)

func TestFrame_GetIgnoresCaseAndTakesTheFirst(t *testing.T) {
	long := strings.Repeat("Long", 20)
	f := &Frame{Headers: []Header{header("Event", "A"), header("actionid", "1"), header("ActionID", "2"),
		{nil, []byte("x")}, header(long, "l"), header("Empty", ""), header("\u212A", "Kelvin")}}
	for key, want := range map[string]string{"ActionID": "1", "EVENT": "A", strings.ToLower(long): "l"} {
		if got := string(f.Get(key)); got != want {
			t.Errorf("Get(%q) = %q, want %q", key, got, want)
		}
	}
	if v := f.Get("Empty"); v == nil || len(v) != 0 {
		t.Errorf("an empty value is %#v", v)
	}
	for _, key := range []string{"None", "Event ", "k"} {
		if v := f.Get(key); v != nil {
			t.Errorf("Get(%q) = %q", key, v)
		}
	}
	if n := testing.AllocsPerRun(100, func() { f.Get(long); f.Get("None"); f.Kind(); f.Name() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestFrame_KindIsWhatTheFirstEventOrResponseHeaderSays(t *testing.T) {
	raw := Header{nil, []byte("Event")}
	for name, tc := range map[string]struct {
		want    Kind
		name    string
		headers []Header
	}{
		"event":          {KindEvent, "UserEvent", []Header{header("event", "UserEvent"), header("Response", "x"), header("Event", "y")}},
		"response":       {KindResponse, "Success", []Header{header("RESPONSE", "Success"), header("Event", "x")}},
		"proxied":        {KindEvent, "x", []Header{header("Server", "1"), header("ActionID", "2"), header("Event", "x"), header("Response", "y")}},
		"proxied answer": {KindResponse, "x", []Header{header("ActionID", "2"), header("Response", "x"), header("Event", "y")}},
		"after text":     {KindOther, "", []Header{raw, header("Event", "x")}},
		"neither":        {KindOther, "", []Header{header("x", "y"), header(" Event", "x"), header("Event ", "x"), header("Events", "x")}},
	} {
		f := &Frame{Headers: tc.headers}
		if got := f.Kind(); got != tc.want || string(f.Name()) != tc.name {
			t.Errorf("%s is %d, %q; want %d, %q", name, got, f.Name(), tc.want, tc.name)
		}
	}
	empty := &Frame{}
	if empty.Kind() != KindOther || empty.Name() != nil || empty.Get("Event") != nil {
		t.Error("an empty frame is something")
	}
}

func TestReader_RawIsTheFrameAsItCame(t *testing.T) {
	wire := []string{"no header: at all\r\n x:y\r\n\r\n", "LF: lines\nz\n\r\n", "Event: A\r\nB: c\r\n\r\n"}
	r := NewReader(iotest.OneByteReader(strings.NewReader(strings.Join(wire, "\r\n"))), 1<<10)
	for _, want := range wire {
		f, err := r.Next()
		if err != nil || string(f.Raw) != want {
			t.Errorf("%q, %v; want %q", f.Raw, err, want)
		}
	}
	r = NewReader(strings.NewReader(strings.Repeat("x", 200)+"\r\n\r\n"), 64)
	if f, err := r.Next(); !errors.Is(err, ErrFrameTooLarge) || f.Raw != nil {
		t.Errorf("truncated: %q, %v", f.Raw, err)
	}
}
