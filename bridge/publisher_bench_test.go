package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/fairness"
)

// BenchmarkPublisher compares, with the same payloads, headers and message ids
// on the same stream, the publisher with jetstream.PublishMsgAsync and with the
// least that fast ingest takes; the ratios are how many times as fast the
// publisher is.
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
	if _, err := js.CreateStream(b.Context(), jetstream.StreamConfig{Name: EventStream, Subjects: []string{"ami.events.>"}, AllowBatchPublish: true}); err != nil {
		b.Fatal(err)
	}
	const batch = 20_000
	payload := make([]byte, 600)
	round := 0
	var ours, theirs, bare time.Duration
	for b.Loop() {
		round++
		ours += publishOurs(b, nc, payload, batch, fmt.Sprintf("o%d", round))
		bare += publishBare(b, nc, payload, batch, fmt.Sprintf("b%d", round))
		theirs += publishAsync(b, js, payload, batch, fmt.Sprintf("a%d", round))
	}
	b.ReportMetric(float64(round*batch)/ours.Seconds(), "events/s")
	b.ReportMetric(float64(theirs)/float64(ours), "x-PublishMsgAsync")
	b.ReportMetric(float64(bare)/float64(ours), "x-bare-fast-ingest")
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

// publishBare is fast ingest with nothing around it: one batch, one message that
// is used again and again, ids that are there already, at the flow that the
// server takes at most.
func publishBare(b *testing.B, nc *nats.Conn, payload []byte, events int, session string) time.Duration {
	b.Helper()
	const flow = 500
	var acked atomic.Uint64
	moved := make(chan struct{}, 1)
	inbox := nc.NewInbox()
	sub, err := nc.Subscribe(inbox+".>", func(m *nats.Msg) {
		var reply struct {
			Type   string
			Seq    uint64
			Stream string
			Count  uint64
		}
		if json.Unmarshal(m.Data, &reply) != nil {
			return
		}
		if reply.Type == "ack" {
			acked.Store(reply.Seq)
		} else if reply.Stream != "" {
			acked.Store(reply.Count)
		}
		select {
		case moved <- struct{}{}:
		default:
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	defer sub.Unsubscribe()
	ids, seqs := make([]string, events), make([]string, events)
	for i := range events {
		ids[i], seqs[i] = fmt.Sprintf("test.pbx1.%s.%d", session, i), fmt.Sprintf("%s:%d", session, i)
	}
	msg := nats.NewMsg("ami.events.pbx1.Test")
	msg.Data = payload
	msg.Header = nats.Header{"Nats-Msg-Id": {""}, "Ami-Seq": {""},
		"Ami-Time": {"2026-11-23T12:00:00.000000Z"}, "Nats-Expected-Stream": {EventStream}}
	began := time.Now()
	for i := range events {
		for uint64(i) > acked.Load()+4*flow {
			<-moved
		}
		op := 1
		switch i {
		case 0:
			op = 0
		case events - 1:
			op = 2
		}
		msg.Header["Nats-Msg-Id"][0], msg.Header["Ami-Seq"][0] = ids[i], seqs[i]
		msg.Reply = inbox + "." + session + ".500.fail." + strconv.Itoa(i+1) + "." + strconv.Itoa(op) + ".$FI"
		if err := nc.PublishMsg(msg); err != nil {
			b.Fatal(err)
		}
	}
	for acked.Load() < uint64(events) {
		<-moved
	}
	return time.Since(began)
}
