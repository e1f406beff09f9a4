package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/redact"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/logging"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

const patience = time.Minute

// simulate runs a simulated Asterisk on an address of its own.
func simulate(t *testing.T, cfg amisim.Config) (*amisim.Server, string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg.WriteTimeout = cmp.Or(cfg.WriteTimeout, patience)
	sim := amisim.New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { _ = sim.Serve(ctx, listener) })
	t.Cleanup(func() { cancel(); group.Wait() })
	return sim, listener.Addr().String()
}

// guardedNATS runs a nats-server that wants a user and a password.
func guardedNATS(t *testing.T, password string) (addr string) {
	t.Helper()
	return natstest.Serve(t, func(o *server.Options) { o.Username, o.Password = "u", password }).Addr().String()
}

func dialNATS(t *testing.T, url string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url, nats.Timeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// idleReloader is never asked to read the settings again.
func idleReloader() *reloader {
	return &reloader{redactor: logging.NewRedactor(redact.Options{}), level: zap.NewAtomicLevel()}
}

// serving runs serve; the function that it returns ends it.
func serving(t *testing.T, s *env.Settings, log *zap.Logger, sink *logging.Output) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	var ended error
	group.Go(func() { ended = serve(ctx, s, log, sink.Lost, idleReloader()) })
	stop = sync.OnceFunc(func() {
		cancel()
		group.Wait()
		if ended != nil {
			t.Error("serve:", ended)
		}
	})
	t.Cleanup(stop)
	return stop
}

// With the log's reader stuck the bridge does its work as with a good one: every
// event comes while nobody reads. Two rates are no proof, as the machine may have
// been busy during one of them.
func TestSink_EventsFlowWhileNobodyReadsTheLog(t *testing.T) {
	read := measure(t, func(r io.Reader, _ <-chan struct{}) string { return slurp(r) }, false)
	stuck := measure(t, func(r io.Reader, go_ <-chan struct{}) string { <-go_; return slurp(r) }, true)
	t.Logf("%.0f events/s with a reader, %.0f without: ratio %.2f", read, stuck, stuck/read)
}

func slurp(r io.Reader) string {
	text, _ := io.ReadAll(r)
	return string(text)
}

// measure runs a bridge whose log goes to a pipe, and returns how many events a
// second came through while lines are logged at debug level all the time.
func measure(t *testing.T, reader func(r io.Reader, mayRead <-chan struct{}) string, stuck bool) (rate float64) {
	const events = 10_000
	sim, addr := simulate(t, amisim.Config{Users: map[string]string{"bridge": envtest.Canary}, NotBooted: true, WriteTimeout: patience})
	natsAddr := guardedNATS(t, "p")
	s := load(t, envtest.One("BRIDGE_SERVER_PBX1_ADDR="+addr, "BRIDGE_HTTP_ADDR=", "BRIDGE_NATS_URL=nats://u:p@"+natsAddr,
		"BRIDGE_STREAM_MAX_BYTES=256MiB", "BRIDGE_LOG_LEVEL=debug", "BRIDGE_AMI_MAX_FRAME_BYTES=4KiB",
		"BRIDGE_STATUS_INTERVAL=100ms", "BRIDGE_NODE=n1")...)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	mayRead, text := make(chan struct{}), make(chan string, 1)
	go func() { text <- reader(r, mayRead); r.Close() }()
	log, sink := logging.New(w, logging.JSON, s.LogLevel, newRedactor(s))
	stop := serving(t, s, log, sink)
	if err := sim.WaitEventSessions(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	nc := dialNATS(t, "nats://u:p@"+natsAddr)
	ticks, nodes := subscribe(t, nc, "ami.events.pbx1.Tick"), subscribe(t, nc, "ami.nodes.n1")
	ctx, quiet := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		pad := strings.Repeat("x", 1<<10)
		for ctx.Err() == nil {
			log.Debug("line", zap.String("text", pad))
			runtime.Gosched()
		}
	})
	large := strings.Repeat("x", 5<<10)
	began := time.Now()
	for i := range events {
		sim.Emit("Event", "Tick")
		if i%10 == 0 { // a line of the log that the session's own reader writes
			sim.Emit("Event", fmt.Sprint("Big", i), "Pad", large)
		}
		if i%100 == 99 { // no more on the way than amisim holds
			for range 100 {
				next(t, ticks)
			}
		}
	}
	rate = events / time.Since(began).Seconds()
	if stuck {
		until(t, "lines are lost", func() bool { return sink.Lost() >= 100 })
	}
	quiet()
	group.Wait()
	if stuck && toldByTheNode(t, nodes, sink) < 100 {
		t.Error("few lines were lost: the log is not stuck")
	}
	close(mayRead)
	stop()
	if err := sink.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.Close()
	checkLossLines(t, <-text, sink.Lost())
	return rate
}

func subscribe(t *testing.T, nc *nats.Conn, subject string) *nats.Subscription {
	t.Helper()
	sub, err := nc.SubscribeSync(subject)
	if err == nil {
		err = errors.Join(sub.SetPendingLimits(-1, -1), nc.Flush())
	}
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

func next(t *testing.T, sub *nats.Subscription) *nats.Msg {
	t.Helper()
	msg, err := sub.NextMsg(patience)
	if err != nil {
		t.Fatalf("%s: %v", sub.Subject, err)
	}
	return msg
}

// toldByTheNode waits until ami.nodes tells of all lines that are lost.
func toldByTheNode(t *testing.T, nodes *nats.Subscription, sink *logging.Output) uint64 {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		var node struct {
			Lost uint64 `json:"log_lines_lost"`
		}
		if err := json.Unmarshal(next(t, nodes).Data, &node); err != nil {
			t.Fatal(err)
		}
		if node.Lost > 0 && node.Lost == sink.Lost() {
			return node.Lost
		}
	}
	t.Fatal("timeout: the node does not tell of the lost lines")
	return 0
}

// checkLossLines wants each lost line to be told, with the reason.
func checkLossLines(t *testing.T, text string, lost uint64) {
	t.Helper()
	told := 0
	for scan := bufio.NewScanner(strings.NewReader(text)); scan.Scan(); {
		var l struct {
			Msg, Reason string
			Count       int
		}
		if err := json.Unmarshal(scan.Bytes(), &l); err != nil {
			t.Fatalf("%q: %v", scan.Text(), err)
		}
		if l.Msg == "log lines lost" {
			told += l.Count
			if l.Reason != "the log's reader was too slow" {
				t.Errorf("reason %q", l.Reason)
			}
		}
	}
	if uint64(told) != lost {
		t.Errorf("the log tells of %d lost lines, %d were", told, lost)
	}
}
