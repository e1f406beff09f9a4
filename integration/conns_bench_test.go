//go:build unix

package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
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

// authority signs certificates.
type authority struct {
	pem  []byte
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), cert: cert, key: key}
}

// server is what a server on 127.0.0.1 needs.
func (a *authority) server(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
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
	c := &configured{t: t, path: filepath.Join(t.TempDir(), "conf"), port: reservePort(t), store: t.TempDir()}
	c.write("", "")
	c.start()
	t.Cleanup(c.stop)
	return c
}

func (c *configured) start() {
	c.t.Helper()
	options, err := natsserver.ProcessConfigFile(c.path)
	if err != nil {
		c.t.Fatal(err)
	}
	options.NoSigs, options.NoLog = true, true
	if c.server, err = natsserver.NewServer(options); err != nil {
		c.t.Fatal(err)
	}
	c.server.Start()
	if !c.server.ReadyForConnections(patience) {
		c.t.Fatal("nats-server is not ready")
	}
}

func (c *configured) stop() {
	c.server.Shutdown()
	c.server.WaitForShutdown()
}

// write says what holds for the server, and for the bridge's account.
func (c *configured) write(server, account string) {
	c.t.Helper()
	text := fmt.Sprintf(`listen: "127.0.0.1:%d"
jetstream { store_dir: %q }
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
`, c.port, c.store, server, account)
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
	for _, id := range ownConns(t, s) {
		_ = s.DisconnectClientByID(id) // or it is gone
	}
}

// ownConns are the connections of a bridge.
func ownConns(t *testing.T, s *natsserver.Server) (ids []uint64) {
	t.Helper()
	conns, err := s.Connz(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range conns.Conns {
		if strings.HasPrefix(c.Name, "ami-nats-bridge/") {
			ids = append(ids, c.Cid)
		}
	}
	return ids
}

// run starts the bridge, whose states nc reads.
func (r *ruled) run(t *testing.T, nc *nats.Conn, cfg config.Config) {
	t.Helper()
	core, logs := observer.New(zapcore.InfoLevel)
	r.logs, r.running = logs, startFor(t, zap.New(core), nc, cfg)
}

// logged waits until the log has a line whose error holds text.
func (r *ruled) logged(message, text string) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("the log says %s: %s", message, text), func() bool {
		return r.logs.Filter(func(e observer.LoggedEntry) bool {
			err, _ := e.ContextMap()["error"].(string)
			return e.Message == message && strings.Contains(err, text)
		}).Len() > 0
	})
}
