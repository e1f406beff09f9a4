package natstest

import (
	"errors"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Start starts a real nats-server in this process on port, 0 for any.
func Start(t testing.TB, dir string, port int) *natsserver.Server {
	t.Helper()
	return Serve(t, func(o *natsserver.Options) {
		o.StoreDir = dir
		if port != 0 {
			o.Port = port
		}
	})
}

// Serve starts one with options that change may change; nil: none. It ends with the
// test, and until then nobody else is given its port: a test may start another one there.
func Serve(t testing.TB, change func(*natsserver.Options)) *natsserver.Server {
	t.Helper()
	options := &natsserver.Options{
		Host: "127.0.0.1", Port: Port(t), JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
		AuthTimeout: Patience.Seconds(), JetStreamMaxStore: MaxStore,
	}
	if change != nil {
		change(options)
	}
	s := Launch(t, options)
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return s
}

// Launch starts every nats-server of a test's process. Who calls it ends the server.
func Launch(t testing.TB, options *natsserver.Options) *natsserver.Server {
	t.Helper()
	if options.JetStreamMaxStore <= 0 {
		options.JetStreamMaxStore = MaxStore
	}
	s, err := natsserver.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(Patience) {
		t.Fatal("nats-server is not ready")
	}
	return s
}

// MaxStore is how many bytes streams may set aside, unless a test says otherwise.
// nats-server's own choice is what is free on the disk, and no test depends on that.
const MaxStore = 1 << 40

// Client returns a client of the server at url, which is closed with the test.
func Client(t testing.TB, url string) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	nc, err := nats.Connect(url, nats.Timeout(Patience))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(Patience))
	if err != nil {
		t.Fatal(err)
	}
	return nc, js
}

// Patience is how long a test waits for what has to come.
const Patience = 2 * time.Minute

// Within waits until something holds.
func Within(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(Patience); !holds(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: waited in vain", what)
		}
	}
}

// Answer answers, in place of JetStream, what is asked on subject.
func Answer(t testing.TB, nc *nats.Conn, subject string, answer func(*nats.Msg) *nats.Msg) {
	t.Helper()
	_, err := nc.Subscribe(subject, func(m *nats.Msg) { _ = m.RespondMsg(answer(m)) })
	if err := errors.Join(err, nc.Flush()); err != nil {
		t.Fatal(err)
	}
}
