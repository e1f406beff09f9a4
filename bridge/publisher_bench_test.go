package bridge

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/fairness"
)

// BenchmarkPublisher compares, with the same payloads, headers and message ids
// on the same stream, the publisher with jetstream.PublishMsgAsync; the ratio
// is how many times as fast the publisher is.
func BenchmarkPublisher(b *testing.B) {
	s, err := natsserver.NewServer(&natsserver.Options{
		Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, JetStream: true, StoreDir: b.TempDir(), NoSigs: true, NoLog: true,
	})
	if err != nil {
		b.Fatal(err)
	}
	s.Start()
	defer s.WaitForShutdown()
	defer s.Shutdown()
	if !s.ReadyForConnections(5 * time.Second) {
		b.Fatal("nats-server is not ready")
	}
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(windowMsgs))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := js.CreateStream(b.Context(), jetstream.StreamConfig{Name: EventStream, Subjects: []string{"ami.events.>"}}); err != nil {
		b.Fatal(err)
	}
	const batch = 20_000
	payload := make([]byte, 600)
	round := 0
	var ours, theirs time.Duration
	for b.Loop() {
		round++
		ours += publishOurs(b, nc, payload, batch, fmt.Sprintf("o%d", round))
		theirs += publishAsync(b, js, payload, batch, fmt.Sprintf("a%d", round))
	}
	b.ReportMetric(float64(round*batch)/ours.Seconds(), "events/s")
	b.ReportMetric(float64(theirs)/float64(ours), "x-PublishMsgAsync")
}

func publishOurs(b *testing.B, nc *nats.Conn, payload []byte, events int, session string) time.Duration {
	b.Helper()
	scheduler := fairness.NewScheduler(schedulerQuantum)
	o := newOutbox(64<<20, "gap", newOutboxBudget(64<<20, 1), func() {})
	scheduler.Ready(scheduler.Add())
	bridge := &Bridge{events: nc, scheduler: scheduler, log: zap.NewNop()}
	bridge.cfg.Node = "test"
	bridge.servers = []*server{{outbox: o}}
	bridge.servers[0].cfg.Name = "pbx1"
	for i := range events {
		o.push(outboxEntry{subject: "ami.events.pbx1.Test", session: session, seq: uint64(i), at: 1}, payload, false)
	}
	p, err := bridge.newPublisher()
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	var group sync.WaitGroup
	began := time.Now()
	group.Go(func() { p.run(ctx) })
	for o.account().published < uint64(events) {
		time.Sleep(time.Millisecond)
	}
	took := time.Since(began)
	cancel()
	group.Wait()
	return took
}

func publishAsync(b *testing.B, js jetstream.JetStream, payload []byte, events int, session string) time.Duration {
	b.Helper()
	began := time.Now()
	for i := range events {
		msg := &nats.Msg{Subject: "ami.events.pbx1.Test", Data: payload, Header: nats.Header{
			"Nats-Msg-Id": {fmt.Sprintf("test.pbx1.%s.%d", session, i)}, "Ami-Seq": {fmt.Sprintf("%s:%d", session, i)},
			"Ami-Time": {"2026-11-23T12:00:00.000000Z"}, "Nats-Expected-Stream": {EventStream},
		}}
		for {
			_, err := js.PublishMsgAsync(msg)
			if err == nil {
				break
			}
		}
	}
	<-js.PublishAsyncComplete()
	return time.Since(began)
}
