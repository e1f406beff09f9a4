package natsconn

import "testing"

func TestStreams_Covers(t *testing.T) {
	for _, c := range []struct {
		pattern, subject string
		want             bool
	}{
		{"a.>", "a.b.c", true}, {"a.>", "a", false}, {"a.*", "a.b", true}, {"a.*", "a.b.c", false}, {"a.*.c", "a.>", false},
		{"a.>", "a.>", true}, {">", "a.>", true}, {"a.b", "a.*", false}, {"a.*", "a.*", true}, {"a.b.>", "a.>", false},
		{"a.*", "a.>", false}, {"a.b.c", "a.b", false},
	} {
		if got := Covers(c.pattern, c.subject); got != c.want {
			t.Errorf("covers(%q, %q) = %v", c.pattern, c.subject, got)
		}
	}
}
