package correlation

import (
	"bytes"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// Fenced says whether an Action has to be written between two Pings of the same
// ActionID, all in one go, for its end cannot be told otherwise: Asterisk answers
// the Actions of a session one after another, so what lies between the two
// Pongs is the Action's, and the second Pong is its end (see rules.go).
func Fenced(action string) bool { return ruleFor(&Call{Action: action}).has(fenced) }

// text takes f, lines of raw text. They belong to the one Action on session that
// answers so and is between its fences, be it still pending or not.
func (t *Table) text(session string, f *frames.Frame) (next *pending, consumed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.running {
		if p.Session != session || !p.fence || !p.rule.has(plainText) {
			continue
		}
		p.seen = true
		if f.Truncated {
			t.discard(p, frames.ErrFrameTooLarge)
		}
		if !p.tooLarge {
			if p.OutputLines == 0 {
				f.Headers = f.Headers[1:]
			}
			t.addOutput(p, f)
			t.account(p)
		}
		return t.endIfComplete(p), true
	}
	if t.ended.hasText(session) {
		t.late++
		return nil, true
	}
	return nil, false
}

// textFrame returns the raw text f as Output headers, as a Command has them. The
// first is the blank line that separated f from the text before it.
func textFrame(f *frames.Frame) *frames.Frame {
	output := []byte("Output")
	out := &frames.Frame{Size: f.Size, Truncated: f.Truncated, Headers: []frames.Header{{Key: output}}}
	for line := range bytes.Lines(bytes.TrimRight(f.Raw, "\r\n")) {
		out.Headers = append(out.Headers, frames.Header{Key: output, Value: bytes.TrimRight(line, "\r\n")})
	}
	return out
}
