package frames

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestAppendAction_WritesHeadersInOrder(t *testing.T) {
	got, err := AppendAction([]byte("before|"), []Header{
		header("Action", "Originate"), header("Variable", "a=1"), header("Variable", "b: 2"), header("Data", ""),
	})
	want := "before|Action: Originate\r\nVariable: a=1\r\nVariable: b: 2\r\nData: \r\n\r\n"
	if string(got) != want || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAppendAction_Refuses(t *testing.T) {
	const secret = "s3cret"
	action := header("Action", "Login")
	many := slices.Repeat([]Header{action}, MaxHeaders+1)
	for name, tc := range map[string]struct {
		headers []Header
		want    error
		key     string
	}{
		"nothing":       {nil, ErrIllegalHeader, ""},
		"empty name":    {[]Header{action, header("", secret)}, ErrIllegalHeader, ""},
		"nil name":      {[]Header{action, {nil, []byte(secret)}}, ErrIllegalHeader, ""},
		"colon in name": {[]Header{header("A: b", secret)}, ErrIllegalHeader, "A: b"},
		"CR in name":    {[]Header{header("A\r", secret)}, ErrIllegalHeader, "A\r"},
		"LF in name":    {[]Header{header("A\n", secret)}, ErrIllegalHeader, "A\n"},
		"NUL in name":   {[]Header{header("A\x00", secret)}, ErrIllegalHeader, "A\x00"},
		"CR in value":   {[]Header{action, header("Secret", secret+"\r")}, ErrIllegalHeader, "Secret"},
		"LF in value":   {[]Header{action, header("Secret", secret+"\nAction: Originate")}, ErrIllegalHeader, "Secret"},
		"NUL in value":  {[]Header{action, header("Secret", secret+"\x00")}, ErrIllegalHeader, "Secret"},
		"long line":     {[]Header{action, header("Secret", secret+strings.Repeat("x", MaxLine-13))}, ErrLineTooLong, "Secret"},
		"129 headers":   {many, ErrTooManyHeaders, ""},
		"long name":     {[]Header{header(strings.Repeat("k", 2000), secret)}, ErrLineTooLong, strings.Repeat("k", 80)},
	} {
		t.Run(name, func(t *testing.T) {
			dst := []byte("before")
			got, err := AppendAction(dst, tc.headers)
			if !errors.Is(err, tc.want) || string(got) != "before" {
				t.Fatalf("%q, %v", got, err)
			}
			refused, ok := errors.AsType[*HeaderError](err)
			if !ok || refused.Key != tc.key || refused.Reason == "" {
				t.Errorf("%+v", refused)
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the value is in %q", err)
			}
		})
	}
}

func TestAppendAction_TakesWhatAsteriskJustTakes(t *testing.T) {
	headers := slices.Repeat([]Header{header("Variable", strings.Repeat("x", MaxLine-10))}, MaxHeaders)
	got, err := AppendAction(nil, headers)
	if want := MaxHeaders*(MaxLine+2) + 2; len(got) != want || err != nil {
		t.Errorf("%d bytes, want %d, %v", len(got), want, err)
	}
}

// writes records each call, and fails or falls short after so many.
type writes struct {
	sizes []int
	bytes.Buffer
	left int
	err  error
}

func (w *writes) Write(p []byte) (int, error) {
	if w.left--; w.left < 0 {
		n, _ := w.Buffer.Write(p[:len(p)/2])
		return n, w.err
	}
	w.sizes = append(w.sizes, len(p))
	return w.Buffer.Write(p)
}

func TestWriteChunks(t *testing.T) {
	p := bytes.Repeat([]byte("0123456789"), 250)
	broken := errors.New("broken pipe")
	for _, tc := range []struct {
		size, left int
		err        error
		want       string
	}{
		{1000, 9, nil, "[1000 1000 500] 2500 <nil>"},
		{2500, 9, nil, "[2500] 2500 <nil>"},
		{0, 9, nil, "[2500] 2500 <nil>"},
		{-1, 9, nil, "[2500] 2500 <nil>"},
		{1000, 1, broken, "[1000] 1500 broken pipe"},
		{1000, 1, nil, "[1000] 1500 " + io.ErrShortWrite.Error()},
	} {
		w := &writes{left: tc.left, err: tc.err}
		n, err := WriteChunks(w, p, tc.size)
		if got := fmt.Sprint(w.sizes, n, err); got != tc.want || !bytes.Equal(w.Bytes(), p[:n]) {
			t.Errorf("size %d: %s, want %s", tc.size, got, tc.want)
		}
	}
	if n, err := WriteChunks(&writes{}, nil, 0); n != 0 || err != nil {
		t.Errorf("nothing: %d, %v", n, err)
	}
}
