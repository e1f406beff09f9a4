package bridge

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
)

// keyedAsk is a request with a key that nobody answers.
func keyedAsk(r *repeats, subject, key string) *ask {
	cfg := config.DefaultServerConfig()
	return &ask{
		endpoint: &endpoint{shared: &shared{repeats: r}}, subject: subject, options: options{key: key}, server: &target{cfg: &cfg},
	}
}

// first reports what r makes of a request with a key: it is the first, or the
// kind of its refusal, or repeat.
func first(r *repeats, a *ask) string {
	switch _, first, known, fail := r.enter(a.key(), a); {
	case fail != nil:
		return fail.Kind
	case known != nil && known.failure != nil:
		return "repeat of " + known.failure.Kind
	case known != nil:
		return "repeat"
	case first:
		return "first"
	}
	return "waits"
}

// ends ends the first request of a key with a reply of so many bytes.
func ends(r *repeats, a *ask, size int, fail *reply.Error) {
	r.settle(r.known[a.key().name], make([]byte, size), fail)
}

// A key is of one subject, and of each server of all.
func TestRepeats_AKeyIsOfOneSubjectAndServer(t *testing.T) {
	r := newRepeats(time.Minute)
	for _, subject := range []string{"ami.actions.pbx1.Originate", "ami.actions.pbx2.Originate", "ami.actions.pbx1.Redirect"} {
		if got := first(r, keyedAsk(r, subject, "k")); got != "first" {
			t.Errorf("%s: %s", subject, got)
		}
		if got := first(r, keyedAsk(r, subject, "k")); got != "waits" {
			t.Errorf("%s again: %s", subject, got)
		}
	}
	for _, server := range []string{"pbx1", "pbx2"} {
		a := keyedAsk(r, "ami.actions.all.Originate", "k")
		a.endpoint.every, a.server.cfg.Name = true, server
		if got := first(r, a); got != "first" {
			t.Errorf("all, %s: %s", server, got)
		}
	}
}

// A key is remembered for the whole window after its end, and no longer; so are
// the bytes of its reply.
func TestRepeats_TheWindowAndTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const window = time.Minute
		r := newRepeats(window)
		fill := func() (n int) {
			for ; ; n++ {
				a := keyedAsk(r, "s", fmt.Sprint(n))
				switch got := first(r, a); got {
				case "first":
					ends(r, a, keptReply, nil)
				case "busy":
					return n
				default:
					t.Fatalf("key %d: %s", n, got)
				}
			}
		}
		for round := range 2 {
			if n := fill(); n != maxKeyBytes/keptReply {
				t.Fatalf("round %d: %d replies of %d bytes are remembered", round, n, keptReply)
			}
			time.Sleep(window * 9 / 10)
			if got := first(r, keyedAsk(r, "s", "0")); got != "repeat" {
				t.Errorf("within the window: %s", got)
			}
			time.Sleep(window/10 - 1)
			if got := first(r, keyedAsk(r, "s", "new")); got != "busy" {
				t.Errorf("just before its end: %s", got)
			}
			time.Sleep(time.Nanosecond)
		}
		if got := first(r, keyedAsk(r, "s", "new")); got != "first" || r.bytes != 0 || len(r.known) != 1 {
			t.Errorf("after it: %s, %d bytes, %d keys", got, r.bytes, len(r.known))
		}
	})
}

func TestRepeats_AreBounded(t *testing.T) {
	r := newRepeats(time.Minute)
	for n := range maxKeys {
		if got := first(r, keyedAsk(r, "s", fmt.Sprint(n))); got != "first" {
			t.Fatalf("key %d: %s", n, got)
		}
	}
	if got := first(r, keyedAsk(r, "s", "one more")); got != "busy" || maxKeys != 20_000 {
		t.Errorf("one key more than %d: %s", maxKeys, got)
	}
	for n := range maxRepeats {
		if got := first(r, keyedAsk(r, "s", "1")); got != "waits" {
			t.Fatalf("repeat %d: %s", n, got)
		}
	}
	if got := first(r, keyedAsk(r, "s", "1")); got != "busy" || maxRepeats != 64 {
		t.Errorf("one repeat more than %d: %s", maxRepeats, got)
	}
}

// A repeat gets the first one's outcome, also that nobody knows it, unless it did
// not reach Asterisk; with another body it is refused, before the end and after.
func TestRepeats_GetTheFirstOnesOutcome(t *testing.T) {
	for _, test := range []struct {
		fail *reply.Error
		want string
	}{
		{nil, "repeat"},
		{&reply.Error{Kind: "timeout", Sent: "unknown"}, "repeat of timeout"},
		{&reply.Error{Kind: "asterisk_error", Sent: "yes"}, "repeat of asterisk_error"},
		{&reply.Error{Kind: "busy", Sent: "no"}, "first"},
	} {
		r := newRepeats(time.Minute)
		a, other := keyedAsk(r, "s", "k"), keyedAsk(r, "s", "k")
		other.body[0] = 1
		first(r, a)
		if got := first(r, other); got != "bad_request" {
			t.Errorf("another body before the end: %s", got)
		}
		ends(r, a, 100, test.fail)
		if test.want != "first" {
			if got := first(r, other); got != "bad_request" {
				t.Errorf("another body after the end: %s", got)
			}
		}
		if got := first(r, keyedAsk(r, "s", "k")); got != test.want {
			t.Errorf("a repeat behind %+v: %s, want %s", test.fail, got, test.want)
		}
	}
}

// A repeat that waits is answered by whoever ends the first, which may be a reader
// of AMI: the endpoint's goroutine, which may publish, has gone on.
func TestRepeats_ThatWaitAreAnsweredElsewhere(t *testing.T) {
	r := newRepeats(time.Minute)
	first(r, keyedAsk(r, "s", "k"))
	a := keyedAsk(r, "s", "k")
	a.here = true
	if got := first(r, a); got != "waits" || a.here {
		t.Errorf("it %s, and is answered here: %v", got, a.here)
	}
}

// Without a window keys are refused: who relies on one must hear of it.
func TestRepeats_WithoutAWindowAreRefused(t *testing.T) {
	r := newRepeats(0)
	if got := first(r, keyedAsk(r, "s", "k")); got != "bad_request" || len(r.known) != 0 {
		t.Errorf("%s, %d keys are remembered", got, len(r.known))
	}
}

// A reply over 64 KiB is not remembered, but that it was given is.
func TestRepeats_ALargeReplyIsNotRemembered(t *testing.T) {
	r := newRepeats(time.Minute)
	for size, want := range map[int]string{64 << 10: "repeat", 64<<10 + 1: "repeat of reply_too_large"} {
		a := keyedAsk(r, "s", fmt.Sprint(size))
		first(r, a)
		ends(r, a, size, nil)
		if got := first(r, a); got != want {
			t.Errorf("a repeat of %d bytes: %s", size, got)
		}
	}
	if r.bytes != 64<<10 {
		t.Errorf("%d bytes are remembered", r.bytes)
	}
}
