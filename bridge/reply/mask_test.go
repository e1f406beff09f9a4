package reply

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
)

// maskedParts are events of a reply, the last without a secret.
var maskedParts = []string{
	`{"Event":"AuthList","Password":"c4n4ry","Username":"alice"}`, `{"Event":"AuthList","Md5Cred":"c4n4ry","Password":"c4n4ry"}`,
	`{"Event":"AuthListComplete","ListItems":"2"}`,
}

// What is secret is hidden in the response, the events and each part, and its
// name said once; what is granted is as it came.
func TestMask_HidesInEachPartOfAReply(t *testing.T) {
	for _, off := range []bool{false, true} {
		r := &correlation.Result{Fields: []byte(`{"Response":"Success","Secret":"c4n4ry"}`), Events: []byte(strings.Join(maskedParts, ","))}
		m := Mask{Off: off}
		m.Result(r)
		if shown := strings.Contains(string(r.Fields), "c4n4ry"); shown != off {
			t.Errorf("granted is %v: %s", off, r.Fields)
		}
		if shown := strings.Contains(string(r.Events), "c4n4ry"); shown != off {
			t.Errorf("granted is %v: %s", off, r.Events)
		}
		want := []string{"Secret", "Password", "Md5Cred"}
		if off {
			want = nil
		}
		if !slices.Equal(m.Names, want) {
			t.Errorf("granted is %v: it names %q", off, m.Names)
		}
	}
}

// A part is in bytes of its own, since the reader goes on in its; the reply behind
// all parts names what was hidden in any.
func TestMask_PartsAreTheirOwn(t *testing.T) {
	for _, off := range []bool{false, true} {
		m := Mask{Off: off}
		for i, text := range maskedParts {
			buffer := []byte(text)
			own, names := m.part(buffer)
			clear(buffer)
			if want := [][]string{{"Password"}, {"Md5Cred", "Password"}, nil}[i]; !off && !slices.Equal(names, want) || off && names != nil {
				t.Errorf("granted is %v, part %d: it names %q", off, i, names)
			}
			if shown := strings.Contains(string(own), "c4n4ry"); !json.Valid(own) || shown != (off && i < 2) {
				t.Errorf("granted is %v, part %d: %q", off, i, own)
			}
		}
		if want := []string{"Password", "Md5Cred"}; !off && !slices.Equal(m.Names, want) {
			t.Errorf("the parts together name %q", m.Names)
		}
	}
}
