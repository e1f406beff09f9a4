package realasterisk

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// maxFrame bounds one frame; the longest real ones are Commands of some 100 KiB.
const maxFrame = 16 << 20

// Frame is one AMI message with its exact bytes, the blank line at its end included.
type Frame []byte

// Lines returns the lines without their CRLF and without the blank line.
func (f Frame) Lines() []string {
	return strings.Split(strings.TrimSuffix(string(f), "\r\n\r\n"), "\r\n")
}

// Get returns the first value of key, compared ignoring case, or "".
func (f Frame) Get(key string) string {
	for _, line := range f.Lines() {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.EqualFold(k, key) {
			return strings.TrimPrefix(v, " ")
		}
	}
	return ""
}

// Event returns the event's name, or "" if the frame is not an event.
func (f Frame) Event() string {
	name, ok := strings.CutPrefix(f.Lines()[0], "Event: ")
	if !ok {
		return ""
	}
	return name
}

// readFrame splits at CRLF CRLF and nothing else. Blank lines before a frame are skipped: some list
// actions (QueueRule) end with two.
func readFrame(r *bufio.Reader) (Frame, error) {
	var f Frame
	for {
		line, err := r.ReadSlice('\n')
		f = append(f, line...)
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		if string(f) == "\r\n" {
			f = f[:0]
		}
		if bytes.HasSuffix(f, []byte("\r\n\r\n")) {
			return f, nil
		}
		if len(f) > maxFrame {
			return nil, fmt.Errorf("frame over %d bytes, starts %.80q", maxFrame, f)
		}
	}
}
