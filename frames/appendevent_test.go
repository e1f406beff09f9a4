package frames

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAppendEvent_Refuses(t *testing.T) {
	event := header("Event", "Hangup")
	for name, headers := range map[string][]Header{
		"nothing":               nil,
		"another first":         {header("Channel", "a"), event},
		"two lines as the name": {header("Event", "Hangup\nChannel")},
		"another header":        {event, header("Channel", "a\r\nCause: 16")},
		"another by LF alone":   {event, header("Channel", "a\nCause: 16")},
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
