package bridge

import (
	"encoding/json"
	"testing"
)

// boxOf is an Outbox of at most limit bytes.
func boxOf(limit int) *outbox {
	return newOutbox(limit, "gap", newOutboxBudget(1<<30, 1), func() {})
}

// entryOf is the n'th event of session s.
func entryOf(n int) outboxEntry {
	return outboxEntry{session: "s", seq: uint64(n), at: int64(n)}
}

// drained takes everything and acknowledges it. Events are their payload, Gaps
// their reason and number.
func drained(t *testing.T, o *outbox) (got []string) {
	t.Helper()
	for {
		e, payload, _, ok := o.take(nil)
		if !ok {
			return got
		}
		if e.gap > 0 {
			var g struct{ Reason, Lost string }
			if err := json.Unmarshal(payload, &g); err != nil {
				t.Fatalf("%v in %s", err, payload)
			}
			payload = []byte(g.Reason + ":" + g.Lost)
		}
		got = append(got, string(payload))
		o.ack()
	}
}
