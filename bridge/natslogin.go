package bridge

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
)

// natsLogin is what the next connect to NATS goes by. Files are read anew for
// each. It is safe for concurrent use.
type natsLogin struct {
	cfg   atomic.Pointer[NATSConfig] // never changed, only replaced
	learn func(amiconn.Secret)       // told each secret that is read; may be nil
	log   *zap.Logger

	password, token lastSecret
}

// lastSecret is the last one that a file had: nats.go takes no error in place
// of a password.
type lastSecret struct{ atomic.Value }

func newNATSLogin(cfg NATSConfig, learn func(amiconn.Secret), log *zap.Logger) *natsLogin {
	l := &natsLogin{learn: learn, log: log}
	l.cfg.Store(&cfg)
	return l
}

// renew makes the next connects go by cfg. What kinds of credentials there are
// stays as it was: nats.go is told once.
func (l *natsLogin) renew(cfg NATSConfig) {
	if l.cfg.Load().Kinds() == cfg.Kinds() {
		l.cfg.Store(&cfg)
	}
}

// NATSKinds says which kinds of credentials there are.
type NATSKinds struct{ Creds, User, Token, CA, Cert bool }

// Kinds returns the kinds of c's credentials.
func (c NATSConfig) Kinds() NATSKinds {
	return NATSKinds{
		Creds: c.CredsFile != "", User: c.User != "", Token: c.Token != "" || c.TokenFile != "",
		CA: c.TLSCaFile != "", Cert: c.TLSCertFile != "",
	}
}

// options returns how to log in; before is called before each login reads what it
// goes by, and may be nil. An error is that of a file which cannot be read now.
func (l *natsLogin) options(before func()) ([]nats.Option, error) {
	if before == nil {
		before = func() {}
	}
	cfg := l.cfg.Load()
	kinds := cfg.Kinds()
	var opts []nats.Option
	if kinds.Creds {
		if err := l.checkCreds(); err != nil {
			return nil, err
		}
		opts = append(opts, nats.UserJWT(func() (string, error) { before(); return l.userJWT() }, l.sign))
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
		if _, err := cfg.token(); err != nil {
			return nil, err
		}
		opts = append(opts, nats.TokenHandler(func() string { before(); return l.secret(&l.token, l.cfg.Load().token) }))
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
		certificate = func() (tls.Certificate, error) { before(); return l.cfg.Load().certificate() }
	}
	if kinds.CA {
		authorities = func() (*x509.CertPool, error) { return l.cfg.Load().authorities() }
	}
	return append(opts, nats.ClientTLSConfig(certificate, authorities)), nil
}

// secret reads a secret that may be in a file. If it is not to be had now, the
// last one is tried.
func (l *natsLogin) secret(last *lastSecret, read func() (amiconn.Secret, error)) string {
	secret, err := read()
	if err != nil {
		if l.log != nil {
			l.log.Error("secret not read: the one before is tried", zap.Error(err))
		}
		secret, _ = last.Load().(amiconn.Secret)
		return string(secret)
	}
	if l.learn != nil {
		l.learn(secret)
	}
	last.Store(secret)
	return string(secret)
}

func (l *natsLogin) userJWT() (string, error) {
	content, err := l.cfg.Load().credentials()
	if err != nil {
		return "", err
	}
	jwt, err := nkeys.ParseDecoratedJWT(content)
	if err != nil {
		return "", errors.New("BRIDGE_NATS_CREDS_FILE: its file holds no user's JWT")
	}
	return jwt, nil
}

func (l *natsLogin) sign(nonce []byte) ([]byte, error) {
	content, err := l.cfg.Load().credentials()
	if err != nil {
		return nil, err
	}
	pair, err := nkeys.ParseDecoratedNKey(content)
	if err != nil {
		return nil, errors.New("BRIDGE_NATS_CREDS_FILE: its file holds no key")
	}
	defer pair.Wipe()
	return pair.Sign(nonce)
}

