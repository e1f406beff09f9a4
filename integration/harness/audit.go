package harness

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

// Record is a record of the audit, and how it was stored.
type Record struct {
	Phase, Ask, Node, Server, Action, Inbox, Requester string
	RequestID                                          string `json:"request_id"`
	ActionID                                           string `json:"action_id"`
	Fields                                             map[string]any
	Decision, Rule, Outcome, Sent, Response, Message   string
	Code                                               int
	DurationMS                                         float64 `json:"duration_ms"`
	Info                                               *struct {
		Account string `json:"acc"`
		User    string
	} `json:"nats_request_info"`
	Run, Prev string
	Seq, Lost uint64

	Subject, ID string `json:"-"`
	Text        []byte `json:"-"`
}

func readRecord(t testing.TB, subject string, header nats.Header, text []byte) Record {
	t.Helper()
	got := Record{Subject: subject, ID: header.Get("Nats-Msg-Id"), Text: text}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return got
}

// Record returns the next one that comes to sub.
func (r *Running) Record(sub *nats.Subscription) Record {
	r.T.Helper()
	msg := r.Next(sub)
	return readRecord(r.T, msg.Subject, msg.Header, msg.Data)
}

// End is what a record says of the end of a request.
func (r Record) End() string {
	return fmt.Sprintln(r.Server, r.Phase, r.Decision, r.Outcome, r.Sent, r.Code)
}

// AuditStream returns the stream of the audit's records.
func (r *Running) AuditStream() (jetstream.JetStream, jetstream.Stream) {
	r.T.Helper()
	js := JetStream(r.T, r.Client)
	stream, err := js.Stream(r.T.Context(), streams.AuditStream)
	if err != nil {
		r.T.Fatal(err)
	}
	return js, stream
}

// Audit returns what is in the stream, in its order.
func (r *Running) Audit() (all []Record) {
	r.T.Helper()
	_, stream := r.AuditStream()
	state := stream.CachedInfo().State
	for seq := state.FirstSeq; state.Msgs > 0 && seq <= state.LastSeq; seq++ {
		msg, err := stream.GetMsg(r.T.Context(), seq)
		if err != nil {
			r.T.Fatal(err)
		}
		all = append(all, readRecord(r.T, msg.Subject, msg.Header, msg.Data))
	}
	return all
}

// RecordsOf waits until the stream holds n records, all different, and returns
// them.
func (r *Running) RecordsOf(t *testing.T, n int) []Record {
	t.Helper()
	Eventually(t, fmt.Sprintf("%d audit records", n), func() bool {
		_, stream := r.AuditStream()
		return stream.CachedInfo().State.Msgs >= uint64(n)
	})
	all := r.Audit()
	seen := map[string]bool{}
	for _, one := range all {
		if seen[one.ID] {
			t.Errorf("%s is there twice", one.ID)
		}
		seen[one.ID] = true
	}
	if len(all) != n {
		t.Errorf("%d records, want %d", len(all), n)
	}
	return all
}
