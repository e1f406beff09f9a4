package setting

import (
	"fmt"
	"strings"
	"testing"
)

func TestBytes_ReadsWhatItPrints(t *testing.T) {
	for _, text := range []string{"0", "1", "65536B", "512KiB", "64MiB", "10GiB", "2TiB"} {
		var b, again Bytes
		if err := b.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if err := again.UnmarshalText([]byte(b.String())); err != nil || again != b {
			t.Errorf("%s prints as %s", text, b)
		}
	}
	for _, text := range []string{"", "-1", "64MB", "1.5GiB", "99999999999TiB", "GiB"} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken for %v", text, b)
		}
	}
}

func TestSecret_NeverPrints(t *testing.T) {
	s := struct{ S Secret }{"canary"}
	if text := fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s.S, s.S); strings.Contains(text, "canary") {
		t.Errorf("printed as %s", text)
	}
}
