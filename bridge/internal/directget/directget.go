package directget

import (
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// Request is a direct get (nats-server's JSApiMsgGetRequest). With Batch or
// MultiLast, which nats-server knows since 2.11, the answer is a page.
type Request struct {
	Seq       uint64     `json:"seq,omitempty"`
	LastFor   string     `json:"last_by_subj,omitempty"`
	NextFor   string     `json:"next_by_subj,omitempty"`
	Batch     int        `json:"batch,omitempty"`
	MaxBytes  int        `json:"max_bytes,omitempty"`
	StartTime *time.Time `json:"start_time,omitempty"`
	MultiLast []string   `json:"multi_last,omitempty"`
}

// Value is the header that the server added: behind whatever the publisher put
// there under the same name. It is "" where there is none.
func Value(h nats.Header, name string) string {
	if values := h.Values(name); len(values) > 0 {
		return values[len(values)-1]
	}
	return ""
}

// Number is Value as a number, 0 where it is none.
func Number(h nats.Header, name string) uint64 {
	n, err := strconv.ParseUint(Value(h, name), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
