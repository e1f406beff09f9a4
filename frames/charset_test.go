package frames

import (
	"errors"
	"strings"
	"testing"
)

func TestCharset_AppendText(t *testing.T) {
	for _, tc := range []struct {
		c       Charset
		s, want string
	}{
		{UTF8, "Jörg €", "J\xc3\xb6rg \xe2\x82\xac"},
		{Latin1, "Jörg ÿ\u0080", "J\xf6rg \xff\x80"},
	} {
		if got, err := tc.c.AppendText([]byte("x"), tc.s); string(got) != "x"+tc.want || err != nil {
			t.Errorf("%v %q: %q, %v", tc.c, tc.s, got, err)
		}
	}
	got, err := Latin1.AppendText([]byte("x"), "s3cret€")
	if !errors.Is(err, ErrUnencodable) || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
	if text := err.Error(); !strings.Contains(text, "U+20AC") || strings.Contains(text, "s3cret") {
		t.Error(text)
	}
}

func TestCharset_Names(t *testing.T) {
	for _, want := range []Charset{UTF8, Latin1} {
		text, _ := want.MarshalText()
		got := Charset(99)
		if err := got.UnmarshalText(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	c := Latin1
	if err := c.UnmarshalText([]byte("koi8-r")); err == nil || c != Latin1 {
		t.Errorf("%v, %v", c, err)
	}
}
