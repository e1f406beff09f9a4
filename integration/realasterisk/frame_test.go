package realasterisk

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadFrame_KeepsBytesAndSkipsBlankLinesBetween(t *testing.T) {
	first := "Event: UserEvent\r\nNote: one\ntwo: \xe9\r\nnote: second\r\n\r\n"
	second := "Response: Success\r\nActionID: a-1\r\n\r\n"
	r := bufio.NewReaderSize(strings.NewReader(first+"\r\n\r\n"+second+"Event: cut"), 16)
	for _, want := range []string{first, second} {
		got, err := readFrame(r)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Error(diff)
		}
	}
	if f, err := readFrame(r); !errors.Is(err, io.EOF) {
		t.Errorf("the cut frame: %q, %v", f, err)
	}
}

func TestFrame_GivesTheFirstValueOfAKeyInAnyCase(t *testing.T) {
	f := Frame("Event: UserEvent\r\nNote: one\r\nNOTE: two\r\nEmpty: \r\n\r\n")
	got := []string{f.Event(), f.Get("note"), f.Get("Empty"), f.Get("Missing")}
	if diff := cmp.Diff([]string{"UserEvent", "one", "", ""}, got); diff != "" {
		t.Error(diff)
	}
	if got := Frame("Response: Success\r\nEvent: no\r\n\r\n").Event(); got != "" {
		t.Errorf("a response is the event %q", got)
	}
}
