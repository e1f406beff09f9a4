package bridge

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
)

// connectTimeout bounds one connect to NATS.
const connectTimeout = 2 * time.Second

// Connect connects to NATS as cfg says. It retries for ever once connected,
// also when authentication is refused, and waits between 250 ms and 2 s.
// Whoever calls it closes the connection.
func Connect(cfg Config, name string, opts ...nats.Option) (*nats.Conn, error) {
	return connect(&cfg, newNATSLogin(cfg.NATS, nil, nil), nil, name, opts...)
}

// connect is Connect that logs in by login, and calls before before it does so; nil
// calls nothing.
func connect(cfg *Config, login *natsLogin, before func(), name string, opts ...nats.Option) (*nats.Conn, error) {
	all := []nats.Option{
		nats.Name("ami-nats-bridge/" + cfg.Node + "/" + name),
		nats.MaxReconnects(-1),
		nats.CustomReconnectDelay(reconnectDelay),
		nats.Timeout(connectTimeout),
		nats.PingInterval(10 * time.Second),
		nats.DrainTimeout(5 * time.Second),
		nats.IgnoreAuthErrorAbort(),
		nats.PermissionErrOnSubscribe(true),
		nats.CustomInboxPrefix(inboxPrefix(cfg.Node)),
	}
	credentials, err := login.options(before)
	if err != nil {
		return nil, err
	}
	nc, err := nats.Connect(cfg.NATS.URL, append(append(all, credentials...), opts...)...)
	if _, ok := errors.AsType[*url.Error](err); ok {
		return nil, errors.New("connect to NATS: BRIDGE_NATS_URL has what is no URL") // the error quotes it, password and all
	}
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", cfg.NATS.Mismatch(err))
	}
	return nc, nil
}

// reconnectDelay is the wait before that many'th round over all servers.
func reconnectDelay(attempts int) time.Duration {
	return min(250*time.Millisecond<<min(attempts, 3), 2*time.Second)
}

// inboxPrefix is the inbox of one node, so that permissions can keep others
// from reading or forging what the servers answer it.
func inboxPrefix(node string) string { return "_INBOX_amibridge_" + node }

// Mismatch adds to err, of a connect as c says, what it may mean that a server
// wants the TLS handshake first and the bridge does not, or the other way round.
func (c NATSConfig) Mismatch(err error) error {
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
	return err
}

// flusherTimeout bounds how long one Publish can block on a frozen server.
const flusherTimeout = 2 * time.Second

// newConn returns one of the bridge's own connections, which open begins.
func (b *Bridge) newConn(name string, opts ...nats.Option) *conn {
	c := newConn(name, b.log)
	own := []nats.Option{nats.UseOldRequestStyle()}
	if b.deps.InProcess != nil {
		own = append(own, nats.InProcessServer(b.deps.InProcess))
	}
	c.probe = func(url string) (*nats.Conn, error) {
		cfg := b.cfg
		cfg.NATS.URL = url
		return connect(&cfg, b.natsLogin, nil, name+"/limit", append(own, nats.NoReconnect())...)
	}
	own = append(own, b.handlers(c)...)
	c.login = b.natsLogin.mark
	c.dial = func() (*nats.Conn, error) {
		return connect(&b.cfg, b.natsLogin, c.loggingIn, name, append(own, opts...)...)
	}
	return c
}

// handlers are what nats.go is to do, and to tell, about a nats.Conn of c. It
// comes back although NATS is not there yet: the first connect is retried as well.
func (b *Bridge) handlers(c *conn) []nats.Option {
	connected := func(nc *nats.Conn) {
		c.said.forget()
		if !c.connected() {
			c.log.Info("nats connected", zap.String("url", nc.ConnectedUrlRedacted()))
			return
		}
		c.log.Info("nats connected again", zap.String("url", nc.ConnectedUrlRedacted()))
		b.status.again()
		b.streams.reconnected()
	}
	lost := onDisconnect(c.log)
	notReached := func(err error) {
		err = b.cfg.NATS.Mismatch(err)
		c.log.Log(c.said.level(zap.WarnLevel, err), "nats not reached", zap.Error(err))
	}
	return []nats.Option{
		nats.RetryOnFailedConnect(true),
		nats.FlusherTimeout(flusherTimeout),
		nats.ReconnectOnFlusherError(),
		nats.ConnectHandler(connected),
		nats.ReconnectHandler(connected),
		nats.DisconnectErrHandler(func(nc *nats.Conn, err error) { lost(nc, err); c.changed() }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { notReached(err) }),
		// nats.go tells nobody of what fails behind the dialling: the handshakes.
		nats.CustomReconnectDelay(func(attempts int) time.Duration {
			if l := c.get(); l != nil && l.LastError() != nil {
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
			c.log.Log(level, "nats error", zap.Error(err))
			c.failed(err)
			b.streams.connectionError(err)
			if p := b.publisher.Load(); p != nil {
				p.denied(err)
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
