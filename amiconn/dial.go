package amiconn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// DialFunc opens a connection, as net.Dialer.DialContext does. Tests put an
// in-memory network here.
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// tlsRecord is the most that one write may hold on TLS. Asterisk polls the raw
// descriptor and reads at most 1024 bytes (manager.c get_input), so the rest of
// a larger record waits until more arrives.
const tlsRecord = 1000

// dial connects to the server and, with TLS on, shakes hands and checks the
// certificate's name. The whole takes at most ConnectTimeout, what is before TLS
// at most timeout.
func dial(ctx context.Context, cfg *Config, d DialFunc, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.ConnectTimeout)
	defer cancel()
	dialCtx, answered := context.WithTimeout(ctx, timeout)
	defer answered()
	conn, err := d(dialCtx, "tcp", cfg.Addr)
	if err != nil {
		return nil, &SessionError{ReasonDial, err}
	}
	if !cfg.TLS {
		return conn, nil
	}
	settings, err := tlsSettings(cfg)
	if err != nil {
		conn.Close()
		return nil, &SessionError{ReasonTLS, err}
	}
	secure := tls.Client(conn, settings)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, &SessionError{ReasonTLS, err}
	}
	return secure, nil
}

// tlsSettings trusts the certificates of TLSCaFile, read anew for each
// connection so that they can be renewed in place, or else the system's.
func tlsSettings(cfg *Config) (*tls.Config, error) {
	host, _, err := net.SplitHostPort(cfg.Addr)
	if err != nil {
		return nil, err
	}
	settings := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if cfg.TLSCaFile == "" {
		return settings, nil
	}
	pem, err := os.ReadFile(cfg.TLSCaFile)
	if err != nil {
		return nil, fmt.Errorf("read TLS_CA_FILE: %w", err)
	}
	settings.RootCAs = x509.NewCertPool()
	if !settings.RootCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("TLS_CA_FILE holds no certificate in PEM")
	}
	return settings, nil
}

// deadline returns the earlier of d from now and ctx's own deadline.
func deadline(ctx context.Context, d time.Duration) time.Time {
	at := time.Now().Add(d)
	if own, ok := ctx.Deadline(); ok && own.Before(at) {
		return own
	}
	return at
}
