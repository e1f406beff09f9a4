package amiconn

import (
	"context"
	"net"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/internal/socket"
)

// DialFunc opens a connection, as net.Dialer.DialContext does. Tests put an
// in-memory network here.
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// tlsRecord is the most that one write may hold on TLS. Asterisk polls the raw
// descriptor and reads at most 1024 bytes (manager.c get_input), so the rest of
// a larger record waits until more arrives.
const tlsRecord = 1000

// dial connects to the server and, with TLS on, shakes hands and checks the
// certificate. The whole takes at most ConnectTimeout, what is before TLS at most
// timeout.
func dial(ctx context.Context, cfg *Config, d DialFunc, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.ConnectTimeout)
	defer cancel()
	dialCtx, answered := context.WithTimeout(ctx, timeout)
	defer answered()
	conn, err := d(dialCtx, "tcp", cfg.Addr)
	if err != nil {
		return nil, &SessionError{ReasonDial, err}
	}
	conn = socket.Of(conn)
	if !cfg.TLS {
		return conn, nil
	}
	secure, err := handshake(ctx, conn, cfg)
	if err != nil {
		conn.Close()
		return nil, &SessionError{ReasonTLS, err}
	}
	return secure, nil
}

// deadline returns the earlier of d from now and ctx's own deadline.
func deadline(ctx context.Context, d time.Duration) time.Time {
	at := time.Now().Add(d)
	if own, ok := ctx.Deadline(); ok && own.Before(at) {
		return own
	}
	return at
}
