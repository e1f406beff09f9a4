package amiconn

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// A write buffer takes what it may hold and not a byte more, whatever was refused
// or given back before. Ping and Logoff pass.
func TestWrite_TheBufferHoldsWhatItMay(t *testing.T) {
	q := newWriteQueue(100, func() {})
	for round := range 3 {
		if err := q.reserve(60); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if err := q.reserve(41); !errors.Is(err, ErrBusy) {
			t.Errorf("round %d: 101 of 100 bytes: %v", round, err)
		}
		if err := q.reserve(40); err != nil {
			t.Errorf("round %d: 100 of 100 bytes: %v", round, err)
		}
		q.exceed(30)
		if actions, bytes, most := q.depth(); actions != 3 || bytes != 130 || most != 100 {
			t.Errorf("round %d: %d Actions of %d bytes, at most %d", round, actions, bytes, most)
		}
		for _, n := range []int{60, 40, 30} {
			q.cancel(n)
		}
	}
	q.close()
	if err := q.reserve(1); !errors.Is(err, ErrNotConnected) {
		t.Errorf("after the end: %v", err)
	}
}

// What is written is given back whole, so that no number of Actions fills it.
func TestWrite_GivesBackWhatIsWritten(t *testing.T) {
	inBubble(t, amisim.Config{}, nil, func(b *bench) {
		b.up()
		for range 100 {
			b.do(Action{Name: "CoreStatus"})
		}
		synctest.Wait()
		if s := b.link.Status(); s.WriteBytes != 0 || s.WriteDepth != 0 {
			t.Errorf("%d Actions of %d bytes wait", s.WriteDepth, s.WriteBytes)
		}
	})
}

// An Action whose time is over before its turn to be written never is: that it
// was not sent is certain.
func TestWrite_NothingIsSentOfACallThatHasEnded(t *testing.T) {
	inBubble(t, amisim.Config{}, func(c *Config, _ *Deps) { c.Sessions = 1 }, func(b *bench) {
		b.up()
		thaw := b.sim.FreezeReads()
		long := header("Variable", strings.Repeat("x", 1000))
		for range 100 { // more than the socket takes
			_, err := b.link.Do(Action{Name: "Getvar", Headers: []frames.Header{long}, Done: func(r *correlation.Result) { r.Release() }})
			if err != nil {
				t.Fatal(err)
			}
		}
		r := b.do(Action{Name: "CoreStatus", Timeout: time.Second})
		if r.Outcome != correlation.TimedOut || r.Sent != correlation.SentNo {
			t.Errorf("%v, sent %v", r.Outcome, r.Sent)
		}
		thaw()
		if r := b.do(Action{Name: "CoreSettings"}); r.Outcome != correlation.Answered {
			t.Errorf("the next one: %v", r.Outcome)
		}
		if n := b.sim.Received("CoreStatus"); n != 0 {
			t.Errorf("Asterisk got it %d times", n)
		}
	})
}

// What may not be written any more when its turn comes is not, not one byte of it, and
// whoever asked is told so. What is behind it goes on.
func TestWrite_WhatMayNotIsWithdrawn(t *testing.T) {
	inBubble(t, amisim.Config{}, func(c *Config, _ *Deps) { c.Sessions = 1 }, func(b *bench) {
		b.up()
		var may atomic.Bool
		may.Store(true)
		thaw := b.sim.FreezeReads()
		long := header("Variable", strings.Repeat("x", 1000))
		for range 100 { // more than the socket takes
			_, err := b.link.Do(Action{Name: "Getvar", Headers: []frames.Header{long}, Done: func(r *correlation.Result) { r.Release() }})
			if err != nil {
				t.Fatal(err)
			}
		}
		ended := make(chan *correlation.Result, 2)
		for _, action := range []string{"Originate", "FAXSession"} { // one of them between two Pings
			if _, err := b.link.Do(Action{Name: action, May: may.Load, Done: func(r *correlation.Result) { ended <- r }}); err != nil {
				t.Fatal(err)
			}
		}
		pings := b.sim.Received("Ping")
		may.Store(false)
		thaw()
		for range 2 {
			r := <-ended
			if r.Outcome != correlation.NotSent || r.Sent != correlation.SentNo || !errors.Is(r.Cause, ErrWithdrawn) {
				t.Errorf("%s: %v, sent %v: %v", r.Action, r.Outcome, r.Sent, r.Cause)
			}
			r.Release()
		}
		if r := b.do(Action{Name: "CoreSettings"}); r.Outcome != correlation.Answered {
			t.Errorf("the next one: %v", r.Outcome)
		}
		if r := b.do(Action{Name: "CoreStatus", May: func() bool { return true }}); r.Outcome != correlation.Answered {
			t.Errorf("one that may: %v", r.Outcome)
		}
		if n := b.sim.Received("Originate") + b.sim.Received("FAXSession") + b.sim.Received("Ping") - pings; n != 0 {
			t.Errorf("Asterisk got %d of them", n)
		}
		synctest.Wait()
		if s := b.link.Status(); s.WriteBytes != 0 || s.WriteDepth != 0 || s.Calls.Pending != 0 || s.Calls.Held != 0 {
			t.Errorf("left: %+v", s)
		}
	})
}