// checkCreds returns what is wrong with the credentials file now.
func (l *natsLogin) checkCreds() error {
	if _, err := l.userJWT(); err != nil {
		return err
	}
	_, err := l.sign(nil)
	return err
}

func (c *NATSConfig) credentials() ([]byte, error) {
	content, err := readNATSFile("CREDS_FILE", c.CredsFile, amiconn.MaxSecretFile)
	return amiconn.TrimMark(content), err
}

// ReadPassword returns the password as it is now, in its file if one is named.
func (c *NATSConfig) ReadPassword() (amiconn.Secret, error) {
	return secretOr(c.Password, "BRIDGE_NATS_PASSWORD_FILE", c.PasswordFile)
}

func (c *NATSConfig) token() (amiconn.Secret, error) {
	return secretOr(c.Token, "BRIDGE_NATS_TOKEN_FILE", c.TokenFile)
}

// secretOr returns secret, or what its file has now if one is named.
func secretOr(secret amiconn.Secret, variable, file string) (amiconn.Secret, error) {
	if file == "" {
		return secret, nil
	}
	secret, err := amiconn.ReadSecretFile(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", variable, err)
	}
	return secret, nil
}

func (c *NATSConfig) certificate() (pair tls.Certificate, err error) {
	cert, err := readNATSFile("TLS_CERT_FILE", c.TLSCertFile, amiconn.MaxCertFile)
	if err != nil {
		return pair, err
	}
	key, err := readNATSFile("TLS_KEY_FILE", c.TLSKeyFile, amiconn.MaxSecretFile)
	if err != nil {
		return pair, err
	}
	if pair, err = tls.X509KeyPair(cert, key); err != nil {
		return pair, fmt.Errorf("BRIDGE_NATS_TLS_CERT_FILE and BRIDGE_NATS_TLS_KEY_FILE: %w", err)
	}
	return pair, nil
}

func (c *NATSConfig) authorities() (*x509.CertPool, error) {
	pem, err := readNATSFile("TLS_CA_FILE", c.TLSCaFile, amiconn.MaxCertFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("BRIDGE_NATS_TLS_CA_FILE: its file holds no certificate in PEM")
	}
	return pool, nil
}

func readNATSFile(setting, name string, limit amiconn.Bytes) ([]byte, error) {
	content, err := amiconn.ReadFile(name, limit)
	if err != nil {
		return nil, fmt.Errorf("BRIDGE_NATS_%s: its file cannot be read: %w", setting, err)
	}
	return content, nil
}

// TLS returns what the files that c names say of TLS now; nil if it names none.
func (c NATSConfig) TLS() (*tls.Config, error) {
	kinds := c.Kinds()
	if !kinds.CA && !kinds.Cert {
		return nil, nil
	}
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	var err error
	if kinds.CA {
		if settings.RootCAs, err = c.authorities(); err != nil {
			return nil, err
		}
	}
	if kinds.Cert {
		pair, err := c.certificate()
		if err != nil {
			return nil, err
		}
		settings.Certificates = []tls.Certificate{pair}
	}
	return settings, nil
}

// CheckFiles returns what is wrong with the files that c names, one error each.
func (c *NATSConfig) CheckFiles() []error {
	login, kinds := newNATSLogin(*c, nil, nil), c.Kinds()
	var problems []error
	check := func(wanted bool, read func() error) {
		if wanted {
			if err := read(); err != nil {
				problems = append(problems, err)
			}
		}
	}
	check(c.PasswordFile != "" && c.Password == "", func() error { _, err := c.ReadPassword(); return err })
	check(c.TokenFile != "" && c.Token == "", func() error { _, err := c.token(); return err })
	check(kinds.CA, func() error { _, err := c.authorities(); return err })
	check(kinds.Cert && c.TLSKeyFile != "", func() error { _, err := c.certificate(); return err })
	check(kinds.Creds, login.checkCreds)
	return problems
}
