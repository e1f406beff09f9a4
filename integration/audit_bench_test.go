package integration

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

// record is a record of the audit, and how it was stored.
type record struct {
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

	subject, id string
	text        []byte
}

func readRecord(t testing.TB, subject string, header nats.Header, text []byte) record {
	t.Helper()
	got := record{subject: subject, id: header.Get("Nats-Msg-Id"), text: text}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return got
}

// record returns the next one that sub hears.
func (r *running) record(sub *nats.Subscription) record {
	r.t.Helper()
	msg := r.next(sub)
	return readRecord(r.t, msg.Subject, msg.Header, msg.Data)
}

// end is what a record says of the end of a request.
func (r record) end() string {
	return fmt.Sprintln(r.Server, r.Phase, r.Decision, r.Outcome, r.Sent, r.Code)
}

// auditStream returns the stream of the audit's records.
func (r *running) auditStream() (jetstream.JetStream, jetstream.Stream) {
	r.t.Helper()
	js := api(r.t, r.nc)
	stream, err := js.Stream(r.t.Context(), streams.AuditStream)
	if err != nil {
		r.t.Fatal(err)
	}
	return js, stream
}

// audit returns what is in the stream, in its order.
func (r *running) audit() (all []record) {
	r.t.Helper()
	_, stream := r.auditStream()
	state := stream.CachedInfo().State
	for seq := state.FirstSeq; state.Msgs > 0 && seq <= state.LastSeq; seq++ {
		msg, err := stream.GetMsg(r.t.Context(), seq)
		if err != nil {
			r.t.Fatal(err)
		}
		all = append(all, readRecord(r.t, msg.Subject, msg.Header, msg.Data))
	}
	return all
}

// recordsOf waits until the stream holds n records, all different, and returns
// them.
func (r *running) recordsOf(t *testing.T, n int) []record {
	t.Helper()
	eventually(t, fmt.Sprintf("%d audit records", n), func() bool {
		_, stream := r.auditStream()
		return stream.CachedInfo().State.Msgs >= uint64(n)
	})
	all := r.audit()
	seen := map[string]bool{}
	for _, one := range all {
		if seen[one.id] {
			t.Errorf("%s is there twice", one.id)
		}
		seen[one.id] = true
	}
	if len(all) != n {
		t.Errorf("%d records, want %d", len(all), n)
	}
	return all
}

// broken says where the records, all of one server, do not follow each other.
func broken(all []record) error {
	prev, run, seq := "genesis", "", uint64(0)
	for i, one := range all {
		if one.Run != run {
			run, seq = one.Run, 0
		}
		if seq++; one.Prev != prev || one.Seq != seq {
			return fmt.Errorf("record %d, number %d of %s, follows %s, not %s", i, one.Seq, one.Run, one.Prev, prev)
		}
		sum := sha256.Sum256(one.text)
		prev = hex.EncodeToString(sum[:])
	}
	return nil
}
