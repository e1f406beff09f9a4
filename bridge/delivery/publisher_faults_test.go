package delivery

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// startPublisher starts p and ends it with the test.
func startPublisher(t *testing.T, p *Publisher) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { p.Run(ctx) })
	t.Cleanup(func() { cancel(); group.Wait() })
}

func pushEvents(s *benchServer, from, to int) {
	for i := from; i <= to; i++ {
		s.push(outbox.Entry{Subject: "ami.events." + s.name + ".Test", Session: "s1", Seq: uint64(i), At: 1},
			fmt.Appendf(nil, `{"n":"%d"}`, i), false)
	}
}

// drainWithin waits until every outbox is empty and returns how many events were
// left at the end of d.
func drainWithin(t *testing.T, b *bench, d time.Duration) uint64 {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(d); b.left() > 0 && time.Now().Before(deadline); {
		<-ticker.C
	}
	return b.left()
}

// awaitResent waits until something of s was sent once more.
func awaitResent(t *testing.T, s *benchServer) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(natstest.Patience); s.outbox.Account().Resent == 0; <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatal("what was refused was not tried again")
		}
	}
}

// eachWay runs f for both ways into a stream. What f is given keeps a publisher
// to one.
func eachWay(t *testing.T, f func(t *testing.T, keep func(*Publisher))) {
	for mode, keep := range map[string]func(*Publisher){modeFast: func(*Publisher) {}, modeWindow: windowOnly} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel() // most wait for NATS
			f(t, keep)
		})
	}
}

// windowOnly is for a server without fast ingest.
func windowOnly(p *Publisher) {
	p.fast = nil
	p.use(p.windowed, errNoFastIngest)
}

// Whoever subscribes to events sees the reply subject and may answer there;
// only the stream's own acknowledgement makes an event published.
func TestPublisher_TakesOnlyTheStreamsAcknowledgement(t *testing.T) {
	for _, answer := range []string{"+OK", `{"stream":"OTHER","seq":1}`, `{"type":"ack","seq":100000,"msgs":1}`} {
		eachWay(t, func(t *testing.T, keep func(*Publisher)) {
			s := natstest.Serve(t, func(*natsserver.Options) {})
			b, p := testBench(t, s.ClientURL(), config.DeliverJetStream)
			keep(p)
			nc, js := natstest.Client(t, s.ClientURL())
			if err := js.DeleteStream(t.Context(), streams.EventStream); err != nil {
				t.Fatal(err)
			}
			answered := make(chan struct{}, 1)
			if _, err := nc.Subscribe("ami.events.>", func(m *nats.Msg) {
				_ = m.Respond([]byte(answer))
				_ = nc.Flush()
				select {
				case answered <- struct{}{}:
				default:
				}
			}); err != nil {
				t.Fatal(err)
			}
			if err := nc.Flush(); err != nil {
				t.Fatal(err)
			}
			startPublisher(t, p)
			pushEvents(b.servers[0], 1, 10)
			select {
			case <-answered:
			case <-time.After(natstest.Patience):
				t.Fatal("nothing was published")
			}
			drainWithin(t, b, 300*time.Millisecond)
			if a := b.servers[0].outbox.Account(); a.Published != 0 {
				t.Errorf("%d events count as published on a stranger's word: no stream holds them", a.Published)
			}
		})
	}
}

// What a stranger answers, sooner than the stream, changes nothing.
func TestPublisher_IgnoresStrangersAnswers(t *testing.T) {
	eachWay(t, func(t *testing.T, keep func(*Publisher)) {
		s := natstest.Serve(t, func(*natsserver.Options) {})
		b, p := testBench(t, s.ClientURL(), config.DeliverJetStream)
		keep(p)
		nc, _ := natstest.Client(t, s.ClientURL())
		for _, answer := range []string{"+OK", ""} {
			if _, err := nc.Subscribe("ami.events.>", func(m *nats.Msg) { _ = m.Respond([]byte(answer)) }); err != nil {
				t.Fatal(err)
			}
		}
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
		startPublisher(t, p)
		pushEvents(b.servers[0], 1, 5000)
		if left := drainWithin(t, b, natstest.Patience); left > 0 {
			t.Errorf("%d of 5000 events are left beside a subscriber that answers", left)
		}
	})
}

// twoServers is testBridge with two servers, logged in to NATS as user.
func twoServers(t *testing.T, url, user string) (*bench, *Publisher) {
	t.Helper()
	cfg := config.DefaultConfig()
	cfg.NATS.URL, cfg.NATS.User, cfg.NATS.Password = url, user, "p"
	return newBench(t, cfg, "pbx1", "pbx2")
}

// What NATS refuses of one server does not hold up another.
func TestPublisher_OneServersRefusalLeavesOthersAlone(t *testing.T) {
	eachWay(t, func(t *testing.T, keep func(*Publisher)) {
		s := natstest.Serve(t, func(o *natsserver.Options) {
			o.Users = []*natsserver.User{{Username: "bridge", Password: "p", Permissions: &natsserver.Permissions{
				Publish: &natsserver.SubjectPermission{Allow: []string{">"}, Deny: []string{"ami.events.pbx2.>"}},
			}}}
		})
		b, p := twoServers(t, s.ClientURL(), "bridge")
		keep(p)
		pushEvents(b.servers[1], 1, 5000) // refused by permission: no acknowledgement ever
		p.window.timeout = time.Hour      // whoever waits for pbx2 to be given up waits too long
		startPublisher(t, p)
		awaitResent(t, b.servers[1])
		pushEvents(b.servers[0], 1, 5000)
		// Only pbx1's: the refused ones stay, which is the point.
		if left := drainWithin(t, &bench{servers: b.servers[:1]}, natstest.Patience); left > 0 {
			t.Errorf("%d of pbx1's 5000 events are left beside a refused pbx2", left)
		}
		if a := b.servers[1].outbox.Account(); a.Published != 0 {
			t.Errorf("%d refused events count as published", a.Published)
		}
	})
}

