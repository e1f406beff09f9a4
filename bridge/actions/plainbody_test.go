package actions

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/name"
)

// A plain body is read as the decoder reads it, and what is none is left to that.
func FuzzPlainMembers_AreTheDecoders(f *testing.F) {
	for _, text := range []string{
		"{}", " {\t} ", "{", `{"a":"b"}`, `{"a":"b",}`, `{"a":"b"}{}`, `{"a":"b"} x`, "{\"a\"\n:\r\"\u00e9\" , \"b\":\"\"}", `{"a":"\n"}`, `{"a":1}`, `{"a":"b" "c":"d"}`, `{"a":["b"]}`, "{\"a\":\"\x1f\"}", `{,}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		members, ok := plainMembers([]byte(text))
		if !ok || !utf8.ValidString(text) {
			return
		}
		d := json.NewDecoder(strings.NewReader(text))
		if first, err := d.Token(); err != nil || first != json.Delim('{') {
			t.Fatalf("%q begins with %v, %v", text, first, err)
		}
		for _, m := range members {
			name, _ := d.Token()
			if value, err := d.Token(); err != nil || name != m.name || value != m.value {
				t.Fatalf("%q has %v: %v, %v; not %q", text, name, value, err, m)
			}
		}
		last, _ := d.Token()
		if _, err := d.Token(); last != json.Delim('}') || !errors.Is(err, io.EOF) {
			t.Fatalf("%q ends with %v, %v", text, last, err)
		}
	})
}

// Most bodies are plain: those of the examples.
func TestPlainMembers_OfPlainBodies(t *testing.T) {
	for text, want := range map[string]int{
		"{}": 0, ` { "Variable" : "GREETING" } `: 1, `{"Channel":"PJSIP/100","Context":"from-internal","Exten":"200","Priority":"1"}`: 4, `{"CallerID":"Zoë <100>"}`: 1,
		`{"a":"b"`: -1, `{"a":1}`: -1, `{"a":"\u0041"}`: -1, `{"a":"b"}}`: -1, `[]`: -1, `{"a":"b"; "c":"d"}`: -1, `{"a";"b"}`: -1,
	} {
		if members, ok := plainMembers([]byte(text)); ok != (want >= 0) || ok && len(members) != want {
			t.Errorf("%s: %q, %v", text, members, ok)
		}
	}
}

// What it costs to read a body: the decoder's way is that of a body with an escape.
func BenchmarkParseBody(b *testing.B) {
	action, err := name.ParseAction("Getvar")
	if err != nil {
		b.Fatal(err)
	}
	for kind, text := range map[string]string{"plain": `{"Variable":"GREETING"}`, "escaped": `{"Variable":"GREETIN\u0047"}`} {
		b.Run(kind, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := parseBody(action, []byte(text)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
