package delivery

import (
	"fmt"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// Whoever comes alone does not wait.
func TestLinger_TheFirstGoesAtOnce(t *testing.T) {
	b, p := testBench(t, natstest.Start(t, t.TempDir(), 0).ClientURL(), config.DeliverJetStream)
	p.linger = time.Hour
	startPublisher(t, p)
	b.servers[0].push(outbox.Entry{Subject: "ami.events.pbx1.Test", Session: "s1", Seq: 1}, []byte(`{}`), false)
	drainWithin(t, b, natstest.Patience)
}

// What comes while the publisher lingers goes out together: nothing is stored before the
// last of it has come.
func TestLinger_EventsGoOutTogether(t *testing.T) {
	const events, apart, linger, tries = 4, 50 * time.Millisecond, time.Second, 5
	for try := 1; ; try++ {
		server := natstest.Start(t, t.TempDir(), 0)
		b, p := testBench(t, server.ClientURL(), config.DeliverJetStream)
		p.linger = linger
		startPublisher(t, p)
		s := b.servers[0]
		push := func(n int) {
			s.push(outbox.Entry{Subject: "ami.events.pbx1.Test", Session: "s1", Seq: uint64(n)}, []byte(`{}`), false)
		}
		push(0)
		drainWithin(t, b, natstest.Patience) // it has begun, and waits for more
		began := time.Now()
		tick := time.NewTicker(apart)
		for i := range events {
			push(i + 1)
			if i < events-1 {
				<-tick.C // they come one by one
			}
		}
		tick.Stop()
		last := time.Now()
		messages := storedEvents(t, server.ClientURL())
		_, err := messages.Next()
		if err != nil {
			t.Fatal(err)
		}
		m, err := messages.Next()
		if err != nil {
			t.Fatal(err)
		}
		meta, err := m.Metadata()
		if err != nil {
			t.Fatal(err)
		}
		switch early := last.Sub(meta.Timestamp); {
		case early <= 0:
			return
		case try == tries: // before, the machine had no time for it
			t.Fatalf("the first was stored %v before the last came, %v after it", early, last.Sub(began))
		}
	}
}

// Many that go out together have one acknowledgement, and are stored in order: so it is of the second
// burst and of the third, which are batches of their own, and of those behind pauses.
func TestLinger_ABurstHasOneAcknowledgement(t *testing.T) {
	const linger, burst, bursts = 100 * time.Millisecond, 60, 12
	server := natstest.Start(t, t.TempDir(), 0)
	b, p := testBench(t, server.ClientURL(), config.DeliverJetStream)
	p.linger = linger
	startPublisher(t, p)
	s, n := b.servers[0], uint64(0)
	push := func(most int) {
		for range most {
			n++
			s.push(outbox.Entry{Subject: "ami.events.pbx1.Test", Session: "s1", Seq: n}, []byte(`{}`), false)
		}
		drainWithin(t, b, natstest.Patience)
	}
	push(burst) // of it the first goes at once
	push(burst)
	before := p.nc.Stats().InMsgs
	for range bursts {
		push(burst)
	}
	if heard := p.nc.Stats().InMsgs - before; heard > bursts*burst/4 {
		t.Errorf("%d acknowledgements of %d bursts of %d events", heard, bursts, burst)
	}
	push(1)
	push(3)
	messages := storedEvents(t, server.ClientURL())
	for i := range n {
		m, err := messages.Next()
		if err != nil {
			t.Fatal(err)
		}
		if seq, want := m.Headers().Get("Ami-Seq"), fmt.Sprint("s1:", i+1); seq != want {
			t.Fatalf("%s is stored, want %s", seq, want)
		}
	}
}

// Bursts that follow each other are one batch, of two servers in turn too: so many have fewer
// acknowledgements than there are bursts, are stored in order, and the last of all is
// acknowledged though nothing comes behind it.
func TestLinger_BurstsShareAnAcknowledgement(t *testing.T) {
	const linger, burst, bursts, tries = 50 * time.Millisecond, 25, 40, 5
	server := natstest.Start(t, t.TempDir(), 0)
	cfg := config.DefaultConfig()
	cfg.NATS.URL = server.ClientURL()
	b, p := newBench(t, cfg, "pbx1", "pbx2")
	p.linger = linger
	startPublisher(t, p)
	n := make([]uint64, len(b.servers))
	push := func(i, events int) {
		for range events {
			n[i]++
			b.servers[i].push(outbox.Entry{Subject: "ami.events." + b.servers[i].source.Name + ".Test", Session: "s1", Seq: n[i]}, []byte(`{}`), false)
		}
	}
	begun := func() bool { // as a stream of events is: all but a few of what was pushed has gone
		a, c := b.servers[0].outbox.Account(), b.servers[1].outbox.Account()
		return a.Queued+c.Queued <= 2
	}
	push(0, 2*burst)
	natstest.Within(t, "it begins", begun)
	for try := 1; ; try++ {
		before := p.nc.Stats().InMsgs
		for i := range bursts {
			push(i/4%2, burst)
			natstest.Within(t, "a burst", begun)
		}
		heard := p.nc.Stats().InMsgs - before
		if heard < bursts {
			break
		}
		if try == tries { // before, the machine stood still between bursts
			t.Fatalf("%d acknowledgements of %d bursts of %d events", heard, bursts, burst)
		}
	}
	if left := drainWithin(t, b, natstest.Patience); left > 0 {
		t.Fatalf("%d events are not acknowledged", left)
	}
	for _, s := range b.servers {
		if resent := s.outbox.Account().Resent; resent > 0 {
			t.Errorf("%d events were sent again", resent)
		}
	}
	messages, seen := storedEvents(t, server.ClientURL()), map[string]uint64{}
	for range n[0] + n[1] {
		m, err := messages.Next()
		if err != nil {
			t.Fatal(err)
		}
		seen[m.Subject()]++
		if seq, want := m.Headers().Get("Ami-Seq"), fmt.Sprint("s1:", seen[m.Subject()]); seq != want {
			t.Fatalf("%s of %s is stored, want %s", seq, m.Subject(), want)
		}
	}
}

// What is kept goes out as soon as anything does: another server that always has more does not
// have it wait.
func TestLinger_WhatIsKeptGoesWithOthers(t *testing.T) {
	cfg := config.DefaultConfig()
	cfg.NATS.URL = natstest.Start(t, t.TempDir(), 0).ClientURL()
	b, p := newBench(t, cfg, "pbx1", "pbx2")
	p.linger = time.Hour
	p.fast.backlogged = true // so that the batch is one of many events
	push := func(i, from, to int) {
		for n := from; n <= to; n++ {
			b.servers[i].push(outbox.Entry{Subject: "ami.events.pbx.Test", Session: "s1", Seq: uint64(n)}, []byte(`{}`), false)
		}
	}
	push(0, 1, 20)
	for p.sendTurn() {
	}
	if n := b.servers[0].outbox.Account().Queued; n != 1 {
		t.Fatalf("%d events are kept", n)
	}
	push(1, 1, 1000)
	p.sendTurn()
	p.sendTurn()
	if n := b.servers[1].outbox.Account().Queued; n == 0 {
		t.Fatal("the other has no more")
	}
	if n := b.servers[0].outbox.Account().Queued; n != 0 {
		t.Errorf("%d events are kept yet", n)
	}
}
