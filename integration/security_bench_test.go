package integration

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
)

const permissionsFile = "../deploy/nats/ami-bridge.conf"

// secured is a nats-server with the configuration of deploy/nats.
type secured struct {
	t      *testing.T
	url    string
	cert   tls.Certificate // of nats-server and of Asterisk
	caFile string
}

// securedNATS starts one. edit, if not nil, changes the configuration's text.
func securedNATS(t *testing.T, edit func(string) string) *secured {
	t.Helper()
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	s := &secured{t: t}
	var ca []byte
	var err error
	if s.cert, ca, err = amisim.NewCertificate("127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	s.caFile = file("ca.pem", ca)
	key, err := x509.MarshalPKCS8PrivateKey(s.cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("NATS_TLS_CERT", file("cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.cert.Certificate[0]})))
	t.Setenv("NATS_TLS_KEY", file("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	t.Setenv("NATS_STORE_DIR", dir)
	for _, user := range []string{"admin", "bridge", "reader", "dialer", "auditor"} {
		t.Setenv("AMI_"+strings.ToUpper(user)+"_PASSWORD", password(user))
	}
	config := permissionsFile
	if edit != nil {
		text, err := os.ReadFile(permissionsFile)
		if err != nil {
			t.Fatal(err)
		}
		edited := edit(string(text))
		if edited == string(text) {
			t.Fatal("the configuration does not have what was to be changed")
		}
		config = file("ami-bridge.conf", []byte(edited))
	}
	options, err := natsserver.ProcessConfigFile(config)
	if err != nil {
		t.Fatal(err)
	}
	s.url = natsInProcess(t, func(o *natsserver.Options) {
		*o = *options
		o.Host, o.Port, o.NoSigs, o.NoLog = "127.0.0.1", natsserver.RANDOM_PORT, true, true
		o.AuthTimeout, o.TLSTimeout = patience.Seconds(), patience.Seconds()
	}).ClientURL()
	return s
}

func password(user string) string { return "pa55-of-" + user }

// connect returns a connection of user, whose inbox is its own.
func (s *secured) connect(user string) *nats.Conn {
	s.t.Helper()
	inbox := "_INBOX_" + user
	switch user {
	case "admin":
		inbox = "_INBOX"
	case "bridge":
		inbox = "_INBOX_amibridge_b1"
	}
	nc, err := nats.Connect(s.url, nats.UserInfo(user, password(user)), nats.RootCAs(s.caFile),
		nats.CustomInboxPrefix(inbox), nats.Timeout(patience), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(nc.Close)
	return nc
}

// config is that of a bridge which logs in as user bridge, with TLS on both
// sides.
func (s *secured) config(addr string) config.Config {
	cfg := config.DefaultConfig()
	cfg.Node, cfg.HTTPAddr, cfg.StatusInterval = "b1", "", 200*time.Millisecond
	cfg.ShutdownTimeout = 2 * patience
	cfg.NATS = config.NATSConfig{
		URL: s.url, User: "bridge", Password: setting.Secret(password("bridge")), TLSCaFile: s.caFile,
	}
	pbx := server("pbx1", addr, "bridge", "s3cret")
	pbx.TLS, pbx.TLSCaFile = true, s.caFile
	cfg.Servers = []config.ServerConfig{pbx}
	cfg.ActionsAllow = setting.Globs{"Command"} // what NATS refuses is not the bridge's doing
	return cfg
}

// asterisk is a simulated one that speaks TLS.
func (s *secured) asterisk() (*amisim.Server, string) {
	s.t.Helper()
	return startSim(s.t, amisim.Config{NotBooted: true, TLS: &tls.Config{Certificates: []tls.Certificate{s.cert}}})
}

// bridge runs one; the connection that it returns is the admin's.
func (s *secured) bridge() (*amisim.Server, *running, *observer.ObservedLogs) {
	s.t.Helper()
	sim, addr := s.asterisk()
	core, lines := observer.New(zapcore.DebugLevel)
	return sim, startFor(s.t, zap.New(core), s.connect("admin"), s.config(addr)), lines
}

// as is what user asks of the bridge that r runs.
func (s *secured) as(r *running, user string) *running {
	s.t.Helper()
	return &running{t: s.t, nc: s.connect(user)}
}

// refused reports whether nats-server refuses user what do does. It says so
// before it answers the ping of Flush.
func (s *secured) refused(user string, do func(*nats.Conn) error) bool {
	s.t.Helper()
	nc := s.connect(user)
	if err := errors.Join(do(nc), nc.Flush()); err != nil {
		s.t.Fatal(err)
	}
	return errors.Is(nc.LastError(), nats.ErrPermissionViolation)
}

// mayPublish wants user to be let, or not, publish into subjects.
func (s *secured) mayPublish(user string, let bool, subjects ...string) {
	s.t.Helper()
	for _, subject := range subjects {
		if s.refused(user, func(nc *nats.Conn) error { return nc.Publish(subject, []byte("{}")) }) == let {
			s.t.Errorf("%s publishes into %s: %v, want %v", user, subject, !let, let)
		}
	}
}

// maySubscribe wants user to be let, or not, subscribe to subjects.
func (s *secured) maySubscribe(user string, let bool, subjects ...string) {
	s.t.Helper()
	for _, subject := range subjects {
		if s.refused(user, func(nc *nats.Conn) error { _, err := nc.SubscribeSync(subject); return err }) == let {
			s.t.Errorf("%s subscribes to %s: %v, want %v", user, subject, !let, let)
		}
	}
}
