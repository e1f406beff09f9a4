package frames

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// plainRead is what the Reader promises, the slow way: the frames of wire, and
// whether it ends between two.
func plainRead(wire string) (all []Frame, whole bool) {
	for {
		for strings.HasPrefix(wire, "\n") || strings.HasPrefix(wire, "\r\n") {
			wire = wire[strings.IndexByte(wire, '\n')+1:]
		}
		if wire == "" {
			return all, true
		}
		f, size := plainFrame(wire)
		if size == 0 {
			return all, false
		}
		all = append(all, f)
		wire = wire[size:]
	}
}

// plainFrame is the frame that wire begins with, and its size; 0 if it is not
// whole.
func plainFrame(wire string) (f Frame, size int) {
	first := strings.IndexByte(wire, '\n')
	end := "\n"
	if first > 0 && wire[first-1] == '\r' {
		end = "\r\n"
	}
	judged := false
	for rest := wire; ; {
		if empty := len(rest) - len(strings.TrimPrefix(strings.TrimPrefix(rest, "\r"), "\n")); len(f.Headers) > 0 &&
			(strings.HasPrefix(rest, "\n") || strings.HasPrefix(rest, "\r\n")) {
			f.Size = len(wire) - len(rest) + empty
			return plainGlued(f), f.Size
		}
		line, after, found := strings.Cut(rest, end)
		if !found {
			return f, 0
		}
		if end == "\n" {
			line = strings.TrimSuffix(line, "\r")
		}
		h := plainHeader(line)
		f.Headers = append(f.Headers, h)
		rest = after
		if judged {
			continue
		}
		name := strings.ToLower(string(h.Key))
		judged = h.Key == nil || name == "event" || name == "response"
		if name == "response" && string(h.Value) == "Follows" && end == "\r\n" {
			return plainCommand(f, wire, rest)
		}
	}
}

// plainCommand reads the rest of an old Command's reply.
func plainCommand(f Frame, wire, rest string) (Frame, int) {
	text, after, found := strings.Cut(rest, commandMarker)
	if !found {
		return f, 0
	}
	f.Size = len(wire) - len(after)
	for {
		line, after, found := strings.Cut(text, "\r\n")
		h := plainHeader(line)
		known := slices.Contains([]string{"privilege", "actionid", "message"}, strings.ToLower(string(h.Key)))
		repeated := slices.ContainsFunc(f.Headers, func(other Header) bool { return bytes.EqualFold(other.Key, h.Key) })
		if !found || !known || repeated {
			break
		}
		f.Headers, text = append(f.Headers, h), after
	}
	for line := range strings.Lines(text) {
		line, found := strings.CutSuffix(line, "\r\n")
		if !found {
			line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		}
		f.Headers = append(f.Headers, header("Output", line))
	}
	return f, f.Size
}

// plainHeader splits at the first colon that no pair of brackets encloses.
func plainHeader(line string) Header {
	var opened []int
	enclosed := make([]bool, len(line)+1)
	for i, c := range []byte(line) {
		switch {
		case c == '(':
			opened = append(opened, i)
		case c == ')' && len(opened) > 0:
			for j := opened[len(opened)-1]; j < i; j++ {
				enclosed[j] = true
			}
			opened = opened[:len(opened)-1]
		}
	}
	for i, c := range []byte(line) {
		if c == ':' && !enclosed[i] {
			return header(line[:i], strings.TrimPrefix(line[i+1:], " "))
		}
	}
	return Header{nil, []byte(line)}
}

// plainGlued splits what Asterisk itself ends in a bare LF.
func plainGlued(f Frame) Frame {
	next := map[string][2]string{"Agents": {"CallStarted", "\nLoggedInTime:"}, "MiniVoiceMail": {"Action", "\nMailbox:"}}
	names, known := next[string(f.Name())]
	for i, h := range f.Headers {
		if at := bytes.IndexByte(h.Value, '\n'); known && f.Kind() == KindEvent && string(h.Key) == names[0] && at >= 0 &&
			bytes.HasPrefix(h.Value[at:], []byte(names[1])) {
			f.Headers[i].Value = h.Value[:at]
			f.Headers = slices.Insert(f.Headers, i+1, plainHeader(string(h.Value[at+1:])))
			break
		}
	}
	return f
}

