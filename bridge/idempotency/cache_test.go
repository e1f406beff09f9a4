package idempotency

import (
	"crypto/sha256"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
)

// keyOf is that of a request with this key.
func keyOf(text string) Key { return Key{Name: sha256.Sum256([]byte(text))} }

// first reports what r makes of a request with a key: it is the first, or the
// kind of its refusal, or repeat.
func first(r *Cache, k Key) string {
	switch _, first, known, fail := r.enter(k, new(waiter)); {
	case fail != nil:
		return string(fail.Kind)
	case known != nil && known.Error != nil:
		return "repeat of " + string(known.Error.Kind)
	case known != nil:
		return "repeat"
	case first:
		return "first"
	}
	return "waits"
}

// ends ends the first request of a key with a reply of so many bytes.
func ends(r *Cache, k Key, size int, fail *reply.Error) {
	r.Finish(r.known[k.Name], make([]byte, size), fail)
}

// A key is remembered for the whole window after its end, and no longer; so are
// the bytes of its reply.
func TestRepeats_TheWindowAndTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const window = time.Minute
		r := newCache(window)
		fill := func() (n int) {
			for ; ; n++ {
				a := keyOf(fmt.Sprint(n))
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
			if got := first(r, keyOf("0")); got != "repeat" {
				t.Errorf("within the window: %s", got)
			}
			time.Sleep(window/10 - 1)
			if got := first(r, keyOf("new")); got != "busy" {
				t.Errorf("just before its end: %s", got)
			}
			time.Sleep(time.Nanosecond)
		}
		if got := first(r, keyOf("new")); got != "first" || r.bytes != 0 || len(r.known) != 1 {
			t.Errorf("after it: %s, %d bytes, %d keys", got, r.bytes, len(r.known))
		}
	})
}

func TestRepeats_AreBounded(t *testing.T) {
	r := newCache(time.Minute)
	for n := range maxKeys {
		if got := first(r, keyOf(fmt.Sprint(n))); got != "first" {
			t.Fatalf("key %d: %s", n, got)
		}
	}
	if got := first(r, keyOf("one more")); got != "busy" || maxKeys != 20_000 {
		t.Errorf("one key more than %d: %s", maxKeys, got)
	}
	for n := range maxRepeats {
		if got := first(r, keyOf("1")); got != "waits" {
			t.Fatalf("repeat %d: %s", n, got)
		}
	}
	if got := first(r, keyOf("1")); got != "busy" || maxRepeats != 64 {
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
		r := newCache(time.Minute)
		a, other := keyOf("k"), keyOf("k")
		other.Body[0] = 1
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
		if got := first(r, keyOf("k")); got != test.want {
			t.Errorf("a repeat behind %+v: %s, want %s", test.fail, got, test.want)
		}
	}
}

// A repeat that waits is told before that it will be answered on another goroutine,
// and that it is not to go on; nothing of it is kept once it is answered.
func TestRepeats_ThatWaitAreAnsweredElsewhere(t *testing.T) {
	r := newCache(time.Minute)
	first(r, keyOf("k"))
	w := &waiter{told: new([]*Outcome)}
	k, is, _, _ := r.enter(keyOf("k"), w)
	if is || !w.isLater || !w.let || len(*w.told) != 0 {
		t.Errorf("it is the first: %v, later: %v, let go: %v, told %v", is, w.isLater, w.let, *w.told)
	}
	ends(r, keyOf("k"), 10, nil)
	if len(*w.told) != 1 || k.waiting != nil {
		t.Errorf("told %v, %d wait", *w.told, len(k.waiting))
	}
}

// Without a window keys are refused: who relies on one must hear of it.
func TestRepeats_WithoutAWindowAreRefused(t *testing.T) {
	r := newCache(0)
	if got := first(r, keyOf("k")); got != "bad_request" || len(r.known) != 0 {
		t.Errorf("%s, %d keys are remembered", got, len(r.known))
	}
}

// A reply over 64 KiB is not remembered, but that it was given is.
func TestRepeats_ALargeReplyIsNotRemembered(t *testing.T) {
	r := newCache(time.Minute)
	for size, want := range map[int]string{64 << 10: "repeat", 64<<10 + 1: "repeat of reply_too_large"} {
		a := keyOf(fmt.Sprint(size))
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
