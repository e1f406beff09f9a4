package idempotency

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config/configtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/journal"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/journal/journaltest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn/conntest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// valued is a message of the bucket.
func valued(value string) *jetstream.RawStreamMsg {
	return &jetstream.RawStreamMsg{Data: []byte(value), Sequence: 17}
}

// waiter is a request with a key that remembers what it was told.
type waiter struct {
	told    *[]*Outcome // of all
	keyed   *Entry      // once it may go on
	goesOn  bool
	isLater bool
	let     bool
}

func (w *waiter) First(k *Entry)        { w.keyed, w.goesOn = k, true }
func (w *waiter) Repeat(o *Outcome)     { *w.told = append(*w.told, o) }
func (w *waiter) Refuse(f *reply.Error) { *w.told = append(*w.told, &Outcome{Error: f}) }
func (w *waiter) Later()                { w.isLater = true }
func (w *waiter) LetGo()                { w.let = true }

// sharing are keys that a bucket has which nobody serves: what is written to it
// waits.
func sharing() (*sharedKeys, *Cache) {
	r := newCache(time.Minute)
	r.shared = &sharedKeys{
		run: "mine", journal: &journaltest.Fake{Limit: QueueBytes}, log: zap.NewNop(), local: r,
		places: make(chan struct{}, 2), work: make(chan func(context.Context), 2), refused: func(error) {},
	}
	return r.shared, r
}

// claiming is a request that is the first of its key at this bridge, and two that
// wait for it. told is what all of them are told.
func claiming(r *Cache) (c claim, told *[]*Outcome) {
	told = new([]*Outcome)
	for range 3 {
		one := &waiter{told: told}
		if made, first, _, _ := r.enter(Key{}, one); first {
			c = claim{Entry: made, request: one}
		}
	}
	return c, told
}

// written is the last that is to be written to the bucket.
func written(t *testing.T, s *sharedKeys) (e bucketValue, entry journal.Entry) {
	t.Helper()
	batch := s.journal.(*journaltest.Fake).Take(10)
	if len(batch) != 1 {
		t.Fatalf("%d are to be written", len(batch))
	}
	if err := json.Unmarshal(batch[0].Msg.Data, &e); err != nil {
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
		"answered with nothing": {`{"run":"b2","body":"` + same + `","state":"ended"}`, "nothing"},
		"failed":                {`{"run":"b2","body":"` + same + `","state":"ended","error":{"code":504,"kind":"timeout","sent":"unknown"}}`, `"kind":"timeout","sent":"unknown"`},
		"answered to another":   {`{"run":"b2","body":"` + other + `","state":"ended","reply":{"server":"x"}}`, `"kind":"bad_request","sent":"no"`},
		"another, not answered": {`{"run":"b2","body":"` + other + `","state":"pending"}`, `"kind":"bad_request","sent":"no"`},
	} {
		s, r := sharing()
		c, told := claiming(r)
		ended := s.apply(c, valued(test.value))
		if ended != (test.want != "nothing") {
			t.Errorf("%s: that was all is %v", name, ended)
		}
		switch test.want {
		case "nothing":
			if n := len(s.journal.(*journaltest.Fake).Take(10)); n != 0 || len(*told) != 0 {
				t.Errorf("%s: %d are to be written, %d answered", name, n, len(*told))
			}
		case "claimed":
			e, entry := written(t, s)
			if e.State != "pending" || e.Run != "mine" || e.Body != hex.EncodeToString(c.body[:]) || !entry.Once ||
				entry.Msg.Header.Get(jetstream.ExpectedLastSubjSeqHeader) != "17" || entry.Msg.Header.Get(jetstream.ExpectedStreamHeader) != streams.KeyStream {
				t.Errorf("%s: to be written is %+v, %v", name, e, entry.Msg.Header)
			}
		default:
			if len(*told) != 3 || len(r.known) != 0 || c.request.(*waiter).goesOn {
				t.Errorf("%s: %d replies, %d keys are known", name, len(*told), len(r.known))
			}
			for _, o := range *told {
				fail, _ := json.Marshal(o.Error)
				if !strings.Contains(string(o.Body)+string(fail), test.want) {
					t.Errorf("%s: told %s, %s", name, o.Body, fail)
				}
			}
		}
	}
}

