package outboxtest

import (
	"encoding/json"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
)

// New is an Outbox of at most limit bytes.
func New(limit int) *outbox.Outbox {
	return outbox.New(limit, "gap", outbox.NewBudget(1<<30, 1), func() {})
}

// Entry is the n'th event of session s.
func Entry(n int) outbox.Entry {
	return outbox.Entry{Session: "s", Seq: uint64(n), At: int64(n)}
}

// Drain takes everything and acknowledges it. Events are their payload, Gaps
// their reason and number.
func Drain(t *testing.T, o *outbox.Outbox) (got []string) {
	t.Helper()
	for {
		e, payload, _, ok := o.Take(nil)
		if !ok {
			return got
		}
		if e.Gap > 0 {
			var g struct{ Reason, Lost string }
			if err := json.Unmarshal(payload, &g); err != nil {
				t.Fatalf("%v in %s", err, payload)
			}
			payload = []byte(g.Reason + ":" + g.Lost)
		}
		got = append(got, string(payload))
		o.Ack()
	}
}