// No header comes from inside a value, whatever is in it: each is a line of its
// own, in its order, to the byte.
func FuzzLines(f *testing.F) {
	addVectors(f, func(wire []byte) { f.Add(string(wire)) })
	for _, end := range []string{"\n", "\r", "\r\r\n", "\n\r\n", "\r\n\n", "\n\n", "\x00\n", "\n\r"} {
		f.Add("Event: Newexten\r\nAppData: NOTE=x" + end + "Event: Hangup" + end + "Uniqueid: 1.1\r\n\r\nEvent: Next\r\n\r\n")
		f.Add("Event: A\nAppData: x" + end + "Event: B" + end + "\n\n")
	}
	f.Fuzz(func(t *testing.T, wire string) {
		want, whole := plainRead(wire)
		got, _, err := readAll(strings.NewReader(wire), 1<<20)
		if diff := cmp.Diff(want, got); diff != "" || (err == io.EOF) != whole {
			t.Fatalf("%v (-plain +read):\n%s", err, diff)
		}
	})
}

// What comes in pieces is what comes whole, and no piece is over the limit.
func FuzzSplit(f *testing.F) {
	addVectors(f, func(wire []byte) { f.Add(wire, 512, uint8(30)) })
	line := strings.Repeat("x", 40)
	f.Add([]byte("Response: Success\r\nActionID: 9\r\n"+strings.Repeat("Output: "+line+"\r\n", 50)+"\r\nEvent: Next\r\n\r\n"), 512, uint8(7))
	f.Add([]byte("Response: Follows\r\nActionID: 9\r\n"+strings.Repeat(line+"\n\r\n--END COMMAND--\r\n", 50)+"--END COMMAND--\r\n\r\nEvent: Next\r\n\r\n"), 512, uint8(7))
	f.Add([]byte("Response: Success\nActionID: 9\n"+strings.Repeat("Output: "+line+"\n", 50)+"\nEvent: Next\r\n\r\n"), 512, uint8(7))
	f.Add([]byte("Response: Success\r\nActionID: 9\r\nOutput: "+strings.Repeat(line, 50)+"\r\n\r\nEvent: Next\r\n\r\n"), 512, uint8(7))
	f.Fuzz(func(t *testing.T, wire []byte, limit int, chunk uint8) {
		limit = min(max(limit, 512), 1<<12)
		want, _, wantErr := readAll(bytes.NewReader(wire), 1<<20)
		for _, src := range []io.Reader{bytes.NewReader(wire), iotest.OneByteReader(bytes.NewReader(wire)),
			iotest.DataErrReader(chunkReader{bytes.NewReader(wire), int(chunk) + 1})} {
			got, err := readPieces(t, src, limit)
			for i := range want {
				f := &want[i]
				if i >= len(got) || got[i].Size != f.Size {
					t.Fatalf("frame %d of %d", i, len(got))
				}
				if longest(f) > limit-len(commandMarker) || f.Kind() != KindResponse && f.Size > limit {
					continue
				}
				if diff := cmp.Diff(f.Headers, got[i].Headers); diff != "" {
					t.Fatalf("frame %d (-whole +pieces):\n%s", i, diff)
				}
			}
			if len(got) != len(want) || err != wantErr {
				t.Fatalf("%d frames, %v; want %d, %v", len(got), err, len(want), wantErr)
			}
		}
	})
}

// A Response that ends behind a piece has not ended.
func TestReader_ACutBehindAPieceIsACut(t *testing.T) {
	wire := strings.Repeat("Response: fifteen\r\n"[:14]+"\r\n", 32) // 512 bytes
	got, err := readPieces(t, strings.NewReader(wire), 512)
	if len(got) != 0 || err != io.ErrUnexpectedEOF {
		t.Errorf("%d frames, %v", len(got), err)
	}
}

// longest is about the longest line of f.
func longest(f *Frame) (n int) {
	for _, h := range f.Headers {
		n = max(n, len(h.Key)+len(h.Value)+len(": \r\n"))
	}
	return n
}

// readPieces puts pieces together again.
func readPieces(t *testing.T, src io.Reader, limit int) (all []Frame, err error) {
	r := NewReader(src, limit)
	r.Split(func(head *Frame) bool { return head.Truncated && head.Kind() == KindResponse })
	more := false
	for {
		f, err := r.Next()
		if err != nil && !errors.Is(err, ErrFrameTooLarge) {
			if more {
				all = all[:len(all)-1]
			}
			return all, err
		}
		if f.Continues != more || f.More && f.Size > max(limit, minBuffer) || f.Truncated != (err != nil) || f.More && f.Truncated {
			t.Fatalf("a piece of %d bytes, more %v, continues %v, truncated %v", f.Size, f.More, f.Continues, f.Truncated)
		}
		if f.Continues && f.Kind() != KindResponse {
			t.Fatal("a piece of a Response is none")
		}
		piece := copyFrame(f)
		if more {
			last := &all[len(all)-1]
			last.Headers = append(last.Headers, piece.Headers...)
			last.Size += piece.Size
		} else {
			all = append(all, piece)
		}
		more = f.More
	}
}