// What a bridge was at that is not heard any more nobody will ever tell: it is unknown at once,
// and its claim stays, so that nothing is sent. What is known of it is told as before.
func TestSharedKeys_NobodyWaitsForABridgeThatIsGone(t *testing.T) {
	same := strings.Repeat("00", 32)
	for name, test := range map[string]struct{ value, want string }{
		"at it":       {`{"run":"gone","body":"` + same + `","state":"pending"}`, `"kind":"timeout","sent":"unknown"`},
		"ended":       {`{"run":"gone","body":"` + same + `","state":"ended","reply":{"server":"x"}}`, `{"server":"x"}`},
		"free":        {`{"run":"gone","body":"` + same + `","state":"free"}`, ""},
		"another one": {`{"run":"there","body":"` + same + `","state":"pending"}`, "nothing"},
	} {
		s, r := sharing()
		r.AskGone(func(run string) bool { return run == "gone" })
		c, told := claiming(r)
		ended := s.apply(c, valued(test.value))
		wrote := len(s.journal.(*journaltest.Fake).Take(10))
		if ended != (test.want != "nothing") || (wrote > 0) != (test.want == "") {
			t.Errorf("%s: that was all is %v, %d are to be written", name, ended, wrote)
		}
		for _, o := range *told {
			fail, _ := json.Marshal(o.Error)
			if !strings.Contains(string(o.Body)+string(fail), test.want) {
				t.Errorf("%s: told %s, %s", name, o.Body, fail)
			}
		}
		if told := len(*told); told != 3 && test.want != "" && test.want != "nothing" {
			t.Errorf("%s: %d are told", name, told)
		}
	}
}

// Without the bucket's word nothing is sent: the first and those that wait hear
// it, and who asks again is the first again.
func TestSharedKeys_WithoutAnAnswerNothingIsSent(t *testing.T) {
	s, r := sharing()
	c, told := claiming(r)
	s.claim(c, 0)
	_, entry := written(t, s)
	entry.Done(nil, errors.New("gone"))
	if len(*told) != 3 || len(r.known) != 0 {
		t.Errorf("%d replies, %d keys are known", len(*told), len(r.known))
	}
	for _, o := range *told {
		if f := o.Error; f.Code != 503 || f.Kind != "idempotency_unavailable" || f.Sent != "no" || f.RetryAfter == 0 {
			t.Errorf("told %+v", f)
		}
	}
}

// A key that cannot be waited for, since as many others are, is refused at once.
func TestSharedKeys_WaitForSoMany(t *testing.T) {
	s, r := sharing()
	for range cap(s.places) {
		s.places <- struct{}{}
	}
	c, told := claiming(r)
	s.claim(c, 0)
	_, entry := written(t, s)
	entry.Done(nil, &jetstream.APIError{ErrorCode: jetstream.JSErrCodeStreamWrongLastSequence})
	if len(*told) != 3 || (*told)[0].Error.Kind != "idempotency_unavailable" {
		t.Errorf("told %+v", *told)
	}
}

