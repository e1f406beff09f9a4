package events

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/realasterisk"
)

// What comes out of NATS is what a session of our own sees on the same
// Asterisk: the same events, in the same order, with the same headers.
func TestReal_EventsAreThoseOfADirectSession(t *testing.T) {
	t.Parallel()
	realasterisk.Each(t, func(t *testing.T, a *realasterisk.Instance) {
		a.NeedsOwn(t)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		r := harness.Bridge(t, harness.NATS(t), nil, harness.Server("pbx1", a.Addr(), a.User().Name, a.User().Secret))
		events := r.Subscribe("ami.events.pbx1.>")
		direct, err := a.Events(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer direct.Close()

		if err := a.Mark(ctx, "begin"); err != nil {
			t.Fatal(err)
		}
		frames := make(chan []realasterisk.Frame, 1)
		failed := make(chan error, 1)
		go func() {
			if _, err := direct.Until(ctx, realasterisk.IsMark("begin")); err != nil {
				failed <- err
				return
			}
			all, err := direct.Until(ctx, realasterisk.IsMark("end"))
			failed <- err
			frames <- all
		}()
		const rounds = 12
		for range rounds {
			if err := a.Calls(ctx, "call", "chain", "busy", "fork", "quick", "latin1", "lamp", "dtmf"); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.Mark(ctx, "end"); err != nil {
			t.Fatal(err)
		}
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
		all := <-frames
		if len(all) < 5000 {
			t.Fatalf("only %d events to compare, want 5000", len(all))
		}
		mark := func(payload []byte, text string) bool {
			return bytes.Contains(payload, []byte(`"Mark":"`+text)) && bytes.Contains(payload, []byte(`"UserEvent":"Mark"`))
		}
		for !mark(r.Next(events).Data, "begin") {
			continue
		}
		session, last := "", uint64(0)
		for i, f := range all {
			msg := r.Next(events)
			if diff := cmp.Diff(harness.FramePairs(f), harness.PayloadPairs(t, msg.Data)); diff != "" {
				t.Fatalf("event %d (-direct +NATS): %s", i, diff)
			}
			if subject := "ami.events.pbx1." + f.Event(); msg.Subject != subject {
				t.Fatalf("event %d is on %s, want %s", i, msg.Subject, subject)
			}
			own, text, _ := strings.Cut(msg.Header.Get("Ami-Seq"), ":")
			seq, err := strconv.ParseUint(text, 10, 64)
			if err != nil || last > 0 && (own != session || seq != last+1) {
				t.Fatalf("event %d: Ami-Seq %q after %s:%d", i, msg.Header.Get("Ami-Seq"), session, last)
			}
			session, last = own, seq
			if at, err := time.Parse(time.RFC3339Nano, msg.Header.Get("Ami-Time")); err != nil || time.Since(at) > time.Hour {
				t.Fatalf("event %d: Ami-Time %q", i, msg.Header.Get("Ami-Time"))
			}
		}
		t.Logf("Asterisk %s: %d events compared", a.Version(), len(all))
	})
}
