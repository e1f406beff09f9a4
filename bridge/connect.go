package bridge

import (
	"errors"
	"fmt"
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
	return connect(&cfg, newNATSLogin(cfg.NATS, nil, nil), name, opts...)
}

func connect(cfg *Config, login *natsLogin, name string, opts ...nats.Option) (*nats.Conn, error) {
	all := []nats.Option{
		nats.Name("ami-nats-bridge/" + cfg.Node + "/" + name),
		nats.MaxReconnects(-1),
		nats.CustomReconnectDelay(func(attempts int) time.Duration {
			return min(250*time.Millisecond<<min(attempts, 3), 2*time.Second)
		}),
		nats.Timeout(connectTimeout),
		nats.PingInterval(10 * time.Second),
		nats.DrainTimeout(5 * time.Second),
		nats.IgnoreAuthErrorAbort(),
		nats.PermissionErrOnSubscribe(true),
		nats.CustomInboxPrefix(inboxPrefix(cfg.Node)),
	}
	credentials, err := login.options()
	if err != nil {
		return nil, err
	}
	nc, err := nats.Connect(cfg.NATS.URL, append(append(all, credentials...), opts...)...)
	if _, ok := errors.AsType[*url.Error](err); ok {
		return nil, errors.New("connect to NATS: BRIDGE_NATS_URL has what is no URL") // the error quotes it, password and all
	}
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	return nc, nil
}

// inboxPrefix is the inbox of one node, so that permissions can keep others
// from reading or forging what the servers answer it.
func inboxPrefix(node string) string { return "_INBOX_amibridge_" + node }

// flusherTimeout bounds how long one Publish can block on a frozen server.
const flusherTimeout = 2 * time.Second

// connect opens one of the bridge's own connections. It comes back although
// NATS is not there yet: the first connect is retried as well.
func (b *Bridge) connect(name string, opts ...nats.Option) (*nats.Conn, error) {
	log := b.log.Named("nats").With(zap.String("connection", name))
	handlers := []nats.Option{
		nats.RetryOnFailedConnect(true),
		nats.FlusherTimeout(flusherTimeout),
		nats.ReconnectOnFlusherError(),
		nats.ConnectHandler(func(nc *nats.Conn) { log.Info("nats connected", zap.String("url", nc.ConnectedUrlRedacted())) }),
		nats.DisconnectErrHandler(onDisconnect(log)),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { log.Warn("nats not reached", zap.Error(err)) }),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			log.Info("nats connected again", zap.String("url", nc.ConnectedUrlRedacted()))
			b.status.again()
			b.streams.reconnected()
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Error("nats error", zap.Error(err))
			b.streams.connectionError(err)
			if p := b.publisher.Load(); p != nil {
				p.denied(err)
			}
		}),
	}
	if b.deps.InProcess != nil {
		handlers = append(handlers, nats.InProcessServer(b.deps.InProcess))
	}
	return connect(&b.cfg, b.natsLogin, name, append(handlers, opts...)...)
}

// onDisconnect tells a loss from the end that the bridge itself asked for.
func onDisconnect(log *zap.Logger) nats.ConnErrHandler {
	return func(nc *nats.Conn, err error) {
		if err != nil || !nc.IsClosed() && !nc.IsDraining() {
			log.Warn("nats disconnected", zap.Error(err))
		}
	}
}