// The other bridges are told how a key ended, in place of its claim: free if it
// did not reach Asterisk, else the outcome, also that nobody knows it.
func TestSharedKeys_TellHowItEnded(t *testing.T) {
	for _, test := range []struct {
		fail *reply.Error
		want string
	}{
		{nil, "ended"}, {&reply.Error{Kind: "timeout", Sent: "unknown"}, "ended"}, {&reply.Error{Kind: "asterisk_error", Sent: "yes"}, "ended"},
		{&reply.Error{Kind: "busy", Sent: "no"}, "free"},
	} {
		s, r := sharing()
		c, _ := claiming(r)
		c.revision = 9
		r.Finish(c.Entry, []byte(`{}`), test.fail)
		e, entry := written(t, s)
		if e.State != test.want || entry.Msg.Header.Get(jetstream.ExpectedLastSubjSeqHeader) != "9" || !entry.Must || entry.Once {
			t.Errorf("%+v: %+v is told, %v", test.fail, e, entry.Msg.Header)
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
		if got := (&claim{patience: timeout}).wait(); got != want {
			t.Errorf("with %v it waits %v, want %v", timeout, got, want)
		}
	}
}

// Keys are this bridge's own only where there is no bucket and none will be made.
func TestSharedKeys_AreOnesOwnWithoutABucket(t *testing.T) {
	for _, test := range []struct {
		state   streams.State
		streams config.Streams
		want    bool
	}{
		{streams.Missing, config.StreamsManage, false}, {streams.Missing, config.StreamsVerify, true}, {streams.Missing, config.StreamsOff, true},
		{streams.OK, config.StreamsVerify, false}, {streams.NoJetStream, config.StreamsVerify, false},
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
	c := conntest.Open(t, natstest.Start(t, t.TempDir(), 0).ClientURL())
	cfg := configtest.Valid()
	all := streams.New(&cfg, []*natsconn.Conn{c}, func() {}, func(context.Context, string, streams.State) {}, zap.NewNop())
	natstest.Within(t, "the bucket", func() bool { all.Check(t.Context()); return all.Well() })
	unwritten := &journaltest.Fake{Limit: QueueBytes}
	r := New(&cfg, "mine", c, unwritten, func(error) {}, zap.NewNop())
	told := new([]*Outcome)
	w := &waiter{told: told}
	k, first, _, fail := r.enter(keyOf("k"), w)
	if !first || fail != nil {
		t.Fatalf("%v, %+v", first, fail)
	}
	r.shared.follow(t.Context(), claim{Entry: k, request: w}, 0) // returns at once
	_, entry := written(t, r.shared)
	entry.Done(&jetstream.PubAck{Sequence: 5}, nil)
	if !w.goesOn || k.revision != 5 || len(*told) != 0 {
		t.Errorf("it goes on is %v, by revision %d; told %v", w.goesOn, k.revision, *told)
	}
}

// A key that somebody has deleted, or purged, is claimed behind the marker that stands for it: it
// was neither there nor to be made, and was asked for without a pause and without an end.
func TestSharedKeys_ThatWereDeletedAreClaimed(t *testing.T) {
	c := conntest.Open(t, natstest.Start(t, t.TempDir(), 0).ClientURL())
	cfg := configtest.Valid()
	all := streams.New(&cfg, []*natsconn.Conn{c}, func() {}, func(context.Context, string, streams.State) {}, zap.NewNop())
	natstest.Within(t, "the bucket", func() bool { all.Check(t.Context()); return all.Well() })
	bucket, err := c.Get().JS.KeyValue(t.Context(), streams.KeyBucket)
	if err != nil {
		t.Fatal(err)
	}
	for i, remove := range []func(context.Context, string, ...jetstream.KVDeleteOpt) error{bucket.Delete, bucket.Purge} {
		r := New(&cfg, "mine", c, &journaltest.Fake{Limit: QueueBytes}, func(error) {}, zap.NewNop())
		w := &waiter{told: new([]*Outcome)}
		k, _, _, _ := r.enter(keyOf("k"), w)
		if _, err := bucket.PutString(t.Context(), k.token(), "x"); err != nil {
			t.Fatal(err)
		}
		if err := remove(t.Context(), k.token()); err != nil {
			t.Fatal(err)
		}
		r.shared.follow(t.Context(), claim{Entry: k, request: w}, 0)
		_, entry := written(t, r.shared)
		want := strconv.Itoa(2 * (i + 1)) // a marker is the last message
		if got := entry.Msg.Header.Get(jetstream.ExpectedLastSubjSeqHeader); got != want {
			t.Errorf("it is claimed behind %s, the marker is %s", got, want)
		}
	}
}

// However often the bucket refuses a claim of a key that it says is free, as where who is asked
// lags behind who stores: the caller is answered in time, and meanwhile it is asked now and then.
func TestSharedKeys_ThatAreRefusedAgainAndAgain(t *testing.T) {
	c := conntest.Open(t, natstest.Start(t, t.TempDir(), 0).ClientURL())
	cfg := configtest.Valid()
	all := streams.New(&cfg, []*natsconn.Conn{c}, func() {}, func(context.Context, string, streams.State) {}, zap.NewNop())
	natstest.Within(t, "the bucket", func() bool { all.Check(t.Context()); return all.Well() })
	r := New(&cfg, "mine", c, &journaltest.Fake{Limit: QueueBytes}, func(error) {}, zap.NewNop())
	w := &waiter{told: new([]*Outcome)}
	k, _, _, _ := r.enter(keyOf("k"), w)
	rounds := 0
	for r.shared.claim(claim{Entry: k, patience: 3 * keyPoll, request: w}, 0); len(*w.told) == 0; rounds++ {
		if rounds > 10 {
			t.Fatal("it is claimed without an end")
		}
		_, entry := written(t, r.shared)
		entry.Done(nil, &jetstream.APIError{ErrorCode: jetstream.JSErrCodeStreamWrongLastSequence})
		(<-r.shared.work)(t.Context())
	}
	if f := (*w.told)[0].Error; f == nil || f.Kind != "timeout" || w.goesOn {
		t.Errorf("told %+v", f)
	}
}

// A claim that the bucket never takes, as it is too large, is refused at once.
func TestSharedKeys_TheBucketTakesNone(t *testing.T) {
	s, r := sharing()
	c, told := claiming(r)
	s.claim(c, 0)
	_, entry := written(t, s)
	entry.Done(nil, &jetstream.APIError{ErrorCode: natsconn.StreamMessageExceedsMaximum})
	if len(s.work) > 0 || len(*told) != 3 || (*told)[0].Error.Kind != "idempotency_unavailable" {
		t.Errorf("told %+v, %d look at the bucket", *told, len(s.work))
	}
}

// Without JetStream, or without a window, no bucket is asked.
func TestSharedKeys_AreForJetStream(t *testing.T) {
	for _, test := range []struct {
		delivery config.Delivery
		window   time.Duration
		want     bool
	}{{config.DeliverJetStream, time.Minute, true}, {config.DeliverCore, time.Minute, false}, {config.DeliverJetStream, 0, false}} {
		cfg := configtest.Valid()
		cfg.Delivery, cfg.IdempotencyWindow = test.delivery, test.window
		r := New(&cfg, "run1", conntest.Bare(), &journaltest.Fake{}, func(error) {}, zap.NewNop())
		if got := r.shared != nil; got != test.want {
			t.Errorf("%v and a window of %v: they are shared is %v", test.delivery, test.window, got)
		}
	}
}
