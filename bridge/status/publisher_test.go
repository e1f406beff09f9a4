package status

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"pgregory.net/rapid"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/subject"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn/conntest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

func TestStatus_PublishesEveryChangeAndBoundsWhatWaits(t *testing.T) {
	server := natstest.Start(t, t.TempDir(), 0)
	nc, _ := natstest.Client(t, server.ClientURL())
	sub, err := nc.SubscribeSync("state.>")
	if err == nil {
		err = nc.Flush() // what comes by another connection is behind it
	}
	if err != nil {
		t.Fatal(err)
	}
	s := NewPublisher(conntest.Open(t, nc.ConnectedUrl()), func(string, []byte) {}, zap.NewNop())
	const changes = 100
	for i := range changes {
		s.Publish(subject.Key{Subject: "state.a", Part: fmt.Sprint(i % 2)}, i)
	}
	s.Flush()
	for i := range changes {
		msg, err := sub.NextMsg(natstest.Patience)
		if err != nil || string(msg.Data) != fmt.Sprint(i) {
			t.Fatalf("change %d is %v (%v)", i, msg, err)
		}
	}
	// Nobody takes them now: the newest of each kind has to be among the few
	// that are kept.
	for i := range 100_000 {
		s.Publish(subject.Key{Subject: "state.b", Part: fmt.Sprint(i % 3)}, i)
	}
	if n := len(s.waiting); n > maxWaiting+3 {
		t.Errorf("%d messages wait, want at most %d", n, maxWaiting+3)
	}
	newest := map[string]int{}
	for _, m := range s.waiting {
		var n int
		if err := json.Unmarshal(m.body, &n); err != nil {
			t.Fatal(err)
		}
		newest[m.key.Part] = n
	}
	if newest["0"] != 99_999 || newest["1"] != 99_997 || newest["2"] != 99_998 {
		t.Errorf("newest kept: %v", newest)
	}
}

// What is published once more after a reconnect leaves the newest of each
// subject as the last.
func TestStatus_RepeatsInOrderAndBeforeWhatIsNew(t *testing.T) {
	server := natstest.Start(t, t.TempDir(), 0)
	nc, _ := natstest.Client(t, server.ClientURL())
	s := NewPublisher(conntest.Open(t, nc.ConnectedUrl()), func(string, []byte) {}, zap.NewNop())
	const kinds = 20
	for i := range kinds {
		s.Publish(subject.Key{Subject: "state.a", Part: fmt.Sprint(i)}, i)
	}
	s.Flush()
	s.Publish(subject.Key{Subject: "state.a", Part: "0"}, kinds)
	s.Repeat()
	for i, m := range s.waiting {
		if string(m.body) != fmt.Sprint(i+1) {
			t.Fatalf("message %d is %s", i, m.body)
		}
	}
	if len(s.waiting) != kinds {
		t.Errorf("%d messages wait, want one of each of %d kinds", len(s.waiting), kinds)
	}
}

// After a connection that broke the last changes are told once more, and then, without an interval's
// wait, how all is by now. What an interval told is not kept for that.
func TestStatus_RepeatTellsHowAllIs(t *testing.T) {
	server := natstest.Start(t, t.TempDir(), 0)
	nc, _ := natstest.Client(t, server.ClientURL())
	sub, err := nc.SubscribeSync("state.>")
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	s := NewPublisher(conntest.Open(t, nc.ConnectedUrl()), func(string, []byte) {}, zap.NewNop())
	changed, told := subject.Key{Subject: "state.a"}, subject.Key{Subject: "state.a", Part: "interval"}
	s.publish(changed, "down", nil, triggerChange)
	s.publish(told, "down for a while", nil, triggerInterval)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	group.Go(func() {
		s.Run(ctx, time.Hour, func() { s.publish(told, "down for longer", nil, triggerInterval) }, func() {})
	})
	for i, want := range []string{"down", "down for a while", "down", "down for longer"} {
		if m, err := sub.NextMsg(natstest.Patience); err != nil || string(m.Data) != strconv.Quote(want) {
			t.Fatalf("%d: %v, %v, want %s", i, m, err, want)
		}
		if i == 1 {
			s.Repeat()
		}
	}
}

// What waits is, of each kind that there are too many for, the newest, whatever was taken,
// withdrawn and repeated between; and each kind is counted.
func TestStatus_WhatWaitsIsCounted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewPublisher(nil, func(string, []byte) {}, zap.NewNop())
		var want []message
		key := rapid.Custom(func(t *rapid.T) subject.Key {
			return subject.Key{Subject: rapid.SampledFrom([]string{"a.1", "a.2", "b.1"}).Draw(t, "subject"), Part: fmt.Sprint(rapid.IntRange(0, 99).Draw(t, "part"))}
		})
		t.Repeat(map[string]func(*rapid.T){
			"publish": func(*rapid.T) {
				for range rapid.IntRange(1, 200).Draw(t, "many") {
					k := key.Draw(t, "key")
					s.Publish(k, 1)
					if len(want) >= maxWaiting {
						want = slices.DeleteFunc(want, func(m message) bool { return m.key == k })
					}
					want = append(want, message{key: k, number: s.number})
				}
			},
			"next": func(*rapid.T) {
				for range rapid.IntRange(1, 200).Draw(t, "many") {
					m, ok := s.next()
					if ok != (len(want) > 0) || ok && m.number != want[0].number {
						t.Fatalf("the next is %v, %v, want the first of %v", m, ok, want)
					}
					if ok {
						want = want[1:]
					}
				}
			},
			"withdraw": func(*rapid.T) {
				s.withdraw("a.1")
				want = slices.DeleteFunc(want, func(m message) bool { return m.key.Subject == "a.1" })
			},
			"repeat": func(*rapid.T) {
				s.Repeat()
				want = append(slices.Clone(s.waiting[:len(s.waiting)-len(want)]), want...)
			},
			"": func(t *rapid.T) {
				count := map[subject.Key]int{}
				for i, m := range s.waiting {
					if count[m.key]++; m.number != want[i].number {
						t.Fatalf("%d waits, want %d", m.number, want[i].number)
					}
				}
				if len(s.waiting) != len(want) || !maps.Equal(count, s.count) {
					t.Fatalf("%d wait, want %d, and are counted as %v, want %v", len(s.waiting), len(want), s.count, count)
				}
			},
		})
	})
}

// What is handed over before the end is published.
func TestStatus_TheEndPublishesTheRest(t *testing.T) {
	server := natstest.Start(t, t.TempDir(), 0)
	nc, _ := natstest.Client(t, server.ClientURL())
	sub, err := nc.SubscribeSync("state.>")
	if err == nil {
		err = nc.Flush() // what comes by another connection is behind it
	}
	if err != nil {
		t.Fatal(err)
	}
	s := NewPublisher(conntest.Open(t, nc.ConnectedUrl()), func(string, []byte) {}, zap.NewNop())
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range 20 {
		s.Publish(subject.Key{Subject: "state.a"}, i)
		s.Run(ended, time.Hour, func() {}, func() {})
		if msg, err := sub.NextMsg(natstest.Patience); err != nil || string(msg.Data) != fmt.Sprint(i) {
			t.Fatalf("%d: %v, %v", i, msg, err)
		}
	}
}
