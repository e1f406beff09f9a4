package correlation

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	actions = "k1" // token of the action session
	events  = "k2" // token of the event session
)

var roomy = Limits{Pending: 100, ReplyBytes: 1 << 20, TotalBytes: 4 << 20}

// desk is a Table with what its Calls ended in.
type desk struct {
	*Table
	t *testing.T

	mu      sync.Mutex
	results map[string][]*Result
	order   []string
}

func newDesk(t *testing.T, l Limits) *desk {
	return &desk{Table: NewTable(l, frames.UTF8), t: t, results: make(map[string][]*Result)}
}

func (d *desk) done(r *Result) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.results[r.ActionID] = append(d.results[r.ActionID], r)
	d.order = append(d.order, r.ActionID)
}

// register fills in what a test does not care about.
func (d *desk) register(c Call) error {
	if c.Session == "" {
		c.Session = actions
	}
	if c.Timeout == 0 {
		c.Timeout = time.Hour
	}
	c.Done = d.done
	return d.Register(c)
}

// start registers c and marks it sent.
func (d *desk) start(c Call) {
	d.t.Helper()
	if err := d.register(c); err != nil {
		d.t.Fatalf("Register(%s): %v", c.ActionID, err)
	}
	if !d.Sent(c.ActionID) {
		d.t.Fatalf("Sent(%s) = false", c.ActionID)
	}
}

// play delivers the frames written in wire, with LF for CRLF, and returns the
// names of those that were not consumed.
func (d *desk) play(session, wire string) (left []string) {
	d.t.Helper()
	eachFrame(d.t, wire, 1<<20, func(f *frames.Frame) {
		if !d.Deliver(session, f) {
			left = append(left, string(f.Name()))
		}
	})
	return left
}

// result returns how the Call ended, or nil if it has not.
func (d *desk) result(actionID string) *Result {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	switch r := d.results[actionID]; len(r) {
	case 0:
		return nil
	case 1:
		return r[0]
	default:
		d.t.Fatalf("%s ended %d times", actionID, len(r))
		return nil
	}
}

func (d *desk) mustEnd(actionID string, want Outcome, sent SentState) *Result {
	d.t.Helper()
	r := d.result(actionID)
	if r == nil {
		d.t.Fatalf("%s has not ended, want %v", actionID, want)
	}
	if r.Outcome != want || r.Sent != sent {
		d.t.Fatalf("%s ended %v, sent %v, cause %v; want %v, sent %v", actionID, r.Outcome, r.Sent, r.Cause, want, sent)
	}
	return r
}

func (d *desk) mustPend(actionID string) {
	d.t.Helper()
	if r := d.result(actionID); r != nil {
		d.t.Fatalf("%s ended %v, want it to go on", actionID, r.Outcome)
	}
}

func eachFrame(t testing.TB, wire string, maxFrame int, visit func(*frames.Frame)) {
	t.Helper()
	r := frames.NewReader(strings.NewReader(strings.ReplaceAll(wire, "\n", "\r\n")), maxFrame)
	for {
		f, err := r.Next()
		if err != nil && !errors.Is(err, frames.ErrFrameTooLarge) {
			if err != io.EOF {
				t.Fatalf("reading the test's own frames: %v", err)
			}
			return
		}
		visit(f)
	}
}

// eventNames returns the names of the events of r, which must be valid JSON.
func eventNames(t *testing.T, r *Result) []string {
	t.Helper()
	var list []struct{ Event string }
	if err := json.Unmarshal([]byte("["+string(r.Events)+"]"), &list); err != nil {
		t.Fatalf("events are no JSON: %v: %s", err, r.Events)
	}
	names := make([]string, len(list))
	for i := range list {
		names[i] = list[i].Event
	}
	if len(names) != r.EventCount {
		t.Errorf("EventCount = %d, there are %d", r.EventCount, len(names))
	}
	return names
}
