package delivery

import (
	"fmt"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

func TestPublisher_LosesNothingThroughARestartOfNATS(t *testing.T) {
	eachWay(t, func(t *testing.T, keep func(*Publisher)) {
		dir, port := t.TempDir(), natstest.Port(t)
		nats1 := natstest.Start(t, dir, port)
		url := nats1.ClientURL()
		b, p := testBench(t, url, config.DeliverJetStream)
		keep(p)
		startPublisher(t, p)

		const events = 30_000
		s := b.servers[0]
		for i := 1; i <= events; i++ {
			s.push(outbox.Entry{Subject: "ami.events.pbx1.Test", Session: "s1", Seq: uint64(i), At: 1}, fmt.Appendf(nil, `{"n":"%d"}`, i), false)
			if i == events/3 {
				nats1.Shutdown()
				nats1.WaitForShutdown()
			}
			if i == 2*events/3 {
				natstest.Start(t, dir, port)
			}
		}
		if left := drainWithin(t, b, natstest.Patience); left > 0 {
			t.Fatalf("%d events left", left)
		}
		verifyStream(t, url, events)
		if a := s.outbox.Account(); a.Published != events || a.Received != events {
			t.Errorf("account = %+v, want %d published", a, events)
		}
	})
}

// verifyStream reads the stream back: nothing missing, twice or out of order.
func verifyStream(t *testing.T, url string, events int) {
	t.Helper()
	_, js := natstest.Client(t, url)
	messages := storedEvents(t, url)
	for i := 1; i <= events; i++ {
		msg, err := messages.Next()
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf(`{"n":"%d"}`, i); string(msg.Data()) != want {
			t.Fatalf("message %d is %s, want %s", i, msg.Data(), want)
		}
		if got, want := msg.Headers().Get("Ami-Seq"), fmt.Sprintf("s1:%d", i); got != want {
			t.Fatalf("Ami-Seq = %q, want %q", got, want)
		}
	}
	info, err := js.Stream(t.Context(), streams.EventStream)
	if err != nil {
		t.Fatal(err)
	}
	if n := info.CachedInfo().State.Msgs; n != uint64(events) {
		t.Errorf("the stream holds %d messages, want %d", n, events)
	}
}

// What NATS will never take must not hold up the rest.
func TestPublisher_GivesUpWhatIsTooLarge(t *testing.T) {
	for _, way := range Modes {
		t.Run(way, func(t *testing.T) {
			server := natstest.Start(t, t.TempDir(), 0)
			delivery := config.DeliverJetStream
			if way == modeCore {
				delivery = config.DeliverCore
			}
			b, p := testBench(t, server.ClientURL(), delivery)
			if way == modeWindow {
				windowOnly(p)
			}
			startPublisher(t, p)
			s := b.servers[0]
			for i, size := range []int{10, 2 << 20, 10} {
				s.push(outbox.Entry{Subject: "ami.events.pbx1.Test", Session: "s1", Seq: uint64(i + 1)}, make([]byte, size), false)
			}
			if left := drainWithin(t, b, natstest.Patience); left > 0 {
				t.Fatalf("%d events left", left)
			}
			if a := s.outbox.Account(); a.Published != 2 || a.Dropped[outbox.DropOversize] != 1 {
				t.Errorf("account = %+v, want 2 published and 1 dropped", a)
			}
		})
	}
}

// The stream is the test's own: it is there before the publisher can come back.
func TestPublisher_CoreKeepsEventsWhileNATSIsAway(t *testing.T) {
	dir, port := t.TempDir(), natstest.Port(t)
	nats1 := natstest.Start(t, dir, port)
	url := nats1.ClientURL()
	b, p := testBench(t, url, config.DeliverCore)
	_, js := natstest.Client(t, url)
	config := jetstream.StreamConfig{Name: streams.EventStream, Subjects: []string{"ami.events.>"}}
	if _, err := js.CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	nats1.Shutdown()
	nats1.WaitForShutdown()
	startPublisher(t, p)
	const events = 1000
	pushEvents(b.servers[0], 1, events)
	natstest.Start(t, dir, port)
	if left := drainWithin(t, b, natstest.Patience); left > 0 {
		t.Fatalf("%d events left", left)
	}
	if a := b.servers[0].outbox.Account(); a.Published != events || a.Dropped[outbox.DropOverflow] != 0 {
		t.Errorf("account = %+v, want %d published and none dropped", a, events)
	}
	verifyStream(t, url, events)
}

// A message in the stream says when it was read and where it stands. A Gap has the
// time of the last that is lost, the number 0, and an id of its own.
func TestPublisher_MessagesSayWhenAndWhere(t *testing.T) {
	eachWay(t, func(t *testing.T, keep func(*Publisher)) {
		s := natstest.Serve(t, func(*natsserver.Options) {})
		b, p := testBench(t, s.ClientURL(), config.DeliverJetStream)
		keep(p)
		o, at := b.servers[0].outbox, time.Unix(1000, 123456000)
		o.Push(outbox.Entry{Subject: "ami.events.pbx1.Test", Session: "s1", Seq: 7, At: at.UnixNano()}, []byte("{}"), false)
		o.Refuse(outbox.Entry{Session: "s1", Seq: 8, At: at.Add(time.Second).UnixNano()})
		o.Refuse(outbox.Entry{Session: "s1", Seq: 9, At: at.Add(2 * time.Second).UnixNano()})
		o.PushGap("s2", &outbox.Gap{Reason: "closed", From: at.UnixNano(), To: at.Add(time.Minute).UnixNano(), Unknown: true, Restarted: "no"})
		b.servers[0].source.Ready()
		startPublisher(t, p)
		if left := drainWithin(t, b, natstest.Patience); left > 0 {
			t.Fatalf("%d left", left)
		}
		_, js := natstest.Client(t, s.ClientURL())
		stream, err := js.Stream(t.Context(), streams.EventStream)
		if err != nil {
			t.Fatal(err)
		}
		ids := make(map[string]bool)
		for i, want := range []struct{ subject, seq, at string }{
			{"ami.events.pbx1.Test", "s1:7", clock.Stamp(at)},
			{"ami.events.pbx1.Gap", "s1:0", clock.Stamp(at.Add(2 * time.Second))},
			{"ami.events.pbx1.Gap", "s2:0", clock.Stamp(at.Add(time.Minute))},
		} {
			m, err := stream.GetMsg(t.Context(), uint64(i+1))
			if err != nil {
				t.Fatal(err)
			}
			if m.Subject != want.subject || m.Header.Get("Ami-Seq") != want.seq || m.Header.Get("Ami-Time") != want.at {
				t.Errorf("%s %v, want %+v", m.Subject, m.Header, want)
			}
			ids[m.Header.Get("Nats-Msg-Id")] = true
		}
		if len(ids) != 3 {
			t.Errorf("ids %v", ids)
		}
	})
}

// Without an answer to its ping nothing counts as published.
func TestPublisher_CoreCountsNothingWithoutAnAnswer(t *testing.T) {
	s := natstest.Start(t, t.TempDir(), 0)
	b, p := testBench(t, s.ClientURL(), config.DeliverCore)
	pushEvents(b.servers[0], 1, 3)
	if !p.sendTurn() {
		t.Fatal("nothing was sent")
	}
	b.events.Get().Close()
	if err := p.mode.pause(true); err == nil {
		t.Error("no error")
	}
	if a := b.servers[0].outbox.Account(); a.Published != 0 || a.InFlight != 3 {
		t.Errorf("%+v", a)
	}
}
