//go:build unix

package conns

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// saying is a way to a server on which words are put into its mouth.
type saying struct {
	addr string

	mu      sync.Mutex // protects the following, and is held while one is written to
	clients map[net.Conn]bool
}

func startSaying(t *testing.T, target string) *saying {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &saying{addr: listener.Addr().String(), clients: map[net.Conn]bool{}}
	var group sync.WaitGroup
	t.Cleanup(func() {
		listener.Close()
		s.mu.Lock()
		for c := range s.clients {
			c.Close()
		}
		s.mu.Unlock()
		group.Wait()
	})
	group.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				client.Close()
				continue
			}
			s.mu.Lock()
			s.clients[client] = true
			s.mu.Unlock()
			group.Go(func() { _, _ = io.Copy(server, client); server.Close() })
			group.Go(func() { _, _ = io.Copy(&said{s, client}, server); client.Close() })
		}
	})
	return s
}

// said writes to a client, whole writes only.
type said struct {
	s *saying
	c net.Conn
}

func (w *said) Write(b []byte) (int, error) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	return w.c.Write(b)
}

// say has every client hear text from its server.
func (s *saying) say(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.clients {
		if _, err := io.WriteString(c, text); err != nil {
			delete(s.clients, c)
		}
	}
}

// configured is a nats-server with a configuration file. The user reader is of an
// account that sees all that the bridge's has.
type configured struct {
	t      *testing.T
	path   string
	port   int
	store  string
	server *natsserver.Server
}

func newConfigured(t *testing.T) *configured {
	t.Helper()
	c := &configured{t: t, path: filepath.Join(t.TempDir(), "conf"), port: harness.Port(t), store: t.TempDir()}
	c.write("", "")
	c.start()
	t.Cleanup(c.stop)
	return c
}

func (c *configured) start() {
	c.t.Helper()
	c.server = natstest.Launch(c.t, harness.Configuration(c.t, c.path))
}

func (c *configured) stop() {
	c.server.Shutdown()
	c.server.WaitForShutdown()
}

// write says what holds for the server, and for the bridge's account.
func (c *configured) write(server, account string) {
	c.t.Helper()
	text := fmt.Sprintf(`listen: "127.0.0.1:%d"
jetstream { store_dir: %q, max_file_store: %d }
%s
accounts {
  AMI {
    jetstream: enabled
    users: [ { user: bridge, password: b } ]
    limits: { %s }
    exports: [ { stream: ">" }, { service: "ami.actions.>", response_type: stream } , { service: "$JS.API.>", response_type: stream } ]
  }
  READERS {
    users: [ { user: reader, password: r } ]
    imports: [
      { stream: { account: AMI, subject: "ami.status.>" } }, { stream: { account: AMI, subject: "ami.nodes.>" } }
      { service: { account: AMI, subject: "ami.actions.>" } }
    ]
  }
}
`, c.port, c.store, natstest.MaxStore, server, account)
	if err := os.WriteFile(c.path, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func (c *configured) reload(server, account string) {
	c.t.Helper()
	c.write(server, account)
	if err := c.server.Reload(); err != nil {
		c.t.Fatal(err)
	}
}

// restart is reload for what nats-server reloads with a data race of its own:
// max_control_line (2.15.2, maxControlLineOption.Apply).
func (c *configured) restart(server, account string) {
	c.t.Helper()
	c.stop()
	c.write(server, account)
	c.start()
}

// cut ends every connection of a bridge.
func cut(t *testing.T, s *natsserver.Server) {
	t.Helper()
	for _, id := range harness.OwnConns(t, s) {
		_ = s.DisconnectClientByID(id) // or it is gone
	}
}

// run starts the bridge, whose states nc reads.
func (r *ruled) run(t *testing.T, nc *nats.Conn, cfg config.Config) {
	// nats-server 2.15.2 reads its options without a lock for a direct get (stream.go,
	// getDirectRequest), by which the state is read: the race detector tells of a reload
	// in this process beside one.
	cfg.State, cfg.NATS.RenewEvery = false, renewEvery
	t.Helper()
	core, logs := observer.New(zapcore.InfoLevel)
	r.logs, r.Running = logs, harness.BridgeFor(t, zap.New(core), nc, cfg)
}

// logged waits until the log has a line whose error holds text.
func (r *ruled) logged(message, text string) {
	r.T.Helper()
	harness.Eventually(r.T, fmt.Sprintf("the log says %s: %s", message, text), func() bool {
		return r.logs.Filter(func(e observer.LoggedEntry) bool {
			err, _ := e.ContextMap()["error"].(string)
			return e.Message == message && strings.Contains(err, text)
		}).Len() > 0
	})
}
