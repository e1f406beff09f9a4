package frames

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// member is one member of a JSON object, in order.
type member struct {
	Name   string
	Values []string
	Array  bool
}

// decodeObject reads a flat object with encoding/json.
func decodeObject(text []byte) (all []member, err error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil, fmt.Errorf("begins with %v: %w", tok, err)
	}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, err
		}
		m := member{Name: tok.(string)}
		var value any
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		switch value := value.(type) {
		case string:
			m.Values = []string{value}
		case []any:
			m.Array = true
			for _, v := range value {
				m.Values = append(m.Values, v.(string))
			}
		default:
			return nil, fmt.Errorf("%q is a %T", m.Name, value)
		}
		all = append(all, m)
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("something follows: %w", err)
	}
	return all, nil
}

// wantObject is what AppendJSON promises, the slow way.
func wantObject(headers []Header, c Charset) (all []member, replaced int) {
	text := func(b []byte) string {
		if c == Latin1 {
			var runes []rune
			for _, b := range b {
				runes = append(runes, rune(b))
			}
			return string(runes)
		}
		valid := string([]rune(string(b)))
		replaced += strings.Count(valid, "\uFFFD") - bytes.Count(b, []byte("\uFFFD"))
		return valid
	}
	at := map[string]int{}
	for _, h := range headers {
		name := string(h.Key)
		if h.Key == nil {
			name = "$raw"
		}
		i, repeat := at[name]
		if !repeat {
			i = len(all)
			at[name] = i
			array := strings.HasSuffix(name, "ChanVariable") || strings.HasPrefix(name, "ChanVariable(")
			all = append(all, member{Name: text([]byte(name)), Array: array})
		}
		all[i].Values = append(all[i].Values, text(h.Value))
		all[i].Array = all[i].Array || repeat
	}
	return all, replaced
}

func checkJSON(t *testing.T, f *Frame, c Charset) {
	t.Helper()
	want, wantReplaced := wantObject(f.Headers, c)
	payload, replaced := AppendJSON([]byte("before"), f, c)
	payload, found := bytes.CutPrefix(payload, []byte("before"))
	if !found || !json.Valid(payload) {
		t.Fatalf("not JSON: %q", payload)
	}
	got, err := decodeObject(payload)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%q: %v (-want +got):\n%s", payload, err, cmp.Diff(want, got))
	}
	if replaced != wantReplaced {
		t.Fatalf("%q: replaced %d, want %d", payload, replaced, wantReplaced)
	}
}

func TestAppendJSON_BusyCapture(t *testing.T) {
	all, _, _ := readAll(bytes.NewReader(busy(t)), 1<<20)
	for i := range all {
		checkJSON(t, &all[i], Charset(i%2))
	}
}

func TestAppendJSON_AnyNumberOfHeaders(t *testing.T) {
	for _, n := range []int{0, 1, 2, 126, 127, 128, 129, 130, 255, 256, 257, 1000, 5000} {
		for _, names := range []int{1, 2, 3, 100, 1 << 30} {
			f := &Frame{}
			for i := range n {
				f.Headers = append(f.Headers, header(fmt.Sprintf("Line-000000-%06d", i%names), fmt.Sprint(i)))
			}
			checkJSON(t, f, UTF8)
		}
	}
}

// A name and a value that are not plain are escaped wherever that shows, and a header
// behind them is whole.
func TestAppendJSON_OddBytesAtEveryPlace(t *testing.T) {
	plain, edges := []byte("plain, and longer than two words"), []byte("\x00\x1f !\"#[\\]\x7f\x80\xff")
	for length := range 27 {
		for at := range length {
			for _, b := range edges {
				odd := bytes.Repeat([]byte("x"), length)
				odd[at] = b
				for _, c := range []Charset{UTF8, Latin1} {
					checkJSON(t, &Frame{Headers: []Header{{odd, plain}, {plain, odd}}}, c)
				}
			}
		}
	}
}

func TestAppendJSONString_EveryByteAtEveryPlace(t *testing.T) {
	for length := range 20 {
		for at := range length {
			for b := range 256 {
				value := bytes.Repeat([]byte("x"), length)
				value[at] = byte(b)
				for _, c := range []Charset{UTF8, Latin1} {
					want, wantReplaced := wantObject([]Header{{[]byte("k"), value}}, c)
					text, replaced := AppendJSONString(nil, value, c)
					var got string
					if err := json.Unmarshal(text, &got); err != nil || got != want[0].Values[0] || replaced != wantReplaced {
						t.Fatalf("%v %q: %q, %d replaced, %v", c, value, text, replaced, err)
					}
				}
			}
		}
	}
}

func TestAppendJSONString_CountsWhatItReplaces(t *testing.T) {
	text, replaced := AppendJSONString([]byte("x"), []byte("a\xff\uFFFD\xe2\x82 \xed\xa0\x80é"), UTF8)
	if want := "x\"a\uFFFD\uFFFD\uFFFD\uFFFD \uFFFD\uFFFD\uFFFDé\""; string(text) != want || replaced != 6 {
		t.Errorf("%q, %d replaced", text, replaced)
	}
}
