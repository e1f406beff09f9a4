package frames

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAppendEvent_Refuses(t *testing.T) {
	event := header("Event", "Hangup")
	for name, headers := range map[string][]Header{
		"nothing":               nil,
		"no event at all":       {header("Channel", "a"), header("Cause", "16")},
		"a response":            {header("Response", "Success"), event},
		"text before it":        {{Value: []byte("text")}, event},
		"LF first":              {header("Server", "a\nb"), event},
		"two lines as the name": {header("Event", "Hangup\nChannel")},
		"another header":        {event, header("Channel", "a\r\nCause: 16")},
		"Agents' own LF":        {header("Event", "Agents"), header("CallStarted", "1\nLoggedInTime: 2")},
		"an empty line":         {event, {Value: []byte("\nEvent: Forged")}},
		"colon in a name":       {event, header("A:b", "c")},
		"bracket in a value":    {event, header("A(b:c", "d)e: f")},
		"bracket in a name":     {event, {Value: []byte("(a: b): c")}},
		"another event":         {event, header("Channel", "a\r\n\r\nEvent: Forged")},
		"half a line end":       {event, header("Channel", "a\r")},
		"LF in a name":          {event, header("Chan\nnel", "a")},
		"empty name":            {event, header("", "a")},
		"two names":             {event, header("A: b", "c")},
		"a name in a raw line":  {event, {Value: []byte("A: b")}},
		"an empty raw line":     {event, {Value: []byte("")}},
	} {
		got, err := AppendEvent([]byte("before"), headers)
		if !errors.Is(err, ErrIllegalHeader) || string(got) != "before" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func hasOddBytes(h Header) bool {
	return bytes.ContainsAny(h.Key, "\r\n") || bytes.ContainsAny(h.Value, "\r\n") || h.Key != nil && len(h.Key) == 0
}

// What was read is written so that it is read again, or refused.
func FuzzAppendEvent(f *testing.F) {
	addVectors(f, func(wire []byte) { f.Add(wire) })
	f.Fuzz(func(t *testing.T, wire []byte) {
		r := NewReader(bytes.NewReader(wire), 1<<20)
		for {
			event, err := r.Next()
			if err != nil {
				return
			}
			text, err := AppendEvent(nil, event.Headers)
			if err != nil {
				if event.Kind() == KindEvent && !slices.ContainsFunc(event.Headers, hasOddBytes) {
					t.Fatalf("%q refused without need: %v", event.Headers, err)
				}
				continue
			}
			again := NewReader(bytes.NewReader(text), 1<<20)
			got, err := again.Next()
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			if diff := cmp.Diff(event.Headers, got.Headers); diff != "" {
				t.Fatalf("%q (-before +after):\n%s", text, diff)
			}
			if _, err := again.Next(); err != io.EOF {
				t.Fatalf("%q: behind it %v", text, err)
			}
		}
	})
}
