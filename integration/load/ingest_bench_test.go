package load

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

const (
	ingestEvents = 30_000
	ingestRounds = 9
)

// BenchmarkIngest prints how fast the events that a busy Asterisk sent are
// acknowledged by JetStream: from the socket through the bridge, beside the least
// that fast ingest takes with the same payloads and ids in memory already, and
// beside jetstream.PublishMsgAsync with these. They take turns; each ratio is the
// median of the rounds.
func BenchmarkIngest(b *testing.B) {
	nats := natstest.Serve(b, nil)
	sim, addr := harness.Sim(b, amisim.Config{NotBooted: true, WriteTimeout: time.Minute})
	r := harness.Bridge(b, nats.ClientURL(), harness.ChaosConfig, harness.ChaosServer("pbx1", addr))
	nc := harness.Client(b, nats.ClientURL())
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(2000))
	if err != nil {
		b.Fatal(err)
	}
	wire, payloads := busyPayloads(b)
	published := 0.0
	throughBridge := func(int) {
		published += ingestEvents
		sim.EmitRaw(wire)
		every := time.NewTicker(5 * time.Millisecond)
		defer every.Stop()
		for r.Metric("events_published_total") < published {
			<-every.C
		}
	}
	bare := func(round int) { bareFastIngest(b, nc, payloads, fmt.Sprintf("bare%d", round)) }
	async := func(round int) { publishAsync(b, js, payloads, fmt.Sprintf("async%d", round)) }
	ways := []func(int){throughBridge, bare, async}
	took := make([][]time.Duration, len(ways))
	for round := range ingestRounds {
		for i := range ways {
			i = (i + round) % len(ways)
			began := time.Now()
			ways[i](round)
			took[i] = append(took[i], time.Since(began))
		}
	}
	if n := r.Metric("events_dropped_total"); n > 0 {
		b.Errorf("%v events were dropped", n)
	}
	rate := func(i int) float64 { return ingestEvents / middle(took[i]).Seconds() }
	b.Logf("%d events of %d bytes on average, median of %d rounds", ingestEvents, len(wire)/ingestEvents, ingestRounds)
	b.Logf("socket to acknowledged, ami-nats-bridge %8.0f events/s", rate(0))
	b.Logf("fast ingest from memory                 %8.0f events/s", rate(1))
	b.Logf("jetstream.PublishMsgAsync from memory   %8.0f events/s", rate(2))
	for b.Loop() {
		continue
	}
	b.ReportMetric(rate(0)/rate(1), "x-fast-ingest")
	b.ReportMetric(rate(0)/rate(2), "x-PublishMsgAsync")
}

func middle(all []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(all))[len(all)/2]
}

// busyPayloads are ingestEvents events of a busy Asterisk, and what the bridge
// makes of each.
func busyPayloads(tb testing.TB) (wire []byte, payloads [][]byte) {
	tb.Helper()
	for n := 0; n < ingestEvents; {
		for frame := range bytes.SplitAfterSeq(busyEvents(tb), []byte("\r\n\r\n")) {
			if n == ingestEvents || len(frame) == 0 || bytes.Contains(frame, []byte("ActionID")) {
				continue
			}
			wire = append(wire, frame...)
			n++
		}
	}
	payloads, err := payloadsOf(wire)
	if err != nil {
		tb.Fatal(err)
	}
	return wire, payloads
}

// payloadsOf is what the bridge makes of the events of wire.
func payloadsOf(wire []byte) (payloads [][]byte, err error) {
	reader := frames.NewReader(bytes.NewReader(wire), 1<<20)
	for {
		f, err := reader.Next()
		switch {
		case errors.Is(err, io.EOF):
			return payloads, nil
		case err != nil:
			return nil, err
		}
		payload, _ := frames.AppendJSON(nil, f, frames.UTF8)
		payloads = append(payloads, payload)
	}
}

// ingestMsg is a message as the bridge publishes it.
func ingestMsg() *nats.Msg {
	return &nats.Msg{Subject: "ami.events.pbx1.Newexten", Header: nats.Header{
		"Nats-Msg-Id": {""}, "Ami-Seq": {""}, "Ami-Time": {"2026-11-24T12:00:00.000000Z"},
		"Nats-Expected-Stream": {streams.EventStream},
	}}
}

// bareFastIngest is fast ingest with nothing around it: one batch, one message
// that is used again and again, the flow that the server allows at most.
func bareFastIngest(tb testing.TB, nc *nats.Conn, payloads [][]byte, batch string) {
	const flow, outstanding = 500, 4
	var acked atomic.Uint64
	moved := make(chan struct{}, 1)
	inbox := nc.NewInbox()
	sub, err := nc.Subscribe(inbox+".>", func(m *nats.Msg) {
		var reply struct {
			Type       string
			Seq, Count uint64
		}
		switch err := json.Unmarshal(m.Data, &reply); {
		case err != nil:
			tb.Error(err)
		case reply.Type == "ack":
			acked.Store(reply.Seq)
		default:
			acked.Store(reply.Count)
		}
		select {
		case moved <- struct{}{}:
		default:
		}
	})
	if err != nil {
		tb.Fatal(err)
	}
	defer sub.Unsubscribe()
	ids, seqs, prefix := make([]string, len(payloads)), make([]string, len(payloads)), inbox+"."+batch+".500.fail."
	for i := range payloads {
		ids[i], seqs[i] = "b1.pbx1."+batch+"."+strconv.Itoa(i), batch+":"+strconv.Itoa(i+1)
	}
	msg := ingestMsg()
	for i, payload := range payloads {
		for uint64(i) > acked.Load()+outstanding*flow {
			<-moved
		}
		op := ".1.$FI"
		switch i {
		case 0:
			op = ".0.$FI"
		case len(payloads) - 1:
			op = ".2.$FI"
		}
		msg.Header["Nats-Msg-Id"][0], msg.Header["Ami-Seq"][0] = ids[i], seqs[i]
		msg.Data, msg.Reply = payload, prefix+strconv.Itoa(i+1)+op
		if err := nc.PublishMsg(msg); err != nil {
			tb.Fatal(err)
		}
	}
	for acked.Load() < uint64(len(payloads)) {
		<-moved
	}
}

func publishAsync(tb testing.TB, js jetstream.JetStream, payloads [][]byte, batch string) {
	for i, payload := range payloads {
		id := "b1.pbx1." + batch + "." + strconv.Itoa(i)
		msg := ingestMsg()
		msg.Header["Nats-Msg-Id"][0], msg.Header["Ami-Seq"][0], msg.Data = id, id, payload
		for {
			_, err := js.PublishMsgAsync(msg)
			if err == nil {
				break
			}
			if !errors.Is(err, jetstream.ErrTooManyStalledMsgs) {
				tb.Fatal(err)
			}
		}
	}
	<-js.PublishAsyncComplete()
}
