package correlation

import (
	"slices"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// addResponse puts the Response f into p's Result. A later Response, an Error
// in the middle of a list, takes the place of the first.
func (t *Table) addResponse(p *pending, f *frames.Frame) {
	if f.Truncated {
		t.discard(p, frames.ErrFrameTooLarge)
	}
	if p.tooLarge {
		return
	}
	p.Response = text(f.Name(), t.charset)
	p.Message = text(f.Get("Message"), t.charset)
	headers := t.addOutput(p, f)
	if p.Fields == nil {
		p.Fields = make([]byte, 0, roomFor(headers))
	}
	var replaced int
	p.Fields, replaced = frames.AppendJSON(p.Fields[:0], &frames.Frame{Headers: headers}, t.charset)
	t.replaced += uint64(replaced)
	t.account(p)
	p.handing = p.handing && !p.tooLarge
}

// addPiece has a further piece of p's Response handed out. Only Output is
// handed out: other headers would have to be kept.
func (t *Table) addPiece(p *pending, f *frames.Frame) {
	switch {
	case f.Truncated:
		t.discard(p, frames.ErrFrameTooLarge)
	case slices.ContainsFunc(f.Headers, func(h frames.Header) bool { return !isOutput(&h) }):
		t.discard(p, ErrReplyFull)
	}
	p.handing = !p.tooLarge && len(f.Headers) > 0
}

// roomFor is the size of headers as JSON if nothing in them is escaped.
func roomFor(headers []frames.Header) int {
	room := len("{}")
	for i := range headers {
		room += len(headers[i].Key) + len(headers[i].Value) + len(`"":"",`)
	}
	return room
}

// addOutput appends the Output headers of f, lines of a Command or of raw text,
// to p's Output, or has them handed out, and returns the other headers.
func (t *Table) addOutput(p *pending, f *frames.Frame) []frames.Header {
	lines := 0
	for i := range f.Headers {
		if isOutput(&f.Headers[i]) {
			lines++
		}
	}
	if lines == 0 {
		return f.Headers
	}
	rest := make([]frames.Header, 0, len(f.Headers)-lines)
	for i := range f.Headers {
		if !isOutput(&f.Headers[i]) {
			rest = append(rest, f.Headers[i])
		}
	}
	if p.Part != nil {
		p.handing = true
		return rest
	}
	p.Output = slices.Grow(p.Output, f.Size)
	for i := range f.Headers {
		if h := &f.Headers[i]; isOutput(h) {
			if p.OutputLines > 0 {
				p.Output = append(p.Output, ',')
			}
			p.OutputLines++
			var replaced int
			p.Output, replaced = frames.AppendJSONString(p.Output, h.Value, t.charset)
			t.replaced += uint64(replaced)
		}
	}
	return rest
}

func isOutput(h *frames.Header) bool { return string(h.Key) == "Output" }

func hasOutput(f *frames.Frame) bool {
	return slices.ContainsFunc(f.Headers, func(h frames.Header) bool { return isOutput(&h) })
}

// addEvent appends the event f to p's Result, or has it handed out.
func (t *Table) addEvent(p *pending, f *frames.Frame) {
	if f.Truncated {
		t.discard(p, frames.ErrFrameTooLarge)
	}
	switch {
	case p.tooLarge:
	case p.Part != nil:
		p.handing = true
	default:
		t.append(p, f)
	}
}

// append appends the event f to p's Result.
func (t *Table) append(p *pending, f *frames.Frame) {
	if f.Truncated {
		t.discard(p, frames.ErrFrameTooLarge)
	}
	if p.tooLarge {
		return
	}
	if len(p.Events) > 0 {
		p.Events = append(p.Events, ',')
	}
	var replaced int
	p.Events, replaced = frames.AppendJSON(p.Events, f, t.charset)
	p.EventCount++
	t.replaced += uint64(replaced)
	t.account(p)
}

// account counts what p has grown by, and gives its body up if that is over a
// limit. So a Table holds at most one frame more than Limits.TotalBytes, for
// as long as this takes.
func (t *Table) account(p *pending) {
	size := p.memory() + p.partSize
	t.bytes += size - p.held
	p.held = size
	switch {
	case p.body() > t.limits.ReplyBytes:
		t.discard(p, ErrReplyFull)
	case t.bytes > t.limits.TotalBytes:
		t.discard(p, ErrTableFull)
	}
}

// discard gives p's body up because of cause. The Call goes on, for its end still
// tells the caller that the Action was done.
func (t *Table) discard(p *pending, cause error) {
	if !p.tooLarge {
		p.tooLarge, p.spoilt = true, cause
	}
	p.drop()
	p.Response, p.Message = "", ""
	if p.Part == nil {
		p.EventCount, p.OutputLines = 0, 0
	}
}