// A flush that succeeds on a new connection says nothing about the old one.
func TestPublisher_CoreCountsNothingAcrossAReconnect(t *testing.T) {
	s := natstest.Serve(t, func(*natsserver.Options) {})
	b, p := testBench(t, s.ClientURL(), config.DeliverCore)
	srv := b.servers[0]
	pushEvents(srv, 1, 1)
	e, payload, _, _ := srv.outbox.Take(nil)
	p.payload = payload
	p.send(0, e)
	again := b.events.Get().StatusChanged(nats.CONNECTED)
	if err := b.events.Get().ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	<-again
	if err := p.mode.pause(true); err == nil {
		t.Errorf("an event sent on a connection that is gone counts as published: %+v", srv.outbox.Account())
	}
}

// A reconnect that goes by within a turn, unseen, has lost what was sent before
// it: nothing may be sent behind it.
func TestPublisher_SendsNothingPastAReconnectThatItHasNotSeen(t *testing.T) {
	s := natstest.Serve(t, func(*natsserver.Options) {})
	b, p := testBench(t, s.ClientURL(), config.DeliverJetStream)
	srv := b.servers[0]
	pushEvents(srv, 1, 2)
	for n := range 2 {
		e, payload, _, _ := srv.outbox.Take(nil)
		p.payload = payload
		p.send(0, e)
		if failure, _ := p.window.state(0); (failure != nil) != (n == 1) {
			t.Errorf("event %d was sent with %v", n+1, failure)
		}
		again := b.events.Get().StatusChanged(nats.CONNECTED)
		if err := b.events.Get().ForceReconnect(); err != nil {
			t.Fatal(err)
		}
		<-again
	}
}

// Reconnects at any moment, quick ones too, do not change the order.
func TestPublisher_KeepsOrderThroughQuickReconnects(t *testing.T) {
	eachWay(t, func(t *testing.T, keep func(*Publisher)) {
		s := natstest.Serve(t, func(*natsserver.Options) {})
		b, p := testBench(t, s.ClientURL(), config.DeliverJetStream)
		keep(p)
		startPublisher(t, p)
		const events = 60_000
		for i := 1; i <= events; i += 2000 {
			pushEvents(b.servers[0], i, i+1999)
			_ = b.events.Get().ForceReconnect()
		}
		if left := drainWithin(t, b, natstest.Patience); left > 0 {
			t.Fatalf("%d left", left)
		}
		verifyStream(t, s.ClientURL(), events)
	})
}

// A stream made while its events wait gets them in order, although it appears
// between two of a burst.
func TestPublisher_KeepsOrderWhenTheStreamAppears(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, keep func(*Publisher)) {
		s := natstest.Serve(t, func(*natsserver.Options) {})
		b, p := testBench(t, s.ClientURL(), config.DeliverJetStream)
		keep(p)
		p.window.timeout = time.Second // the test waits for two: somebody listens, so that nobody says 503
		_, js := natstest.Client(t, s.ClientURL())
		info, err := js.Stream(t.Context(), streams.EventStream)
		if err != nil {
			t.Fatal(err)
		}
		const events = 20_000
		pushEvents(b.servers[0], 1, events)
		if err := js.DeleteStream(t.Context(), streams.EventStream); err != nil {
			t.Fatal(err)
		}
		_, js2 := natstest.Client(t, s.ClientURL())
		nc, _ := natstest.Client(t, s.ClientURL())
		sub, err := nc.SubscribeSync("ami.events.>")
		if err != nil {
			t.Fatal(err)
		}
		_ = nc.Flush()
		startPublisher(t, p)
		for range 2 { // the second attempt's first event
			for first := true; first; {
				m, err := sub.NextMsg(natstest.Patience)
				if err != nil {
					t.Fatal(err)
				}
				first = string(m.Data) != `{"n":"1"}`
			}
		}
		config := info.CachedInfo().Config
		if _, err := js2.CreateStream(t.Context(), config); err != nil {
			t.Fatal(err)
		}
		if left := drainWithin(t, b, natstest.Patience); left > 0 {
			t.Fatalf("%d left", left)
		}
		verifyStream(t, s.ClientURL(), events)
	})
}

// A turn that ends as the server's part of the window fills up leaves the server to be woken.
func TestPublisher_FullLaneIsMadeReadyAgain(t *testing.T) {
	o := outbox.New(1<<20, "gap", outbox.NewBudget(1<<20, 1), func() {})
	var readied []int
	w := windowOf(func(source int) { readied = append(readied, source) }, o)
	for range sourceMsgs {
		o.Push(outbox.Entry{}, nil, false)
		o.Take(nil)
		w.add(0, 100, time.Now())
	}
	if w.open(0) {
		t.Fatal("a full part is open")
	}
	w.ack(0, 0)
	if len(readied) != 1 {
		t.Errorf("made ready %d times, want once", len(readied))
	}
}
