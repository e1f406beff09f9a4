package frames

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReader_ReadsTheBannerAndLeavesTheRest(t *testing.T) {
	for line, want := range map[string]Banner{
		"Asterisk Call Manager/11.0.0\r\n": {"Asterisk Call Manager", "11.0.0"},
		"Asterisk Call Manager/1.1\n":      {"Asterisk Call Manager", "1.1"},
		"Fork/ a/b/2 x\r\n":                {"Fork/ a", "b/2"},
		"/1\n":                             {"", "1"},
	} {
		r := NewReader(iotest.OneByteReader(strings.NewReader(line+"Event: A\r\n\r\n")), 100)
		got, err := r.ReadBanner()
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", line, got, err)
		}
		if f := nextFrame(t, r); string(f.Name()) != "A" || f.Size != 12 {
			t.Errorf("%q: then %q", line, f.Headers)
		}
	}
}

func TestReader_RefusesWhatIsNoBanner(t *testing.T) {
	long := strings.Repeat("/x", 300)
	for _, text := range []string{"\r\n", "SSH-2.0-OpenSSH\r\n", "x/ \r\n", long} {
		_, err := NewReader(strings.NewReader(text), 100).ReadBanner()
		syntax, ok := errors.AsType[*SyntaxError](err)
		if !ok || len(syntax.Input) > 256 || !strings.HasPrefix(text, syntax.Input) || len(err.Error()) > 80+50 {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	for text, want := range map[string]error{"": io.EOF, "Asterisk": io.ErrUnexpectedEOF} {
		if _, err := NewReader(strings.NewReader(text), 100).ReadBanner(); !errors.Is(err, want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	broken := errors.New("reset")
	if _, err := NewReader(iotest.ErrReader(broken), 100).ReadBanner(); !errors.Is(err, broken) {
		t.Error(err)
	}
}
