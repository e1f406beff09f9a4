package bridge

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// bucketEntry is what the bucket has of a key.
type bucketEntry struct {
	jetstream.KeyValueEntry
	value    string
	revision uint64
}

func (e bucketEntry) Value() []byte    { return []byte(e.value) }
func (e bucketEntry) Revision() uint64 { return e.revision }

// sharing are keys that a bucket has which nobody serves: what is written to it
// waits, and so do replies.
func sharing() (*sharedKeys, *Bridge) {
	c := newConn("control", zap.NewNop())
	b := &Bridge{audit: testAudit(zap.NewNop()), repeats: newRepeats(time.Minute), replier: newReplier(c, zap.NewNop())}
	b.repeats.shared = &sharedKeys{
		run: "mine", journal: newJournal(c, keyQueueBytes, zap.NewNop()), log: zap.NewNop(), local: b.repeats,
		waits: make(chan struct{}, 2), refused: func(error) {},
	}
	return b.repeats.shared, b
}

// claiming is a request that is the first of its key at this bridge, and two that
// wait for it.
func claiming(b *Bridge) (k *keyed, a *ask) {
	for range 3 {
		one := testAsk(b.audit, "Ping")
		one.endpoint.b, one.options.key = b, "k"
		if made, first, _, _ := b.repeats.enter(one); first {
			k, a = made, one
			a.keyed = k
		}
	}
	return k, a
}

// written is the last that is to be written to the bucket.
func written(t *testing.T, s *sharedKeys) (e keyEntry, entry journalEntry) {
	t.Helper()
	batch := s.journal.take(10)
	if len(batch) != 1 {
		t.Fatalf("%d are to be written", len(batch))
	}
	if err := json.Unmarshal(batch[0].msg.Data, &e); err != nil {
		t.Fatal(err)
	}
	return e, batch[0]
}

// What the bucket says of a key decides: one that is free, or that this process
// had claimed and not sent, is claimed again where it stands; of one that another
// bridge is at nobody knows yet; one that has ended is told, unless the request
// was another.
func TestSharedKeys_GoByWhatTheBucketSays(t *testing.T) {
	same, other := strings.Repeat("00", 32), strings.Repeat("11", 32)
	for name, test := range map[string]struct {
		value string
		want  string // claimed, nothing, or what the replies are
	}{
		"free":                  {`{"run":"b2","body":"` + same + `","state":"free"}`, "claimed"},
		"free for another":      {`{"run":"b2","body":"` + other + `","state":"free"}`, "claimed"},
		"our own":               {`{"run":"mine","body":"` + same + `","state":"pending"}`, "claimed"},
		"another bridge's":      {`{"run":"b2","body":"` + same + `","state":"pending"}`, "nothing"},
		"no entry at all":       {`[`, "nothing"},
		"answered":              {`{"run":"b2","body":"` + same + `","state":"ended","reply":{"server":"x"}}`, `{"server":"x"}`},
		"failed":                {`{"run":"b2","body":"` + same + `","state":"ended","error":{"code":504,"kind":"timeout","sent":"unknown"}}`, `"kind":"timeout","sent":"unknown"`},
		"answered to another":   {`{"run":"b2","body":"` + other + `","state":"ended","reply":{"server":"x"}}`, `"kind":"bad_request","sent":"no"`},
		"another, not answered": {`{"run":"b2","body":"` + other + `","state":"pending"}`, `"kind":"bad_request","sent":"no"`},
	} {
		s, b := sharing()
		k, a := claiming(b)
		ended := s.judge(k, a, bucketEntry{value: test.value, revision: 17})
		if ended != (test.want != "nothing") {
			t.Errorf("%s: that was all is %v", name, ended)
		}
		replies := b.replier.waiting
		switch test.want {
		case "nothing":
			if n, _ := s.journal.left(); n != 0 || len(replies) != 0 {
				t.Errorf("%s: %d are to be written, %d answered", name, n, len(replies))
			}
		case "claimed":
			e, entry := written(t, s)
			if e.State != "pending" || e.Run != "mine" || e.Body != hex.EncodeToString(k.body[:]) || !entry.once ||
				entry.msg.Header.Get(jetstream.ExpectedLastSubjSeqHeader) != "17" || entry.msg.Header.Get(jetstream.ExpectedStreamHeader) != keyStream {
				t.Errorf("%s: to be written is %+v, %v", name, e, entry.msg.Header)
			}
		default:
			if len(replies) != 3 || len(b.repeats.known) != 0 || a.keyed != nil {
				t.Errorf("%s: %d replies, %d keys are known", name, len(replies), len(b.repeats.known))
			}
			for _, r := range replies {
				if !strings.Contains(string(r.body), test.want) || !r.repeat {
					t.Errorf("%s: replied %s, as a repeat: %v", name, r.body, r.repeat)
				}
			}
		}
	}
}

// Without the bucket's word nothing is sent: the first and those that wait hear
// it, and who asks again is the first again.
func TestSharedKeys_WithoutAnAnswerNothingIsSent(t *testing.T) {
	s, b := sharing()
	k, a := claiming(b)
	s.claim(k, a, 0)
	_, entry := written(t, s)
	entry.done(nil, errors.New("gone"))
	if len(b.replier.waiting) != 3 || len(b.repeats.known) != 0 {
		t.Errorf("%d replies, %d keys are known", len(b.replier.waiting), len(b.repeats.known))
	}
	for _, r := range b.replier.waiting {
		if f := r.failure; f.Code != 503 || f.Kind != "idempotency_unavailable" || f.Sent != "no" || f.RetryAfter == 0 {
			t.Errorf("told %+v", f)
		}
	}
}

