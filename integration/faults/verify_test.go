//go:build unix

package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// stored is an event as the stream holds it. Its number is what Asterisk
// called it, 0 for a Gap.
type stored struct {
	server, subject string
	id, session     string
	seq             uint64
	at              time.Time // when the bridge read it
	number          int
	data            []byte
}

func (e *stored) isGap() bool { return strings.HasSuffix(e.subject, ".Gap") }

// readBack returns all that the stream of events holds, in order.
func readBack(t *testing.T, js jetstream.JetStream) (all []stored) {
	t.Helper()
	var stream jetstream.Stream
	harness.Eventually(t, "the stream of events answers", func() (ok bool) {
		var err error
		stream, err = js.Stream(t.Context(), streams.EventStream)
		return err == nil
	})
	consumer, err := stream.OrderedConsumer(t.Context(), jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		t.Fatal(err)
	}
	defer messages.Stop()
	for range stream.CachedInfo().State.Msgs {
		msg, err := messages.Next(jetstream.NextMaxWait(harness.Patience))
		if err != nil {
			t.Fatal(err)
		}
		e := stored{subject: msg.Subject(), id: msg.Headers().Get("Nats-Msg-Id"), data: msg.Data()}
		e.server = strings.Split(e.subject, ".")[2]
		session, seq, _ := strings.Cut(msg.Headers().Get("Ami-Seq"), ":")
		var number struct{ N string }
		e.session = session
		e.seq, err = strconv.ParseUint(seq, 10, 64)
		var errAt error
		e.at, errAt = time.Parse(time.RFC3339Nano, msg.Headers().Get("Ami-Time"))
		if err := errors.Join(err, errAt, json.Unmarshal(e.data, &number)); err != nil {
			t.Fatalf("%s: %v in %s", e.subject, err, e.data)
		}
		if !e.isGap() {
			e.number, _ = strconv.Atoi(number.N)
		}
		all = append(all, e)
	}
	return all
}

// account is what the stream holds against what was sent.
type account struct {
	sent, missing, twice, disorder, shift, wrong, gaps int
}

func (a account) String() string {
	return fmt.Sprintf("%d events: %d missing, %d twice, %d out of order (by up to %d), %d with another payload, %d gaps",
		a.sent, a.missing, a.twice, a.disorder, a.shift, a.wrong, a.gaps)
}

// whole reports whether everything is there once, in order, as it was sent.
func (a account) whole() bool { return a == account{sent: a.sent} }

// verify compares what is stored of a server with what it sent after the first
// gone events, which are not expected.
func verify(t testing.TB, all []stored, a *asterisk, gone int) (got account) {
	t.Helper()
	got.sent = a.sent
	seen, ids := make([]bool, a.sent+1), map[string]bool{}
	highest, distinct := 0, 0
	for _, e := range all {
		if e.server != a.name {
			continue
		}
		if ids[e.id] {
			t.Errorf("%s is stored twice", e.id)
		}
		ids[e.id] = true
		if e.isGap() {
			got.gaps++
			continue
		}
		if e.number < 1 || e.number > a.sent {
			t.Fatalf("%s was never sent: %s", e.subject, e.data)
		}
		subject, payload := wanted(a.name, e.number)
		if subject != e.subject || !bytes.Equal(payload, e.data) {
			if got.wrong++; got.wrong == 1 {
				t.Errorf("number %d is %s %.300s,\nnot %s %.300s", e.number, e.subject, e.data, subject, payload)
			}
		}
		if seen[e.number] {
			got.twice++
			continue
		}
		seen[e.number] = true
		if e.number > gone {
			distinct++
		}
		if e.number < highest {
			got.disorder++
			got.shift = max(got.shift, highest-e.number)
		}
		highest = max(highest, e.number)
	}
	got.missing = a.sent - gone - distinct
	return got
}

// sum adds up the accounts of several servers.
func sum(all []account) (total account) {
	for _, a := range all {
		total.sent += a.sent
		total.missing += a.missing
		total.twice += a.twice
		total.disorder += a.disorder
		total.shift = max(total.shift, a.shift)
		total.wrong += a.wrong
		total.gaps += a.gaps
	}
	return total
}

// unheard takes what a test that is to fail would say.
type unheard struct{ testing.TB }

func (unheard) Errorf(string, ...any) {}

// The verifier itself, over streams that are wrong in each way.
func TestVerify_SeesWhatIsWrong(t *testing.T) {
	event := func(n int) stored {
		subject, payload := wanted("pbx1", n)
		return stored{server: "pbx1", subject: subject, data: payload, number: n}
	}
	for _, test := range []struct {
		name    string
		numbers []int
		want    account
	}{
		{"whole", []int{1, 2, 3, 4, 5, 6, 7, 8}, account{sent: 8}},
		{"missing", []int{1, 2, 4, 5, 6, 7, 8}, account{sent: 8, missing: 1}},
		{"the end is missing", []int{1, 2, 3, 4, 5, 6}, account{sent: 8, missing: 2}},
		{"twice", []int{1, 2, 3, 2, 4, 5, 6, 7, 8}, account{sent: 8, twice: 1}},
		{"late", []int{1, 3, 4, 5, 2, 6, 7, 8}, account{sent: 8, disorder: 1, shift: 3}},
		{"another payload", []int{1, 2, 3, -4, 5, 6, 7, 8}, account{sent: 8, wrong: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var all []stored
			for i, n := range test.numbers {
				e := event(max(n, -n))
				e.id = strconv.Itoa(i)
				if n < 0 {
					e.data = append([]byte(nil), e.data...)
					e.data[len(e.data)-2] ^= 1
				}
				all = append(all, e)
			}
			if got := verify(unheard{t}, all, &asterisk{name: "pbx1", sent: 8}, 0); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}
