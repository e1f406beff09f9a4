package natsconn

import (
	"cmp"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/socket"
)

// ConnectTimeout bounds one connect to NATS.
const ConnectTimeout = 2 * time.Second

// Connect connects to NATS as cfg says. It retries for ever once connected,
// also when authentication is refused, and waits between 250 ms and 2 s. A
// nats.ReconnectErrHandler among opts is told of that, too: nats.go tells it of the
// dialling alone, and nobody of what fails behind that, the handshakes.
// Whoever calls it closes the connection.
func Connect(cfg config.Config, name string, opts ...nats.Option) (*nats.Conn, error) {
	conn := new(atomic.Pointer[nats.Conn])
	delay := func(attempts int) time.Duration {
		if nc := conn.Load(); nc != nil && nc.Opts.ReconnectErrCB != nil {
			if err := nc.LastError(); err != nil {
				nc.Opts.ReconnectErrCB(nc, err)
			}
		}
		return reconnectDelay(attempts)
	}
	nc, err := connect(&cfg, NewLogin(cfg.NATS, nil, nil), nil, name, append([]nats.Option{nats.CustomReconnectDelay(delay)}, opts...)...)
	conn.Store(nc)
	return nc, err
}

// connect is Connect that logs in by login, and calls before before it does so; nil
// calls nothing.
func connect(cfg *config.Config, login *Login, before func(), name string, opts ...nats.Option) (*nats.Conn, error) {
	all := []nats.Option{
		nats.Name("ami-nats-bridge/" + cfg.Node + "/" + name),
		nats.MaxReconnects(-1),
		nats.CustomReconnectDelay(reconnectDelay),
		nats.Timeout(ConnectTimeout),
		nats.PingInterval(10 * time.Second),
		nats.DrainTimeout(5 * time.Second),
		nats.IgnoreAuthErrorAbort(),
		nats.PermissionErrOnSubscribe(true),
		nats.CustomInboxPrefix(InboxPrefix(cfg.Node)),
	}
	credentials, err := login.options(before)
	if err != nil {
		return nil, err
	}
	nc, err := nats.Connect(cfg.NATS.URL, append(append(all, credentials...), opts...)...)
	if _, ok := errors.AsType[*url.Error](err); ok {
		return nil, errors.New("connect to NATS: a part of BRIDGE_NATS_URL is not a URL") // the error quotes it, password and all
	}
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", Mismatch(cfg.NATS, err))
	}
	return nc, nil
}

// reconnectDelay is the wait before that many'th round over all servers.
func reconnectDelay(attempts int) time.Duration {
	return min(250*time.Millisecond<<min(attempts, 3), 2*time.Second)
}

// InboxPrefix is the inbox of one node, so that permissions can keep others
// from reading or forging what the servers answer it.
func InboxPrefix(node string) string { return "_INBOX_amibridge_" + node }

// Inbox returns a new subject below the node's own inbox.
func (c *Conn) Inbox() string { return InboxPrefix(c.o.Config.Node) + "." + rand.Text() }

// Mismatch adds to err, of a connect as c has it, what it may mean: that a server
// wants the TLS handshake first and the bridge does not, or the other way round, or what the
// user's JWT says.
func Mismatch(c config.NATSConfig, err error) error {
	var record tls.RecordHeaderError
	timeout, isTimeout := errors.AsType[net.Error](err)
	switch {
	case err == nil:
		return nil
	case bool(c.TLSFirst) && errors.As(err, &record):
		return fmt.Errorf("%w: the server does not begin with TLS: set BRIDGE_NATS_TLS_FIRST=off, or handshake_first at the server", err)
	case !bool(c.TLSFirst) && (isTimeout && timeout.Timeout() || errors.Is(err, nats.ErrTimeout)):
		return fmt.Errorf("%w: the server says nothing: if it wants TLS first (handshake_first), set BRIDGE_NATS_TLS_FIRST=on", err)
	}
	if errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) {
		if claims := c.UserJWT(); claims != nil {
			return fmt.Errorf("%w: the JWT in BRIDGE_NATS_CREDS_FILE%s", err, whyRefused(claims, time.Now()))
		}
	}
	return err
}

// flusherTimeout bounds how long one Publish can block on a frozen server.
const flusherTimeout = 2 * time.Second

// dial begins to connect, and returns at once although NATS is not there.
func (c *Conn) dial() (*nats.Conn, error) {
	return connect(c.o.Config, c.o.Login, c.loggingIn, c.o.Name, slices.Concat(c.ours(), c.handlers(), c.o.Own)...)
}

