package harness

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Patience is how long a test waits for what has to come. The machine may be
// busy with other things.
const Patience = time.Minute

// NATS starts a nats-server with JetStream and returns its address.
func NATS(t testing.TB) string {
	t.Helper()
	return natstest.Serve(t, nil).ClientURL()
}

// NATSOf is a nats-server that runs until the test ends, with a configuration of
// this text.
func NATSOf(t testing.TB, text string) *natsserver.Server {
	t.Helper()
	s := natstest.Launch(t, Configuration(t, write(t, text)))
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return s
}

// Configuration reads the configuration file of a nats-server in this process.
func Configuration(t testing.TB, path string) *natsserver.Options {
	t.Helper()
	options, err := natsserver.ProcessConfigFile(path)
	if err != nil {
		t.Fatal(err)
	}
	options.NoSigs, options.NoLog = true, true
	if options.JetStreamMaxStore <= 0 { // a reload must not change it
		options.JetStreamMaxStore = natstest.MaxStore
	}
	return options
}

// write writes a configuration file and returns its path.
func write(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Client returns a client of the server at url.
func Client(t testing.TB, url string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url, nats.Timeout(Patience))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// EnableJetStream has s serve JetStream from now on.
func EnableJetStream(t testing.TB, s *natsserver.Server) {
	t.Helper()
	if err := s.EnableJetStream(&natsserver.JetStreamConfig{StoreDir: t.TempDir(), MaxMemory: 1 << 30, MaxStore: natstest.MaxStore}); err != nil {
		t.Fatal(err)
	}
	if err := s.GlobalAccount().EnableJetStream(nil, nil); err != nil {
		t.Fatal(err)
	}
}

// JetStream is the JetStream of nc.
func JetStream(t testing.TB, nc *nats.Conn) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(Patience))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// Denied is a right for all but these subjects.
func Denied(subjects ...string) *natsserver.SubjectPermission {
	return &natsserver.SubjectPermission{Deny: subjects}
}

// AnswerIn is how long a request may wait before it is taken for lost.
const AnswerIn = 10 * time.Second