// A key that cannot be waited for, since as many others are, is refused at once.
func TestSharedKeys_WaitForSoMany(t *testing.T) {
	s, b := sharing()
	for range cap(s.waits) {
		s.waits <- struct{}{}
	}
	k, a := claiming(b)
	s.claim(k, a, 0)
	_, entry := written(t, s)
	entry.done(nil, &jetstream.APIError{ErrorCode: jetstream.JSErrCodeStreamWrongLastSequence})
	if len(b.replier.waiting) != 3 || b.replier.waiting[0].failure.Kind != "idempotency_unavailable" {
		t.Errorf("replies: %+v", b.replier.waiting)
	}
}

// The other bridges are told how a key ended, in place of its claim: free if it
// did not reach Asterisk, else the outcome, also that nobody knows it.
func TestSharedKeys_TellHowItEnded(t *testing.T) {
	for _, test := range []struct {
		fail *failure
		want string
	}{
		{nil, "ended"}, {&failure{Kind: "timeout", Sent: "unknown"}, "ended"}, {&failure{Kind: "asterisk_error", Sent: "yes"}, "ended"},
		{&failure{Kind: "busy", Sent: "no"}, "free"},
	} {
		s, b := sharing()
		k, _ := claiming(b)
		k.revision = 9
		b.repeats.settle(k, []byte(`{}`), test.fail)
		e, entry := written(t, s)
		if e.State != test.want || entry.msg.Header.Get(jetstream.ExpectedLastSubjSeqHeader) != "9" || !entry.must || entry.once {
			t.Errorf("%+v: %+v is told, %v", test.fail, e, entry.msg.Header)
		}
		if (e.Error == nil) != (test.fail == nil || test.want == "free") {
			t.Errorf("%+v: told is the error %+v", test.fail, e.Error)
		}
	}
}

// A repeat waits as long as its Ami-Timeout, and no longer than 30 s.
func TestSharedKeys_Patience(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{
		0: 30 * time.Second, time.Second: time.Second, 30 * time.Second: 30 * time.Second, time.Hour: 30 * time.Second,
	} {
		if got := (&ask{options: options{timeout: timeout}}).patience(); got != want {
			t.Errorf("with %v it waits %v, want %v", timeout, got, want)
		}
	}
}

// Keys are this bridge's own only where there is no bucket and none will be made.
func TestSharedKeys_AreOnesOwnWithoutABucket(t *testing.T) {
	for _, test := range []struct {
		state   streamState
		streams Streams
		want    bool
	}{
		{streamMissing, StreamsManage, false}, {streamMissing, StreamsVerify, true}, {streamMissing, StreamsOff, true},
		{streamOK, StreamsVerify, false}, {streamNoJetStream, StreamsVerify, false},
	} {
		s, _ := sharing()
		if s.seen(test.state, test.streams); s.absent.Load() != test.want {
			t.Errorf("%v with %v: keys are its own is %v", test.state, test.streams, !test.want)
		}
	}
}

// A claim that is there no more, since the window is over, leaves the key to who
// waited for it.
func TestSharedKeys_ThatHaveExpiredAreClaimed(t *testing.T) {
	a := askingBridge(t, nil)
	m := requestFor("pbx1", "CoreStatus", "", "Ami-Idempotency-Key", "k")
	m.Reply = a.nc.NewInbox()
	sub, err := a.nc.SubscribeSync(m.Reply)
	if err := errors.Join(err, a.nc.Flush()); err != nil {
		t.Fatal(err)
	}
	one, err := a.endpoints[0].newAsk(m)
	if err != nil {
		t.Fatal(err)
	}
	one.others = a.servers
	k, first, _, fail := a.repeats.enter(one)
	if one.keyed = k; !first || fail != nil {
		t.Fatalf("%v, %+v", first, fail)
	}
	one.here = false
	a.repeats.shared.follow(t.Context(), k, one) // returns at once
	answer, err := sub.NextMsg(patience)
	if err != nil || answer.Header.Get("Nats-Service-Error") != "" || answer.Header.Get("Ami-Idempotent-Replay") != "" {
		t.Errorf("%+v, %v", answer, err)
	}
	if n := a.sims["pbx1"].Received("CoreStatus"); n != 1 {
		t.Errorf("it was sent %d times", n)
	}
}

// Without JetStream, or without a window, no bucket is asked.
func TestSharedKeys_AreForJetStream(t *testing.T) {
	for _, test := range []struct {
		delivery Delivery
		window   time.Duration
		want     bool
	}{{DeliverJetStream, time.Minute, true}, {DeliverCore, time.Minute, false}, {DeliverJetStream, 0, false}} {
		cfg := validConfig()
		cfg.Delivery, cfg.IdempotencyWindow = test.delivery, test.window
		b, err := New(cfg, Deps{})
		if err != nil {
			t.Fatal(err)
		}
		if got := b.newSharedKeys() != nil; got != test.want {
			t.Errorf("%v and a window of %v: they are shared is %v", test.delivery, test.window, got)
		}
	}
}
