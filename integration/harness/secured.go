package harness

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"regexp"
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
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// Secured is a nats-server with the configuration of deploy/nats.
type Secured struct {
	T      *testing.T
	URL    string
	cert   tls.Certificate // of nats-server and of Asterisk
	CAFile string
}

// SecuredNATS starts one. edit, if not nil, changes the configuration's text.
func SecuredNATS(t *testing.T, edit func(string) string) *Secured {
	t.Helper()
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	s := &Secured{T: t}
	var ca []byte
	var err error
	if s.cert, ca, err = amisim.NewCertificate("127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	s.CAFile = file("ca.pem", ca)
	key, err := x509.MarshalPKCS8PrivateKey(s.cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("NATS_TLS_CERT", file("cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.cert.Certificate[0]})))
	t.Setenv("NATS_TLS_KEY", file("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	t.Setenv("NATS_STORE_DIR", dir)
	for _, user := range []string{"admin", "bridge", "reader", "dialer", "auditor"} {
		t.Setenv("AMI_"+strings.ToUpper(user)+"_PASSWORD", Password(user))
	}
	config := filepath.Join(Root(t), "deploy/nats/ami-bridge.conf")
	if edit != nil {
		text := ReadText(t, config)
		edited := edit(text)
		if edited == text {
			t.Fatal("the configuration does not have what was to be changed")
		}
		config = file("ami-bridge.conf", []byte(edited))
	}
	options := Configuration(t, config)
	s.URL = natstest.Serve(t, func(o *natsserver.Options) {
		*o = *options
		o.Host, o.Port = "127.0.0.1", natsserver.RANDOM_PORT
		o.AuthTimeout, o.TLSTimeout = Patience.Seconds(), Patience.Seconds()
	}).ClientURL()
	return s
}

// Password is that of a user of deploy/nats.
func Password(user string) string { return "pa55-of-" + user }

// Connect returns a connection of user, whose inbox is its own.
func (s *Secured) Connect(user string) *nats.Conn {
	s.T.Helper()
	inbox := "_INBOX_" + user
	switch user {
	case "admin":
		inbox = "_INBOX"
	case "bridge":
		inbox = "_INBOX_amibridge_b1"
	}
	nc, err := nats.Connect(s.URL, nats.UserInfo(user, Password(user)), nats.RootCAs(s.CAFile),
		nats.CustomInboxPrefix(inbox), nats.Timeout(Patience), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		s.T.Fatal(err)
	}
	s.T.Cleanup(nc.Close)
	return nc
}

// Config is that of a bridge which logs in as user bridge, with TLS on both
// sides.
func (s *Secured) Config(addr string) config.Config {
	cfg := config.DefaultConfig()
	cfg.Node, cfg.HTTPAddr, cfg.StatusInterval = "b1", "", 200*time.Millisecond
	cfg.ShutdownTimeout = 2 * Patience
	cfg.NATS = config.NATSConfig{
		URL: s.URL, User: "bridge", Password: setting.Secret(Password("bridge")), TLSCaFile: s.CAFile,
	}
	pbx := Server("pbx1", addr, "bridge", "s3cret")
	pbx.TLS, pbx.TLSCaFile = true, s.CAFile
	cfg.Servers = []config.ServerConfig{pbx}
	cfg.ActionsAllow = setting.Globs{"Command"} // what NATS refuses is not the bridge's doing
	return cfg
}

// Asterisk is a simulated one that speaks TLS.
func (s *Secured) Asterisk() (*amisim.Server, string) {
	s.T.Helper()
	return Sim(s.T, amisim.Config{NotBooted: true, TLS: &tls.Config{Certificates: []tls.Certificate{s.cert}}})
}

// Bridge runs one; the connection that it returns is the admin's.
func (s *Secured) Bridge(changes ...func(*config.ServerConfig)) (*amisim.Server, *Running, *observer.ObservedLogs) {
	s.T.Helper()
	sim, addr := s.Asterisk()
	cfg := s.Config(addr)
	for _, change := range changes {
		change(&cfg.Servers[0])
	}
	core, lines := observer.New(zapcore.DebugLevel)
	return sim, BridgeFor(s.T, zap.New(core), s.Connect("admin"), cfg), lines
}

// As is what user asks of the bridge that r runs.
func (s *Secured) As(r *Running, user string) *Running {
	s.T.Helper()
	return &Running{T: s.T, Client: s.Connect(user)}
}

// refused reports whether nats-server refuses user what do does. It says so
// before it answers the ping of Flush.
func (s *Secured) refused(user string, do func(*nats.Conn) error) bool {
	s.T.Helper()
	nc := s.Connect(user)
	if err := errors.Join(do(nc), nc.Flush()); err != nil {
		s.T.Fatal(err)
	}
	return errors.Is(nc.LastError(), nats.ErrPermissionViolation)
}

// MayPublish wants user to be let, or not, publish into subjects.
func (s *Secured) MayPublish(user string, let bool, subjects ...string) {
	s.T.Helper()
	for _, subject := range subjects {
		if s.refused(user, func(nc *nats.Conn) error { return nc.Publish(subject, []byte("{}")) }) == let {
			s.T.Errorf("%s publishes into %s: %v, want %v", user, subject, !let, let)
		}
	}
}

// MaySubscribe wants user to be let, or not, subscribe to subjects.
func (s *Secured) MaySubscribe(user string, let bool, subjects ...string) {
	s.T.Helper()
	for _, subject := range subjects {
		if s.refused(user, func(nc *nats.Conn) error { _, err := nc.SubscribeSync(subject); return err }) == let {
			s.T.Errorf("%s subscribes to %s: %v, want %v", user, subject, !let, let)
		}
	}
}

// Adding returns what adds to ami-bridge.conf what another file of deploy/nats
// says to add: so many exports of the bridge's account, and an account.
func Adding(t *testing.T, file string, exports int) func(string) string {
	t.Helper()
	extra := ReadText(t, Root(t), "deploy/nats", file)
	all := regexp.MustCompile(`(?m)^#   (\{ .* \})$`).FindAllStringSubmatch(extra, -1)
	if len(all) != exports {
		t.Fatalf("%d exports in %s", len(all), file)
	}
	_, account, ok := strings.Cut(extra, "accounts {\n")
	account = strings.TrimSuffix(strings.TrimSpace(account), "}")
	if !ok {
		t.Fatalf("no accounts in %s", file)
	}
	return func(text string) string {
		for _, export := range all {
			text = strings.Replace(text, "    exports: [\n", "    exports: [\n      "+export[1]+"\n", 1)
		}
		return strings.Replace(text, "accounts {\n", "accounts {\n"+account, 1)
	}
}
