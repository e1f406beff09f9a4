package actions

import (
	"sync/atomic"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

const (
	// requestBytes bounds what an endpoint's requests hold from their arrival to
	// their reply. One that does not fit is busy.
	requestBytes = 64 << 20
	// requestOverhead is what a request costs besides its texts.
	requestOverhead = 1 << 10
)

// requestBudget counts the bytes of an endpoint's requests that have not ended.
type requestBudget struct {
	limit   int64
	bytes   atomic.Int64
	refused atomic.Uint64 // requests that found no room
}

// take reports whether there is room for n bytes more, which give then gives
// back.
func (h *requestBudget) take(n int64) bool {
	if h.bytes.Add(n) > h.limit {
		h.bytes.Add(-n)
		h.refused.Add(1)
		return false
	}
	return true
}

func (h *requestBudget) give(n int64) { h.bytes.Add(-n) }

// hold reports whether there is room for a.
func (a *actionRequest) hold() bool {
	n := int64(requestOverhead)
	if !a.shares {
		n += int64(len(a.subject) + len(a.to) + len(a.body.requestID) + a.body.size())
		if a.recorded != nil {
			n += int64(a.recorded.Size())
		}
	}
	if !a.endpoint.held.take(n) {
		return false
	}
	a.held += n
	return true
}

// LetGo gives up the headers, which have become a frame or never will. The text
// that others share is theirs to count.
func (a *actionRequest) LetGo() {
	if n := int64(a.body.size()); !a.shares {
		a.endpoint.held.give(n)
		a.held -= n
	}
	a.headers, a.body.headers, a.body.raw = nil, nil, nil
}

// takeBack has a hold what it may have let go of just before.
func (a *actionRequest) takeBack(kept body) {
	if a.body.headers != nil || a.body.raw != nil {
		return
	}
	a.body = kept
	if n := int64(a.body.size()); !a.shares {
		a.endpoint.held.bytes.Add(n)
		a.held += n
	}
}

// wireSize is about what headers take in the write buffer.
func wireSize(headers []frames.Header) int {
	n := 128 // Action, ActionID and the line ends
	for _, h := range headers {
		n += len(h.Key) + len(h.Value) + len(": \r\n")
	}
	return n
}

func tooMuchHeld() *reply.Error {
	f := refusalOf(amiconn.ErrBusy, 0)
	f.Message = "the requests that wait hold too many bytes"
	return f
}
