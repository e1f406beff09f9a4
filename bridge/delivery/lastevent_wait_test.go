package delivery

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// Twenty seconds without an answer are waited for, on a live connection: as long
// as NATS is away it waits on.
func TestRecall_WaitsTwentySecondsForAnAnswer(t *testing.T) {
	silent := func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, lastEventTimeout)
		defer cancel()
		<-ctx.Done()
		return ctx.Err()
	}
	elsewhere := func(context.Context) error {
		return &jetstream.APIError{ErrorCode: jetstream.JSErrCodeJetStreamNotEnabledForAccount} // as nats-server says it
	}
	for name, test := range map[string]struct {
		away        time.Duration
		says        func(context.Context) error
		least, most time.Duration
	}{
		"connected":                      {0, silent, 20 * time.Second, 40 * time.Second},
		"away":                           {time.Hour, silent, time.Hour + 20*time.Second, time.Hour + time.Minute},
		"no JetStream in the account":    {0, elsewhere, 20 * time.Second, 40 * time.Second},
		"away, and none in that account": {time.Hour, elsewhere, time.Hour + 15*time.Second, time.Hour + time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				connected := func() bool { return time.Since(began) > test.away }
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
				defer cancel()
				_, err := askUntilAnswered(ctx, connected, func(ctx context.Context) (time.Time, error) { return time.Time{}, test.says(ctx) })
				if took := time.Since(began); err == nil || took < test.least || took > test.most {
					t.Errorf("%v after %v", err, took)
				}
			})
		})
	}
}

// An error that is said at once, such as that nobody answers yet, is none that
// counts; and who ends meanwhile has no answer.
func TestRecall_AsksUntilThereIsAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want, asked := time.Unix(900, 0), 0
		last, err := askUntilAnswered(t.Context(), func() bool { return true }, func(context.Context) (time.Time, error) {
			if asked++; asked < 10*lastEventTries {
				return time.Time{}, nats.ErrNoResponders
			}
			return want, nil
		})
		if err != nil || !last.Equal(want) {
			t.Errorf("%v, %v", last, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = askUntilAnswered(ctx, func() bool { return true }, func(context.Context) (time.Time, error) { return time.Time{}, nats.ErrNoResponders })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("at the end %v", err)
		}
	})
}

// Without an answer there is a Gap all the same, which begins at the login; with
// one that says that nothing was before there is none.
func TestRecall_WithoutAnAnswerAGapBeginsAtTheLogin(t *testing.T) {
	login := time.Now()
	for name, test := range map[string]struct {
		last time.Time
		err  error
		from int64 // 0: no Gap
	}{
		"no answer":          {time.Time{}, context.DeadlineExceeded, login.UnixNano()},
		"nothing was before": {time.Time{}, nil, 0},
		"an event before":    {login.Add(-time.Hour), nil, login.Add(-time.Hour).UnixNano()},
	} {
		o := outbox.New(1<<20, "ami.events.pbx1.Gap", outbox.NewBudget(1<<20, 1), func() {})
		core, logs := observer.New(zap.WarnLevel)
		o.PushGap("s1", &outbox.Gap{Reason: outbox.GapRestart, Unknown: true, Resume: true, From: login.UnixNano(), To: login.UnixNano()})
		o.Push(outbox.Entry{Session: "s1", Seq: 1}, []byte("1"), false)
		(&Source{Outbox: o}).tellLastEvent(test.last, test.err, zap.New(core))
		if n := logs.FilterMessageSnippet("a Gap begins at the login").Len(); (n == 1) != (test.err != nil) {
			t.Errorf("%s: %d lines say so", name, n)
		}
		if test.from != 0 {
			_, _, told, ok := o.Take(nil)
			if !ok || told == nil || told.Reason != outbox.GapRestart || !told.Unknown || told.From != test.from || told.To != login.UnixNano() {
				t.Errorf("%s: %+v", name, told)
			}
		}
		if _, payload, told, ok := o.Take(nil); !ok || told != nil || string(payload) != "1" {
			t.Errorf("%s: then comes %s, %+v", name, payload, told)
		}
	}
}

// A Gap begins when the last event was read, which it says itself, not when the
// stream took it: that may be long after, where events waited.
func TestRecall_AGapBeginsWhenTheLastEventWasRead(t *testing.T) {
	read, stored := time.Unix(1000, 5000), time.Unix(2000, 0)
	if at := readAt(clock.Stamp(read), stored); !at.Equal(read) {
		t.Errorf("at %v", at)
	}
	for _, says := range []string{"", "yesterday", clock.Stamp(stored.Add(time.Minute))} {
		if at := readAt(says, stored); !at.Equal(stored) {
			t.Errorf("of an event that says %q: at %v", says, at)
		}
	}
	s := natstest.Start(t, t.TempDir(), 0)
	testBench(t, s.ClientURL(), config.DeliverJetStream)
	_, js := natstest.Client(t, s.ClientURL())
	msg := nats.NewMsg("ami.events.pbx1.Test")
	msg.Header.Set("Ami-Time", clock.Stamp(read))
	if _, err := js.PublishMsg(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
	if at, err := lastEvent(t.Context(), js, "ami.events.pbx1.>"); err != nil || !at.Equal(read) {
		t.Errorf("at %v, %v", at, err)
	}
}
