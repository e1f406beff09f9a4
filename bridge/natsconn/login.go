package natsconn

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
)

// Login is what the next connect to NATS goes by. Files are read anew for
// each. It is safe for concurrent use.
type Login struct {
	cfg   atomic.Pointer[config.NATSConfig] // never changed, only replaced
	learn func(setting.Secret)              // told each secret that is read; may be nil
	log   *zap.Logger

	password, token lastSecret
}

// lastSecret is the last one that a file had: nats.go takes no error in place
// of a password.
type lastSecret struct{ atomic.Value }

// NewLogin returns the credentials of cfg. learn gets each secret that is read, before
// it is used.
func NewLogin(cfg config.NATSConfig, learn func(setting.Secret), log *zap.Logger) *Login {
	l := &Login{learn: learn, log: log}
	l.cfg.Store(&cfg)
	return l
}

// Config is what the next connect goes by.
func (l *Login) Config() *config.NATSConfig { return l.cfg.Load() }

// Renew makes the next connects go by cfg. What kinds of credentials there are
// stays as it was: nats.go takes them once.
func (l *Login) Renew(cfg config.NATSConfig) {
	if l.cfg.Load().Kinds() == cfg.Kinds() {
		l.cfg.Store(&cfg)
	}
}

// options returns how to log in; before is called before each login reads what it
// goes by, and may be nil. An error is that of a file which cannot be read now.
func (l *Login) options(before func()) ([]nats.Option, error) {
	if before == nil {
		before = func() {}
	}
	cfg := l.cfg.Load()
	kinds := cfg.Kinds()
	var opts []nats.Option
	if kinds.Creds {
		if err := cfg.CheckCreds(); err != nil {
			return nil, err
		}
		opts = append(opts, nats.UserJWT(
			func() (string, error) { before(); return l.cfg.Load().ReadUserJWT() },
			func(nonce []byte) ([]byte, error) { return l.cfg.Load().Sign(nonce) }))
	}
	if kinds.User {
		if _, err := cfg.ReadPassword(); err != nil {
			return nil, err
		}
		opts = append(opts, nats.UserInfoHandler(func() (string, string) {
			before()
			cfg := l.cfg.Load()
			return cfg.User, l.secret(&l.password, cfg.ReadPassword)
		}))
	}
	if kinds.Token && !strings.Contains(cfg.URL, "@") { // what a URL has goes first
		if _, err := cfg.ReadToken(); err != nil {
			return nil, err
		}
		opts = append(opts, nats.TokenHandler(func() string { before(); return l.secret(&l.token, l.cfg.Load().ReadToken) }))
	}
	if cfg.TLSFirst {
		opts = append(opts, nats.TLSHandshakeFirst())
	}
	if !kinds.CA && !kinds.Cert {
		return opts, nil
	}
	var certificate nats.TLSCertHandler
	var authorities nats.RootCAsHandler
	if kinds.Cert {
		certificate = func() (tls.Certificate, error) { before(); return l.cfg.Load().ReadCertificate() }
	}
	if kinds.CA {
		authorities = func() (*x509.CertPool, error) { return l.cfg.Load().ReadAuthorities() }
	}
	return append(opts, nats.ClientTLSConfig(certificate, authorities)), nil
}

// secret reads a secret that may be in a file. If it cannot be read now, the
// last one is tried.
func (l *Login) secret(last *lastSecret, read func() (setting.Secret, error)) string {
	secret, err := read()
	if err != nil {
		if l.log != nil {
			l.log.Error("secret not read: the one before is tried", zap.Error(err))
		}
		secret, _ = last.Load().(setting.Secret)
		return string(secret)
	}
	if l.learn != nil {
		l.learn(secret)
	}
	last.Store(secret)
	return string(secret)
}