// connectOnce connects once more, only to read what the server at address says.
func (c *Conn) connectOnce(address string) (*nats.Conn, error) {
	cfg := *c.o.Config
	user, name := c.likeOthers(address)
	if server := atHost(address); server != nil && server.User == nil {
		server.User = user
		address = server.String()
	}
	cfg.NATS.URL = address
	return connect(&cfg, c.o.Login, nil, c.o.Name+"/limit", append(c.ours(), nats.NoReconnect(), certified(name))...)
}

// likeOthers is what nats.go uses for a server of which NATS has told: the user of the one that was
// connected then, for its own list leaves users out; and, where the address is an IP, the name by
// which that one was known, which stands in the certificates of a cluster.
func (c *Conn) likeOthers(address string) (user *url.Userinfo, name string) {
	known := append([]string{c.Get().ConnectedUrl()}, strings.Split(c.o.Config.NATS.URL, ",")...)
	at := atHost(address)
	for _, text := range known {
		u := atHost(text)
		if u == nil {
			continue
		}
		user = cmp.Or(user, u.User)
		if name == "" && at != nil && net.ParseIP(at.Hostname()) != nil && net.ParseIP(u.Hostname()) == nil {
			name = u.Hostname()
		}
	}
	return user, name
}

// atHost is the URL of a server as nats.go reads it, nil if it is none.
func atHost(text string) *url.URL {
	text = strings.TrimSpace(text)
	if !strings.Contains(text, "://") {
		text = "nats://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return nil
	}
	return u
}

// certified has the server's certificate be one of name; empty: of the host in its URL.
func certified(name string) nats.Option {
	return func(o *nats.Options) error {
		if name == "" {
			return nil
		}
		if o.TLSConfig == nil {
			o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		o.TLSConfig.ServerName = name
		return nil
	}
}

// Dialer opens connections for nats.go.
type Dialer struct{}

// Dial opens one.
func (Dialer) Dial(network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: ConnectTimeout}
	conn, err := d.Dial(network, addr)
	if err != nil {
		return nil, err
	}
	return socket.Of(conn), nil
}

func (c *Conn) ours() []nats.Option {
	all := []nats.Option{nats.UseOldRequestStyle(), nats.SetCustomDialer(Dialer{})}
	if c.o.InProcess != nil {
		all = append(all, nats.InProcessServer(c.o.InProcess))
	}
	return all
}

// handlers are what nats.go is to do, and to tell. It comes back although NATS is
// not there yet: the first connect is retried as well.
func (c *Conn) handlers() []nats.Option {
	connected := func(nc *nats.Conn) {
		c.said.forget()
		if !c.onConnected() {
			c.o.Log.Info("nats connected", zap.String("url", nc.ConnectedUrlRedacted()))
			return
		}
		c.o.Log.Info("nats connected again", zap.String("url", nc.ConnectedUrlRedacted()))
		for _, f := range c.reconnects {
			f()
		}
	}
	disconnected := onDisconnect(c.o.Log)
	notReached := func(err error) {
		cfg := c.o.Config.NATS
		if c.o.Login != nil {
			cfg = *c.o.Login.Config()
		}
		err = Mismatch(cfg, err)
		c.o.Log.Log(c.said.level(zap.WarnLevel, err), "nats not reached", zap.Error(err))
	}
	return []nats.Option{
		nats.RetryOnFailedConnect(true),
		nats.FlusherTimeout(flusherTimeout),
		nats.ReconnectOnFlusherError(),
		nats.ConnectHandler(connected),
		nats.ReconnectHandler(connected),
		nats.DisconnectErrHandler(func(nc *nats.Conn, err error) { disconnected(nc, err); c.endQuestions(); c.changed() }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { notReached(err) }),
		// nats.go tells nobody of what fails behind the dialling: the handshakes.
		nats.CustomReconnectDelay(func(attempts int) time.Duration {
			if l := c.Get(); l != nil && l.LastError() != nil {
				notReached(l.LastError())
			}
			return reconnectDelay(attempts)
		}),
		nats.ClosedHandler(c.ended),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			level := zap.ErrorLevel
			if errors.Is(err, nats.ErrPermissionViolation) { // which comes again with each try
				level = c.said.level(level, err)
			}
			c.o.Log.Log(level, "nats error", zap.Error(err))
			c.Failed(err)
			for _, f := range c.errors {
				f(err)
			}
		}),
	}
}

// onDisconnect tells a loss from the end that the bridge itself asked for.
func onDisconnect(log *zap.Logger) nats.ConnErrHandler {
	return func(nc *nats.Conn, err error) {
		if err != nil || !nc.IsClosed() && !nc.IsDraining() {
			log.Warn("nats disconnected", zap.Error(err))
		}
	}
}
