package actions

import (
	"sync/atomic"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// A bridge that has lost the lead while an Action waited to be written does not write it,
// says that for certain, and forgets its key: whoever leads may have it.
func TestLed_WhatWasQueuedIsNotWritten(t *testing.T) {
	a := askingOf(t, nil)
	var asked, most atomic.Int64
	a.targets[0].Share(func() bool { return asked.Add(1) <= most.Load() })
	headers := []string{"Ami-Idempotency-Key", "k1"}
	const call = `{"Channel":"PJSIP/1","Context":"x","Exten":"1","Priority":1}`
	for _, may := range []int64{1, 0} { // when it comes only, not even then
		asked.Store(0)
		most.Store(may)
		kind, sent, message, _ := a.answered(requestFor("pbx1", "Originate", call, headers...))
		if kind != "not_connected" || sent != "no" || message != "another bridge leads pbx1" {
			t.Errorf("%d: %s, sent: %s, %q", may, kind, sent, message)
		}
		if n := asked.Load(); n != may+1 {
			t.Errorf("it was asked %d times whether this bridge leads", n)
		}
	}
	most.Store(1 << 40)
	if kind, sent, message, header := a.answered(requestFor("pbx1", "Originate", call, headers...)); kind != "" || header.Get("Ami-Idempotent-Replay") != "" {
		t.Errorf("by who leads: %s, sent: %s, %q", kind, sent, message)
	}
	if n := a.sims["pbx1"].Received("Originate"); n != 1 {
		t.Errorf("Asterisk got %d", n)
	}
	natstest.Within(t, "nothing is left", func() bool { return a.targets[0].link.Status().Calls.Held == 0 })
}

// Servers come and go for as long as the bridge runs: of one that it leads no more nothing is kept.
func TestLed_NothingIsKeptOfOneThatIsGone(t *testing.T) {
	a := askingOf(t, nil)
	for _, leads := range []bool{true, false} {
		if err := a.Lead("gone", leads); err != nil {
			t.Fatal(err)
		}
	}
	if len(a.led) > 0 {
		t.Errorf("it keeps %v", a.led)
	}
}
