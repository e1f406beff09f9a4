package natsconn

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
)

// Rights that come with a user's JWT are those of a connection from its begin to its
// end (nats-server, client.RegisterUser; those of its configuration follow each
// reload). So where NATS denies something, and there are other credentials by now,
// conn connects again.

// loginEvery is how often it is looked whether another login would do.
const loginEvery = 5 * time.Second

// loginMark tells two logins from one another, and nothing of either.
type loginMark [sha256.Size]byte

// mark is that of a login as the next connect would do it; false while a file
// that it wants cannot be read.
func (l *Login) mark() (m loginMark, ok bool) {
	cfg := l.cfg.Load()
	kinds := cfg.Kinds()
	parts, errs := []string{cfg.User, "", "", "", ""}, make([]error, 4)
	var password, token setting.Secret
	password, errs[0] = cfg.ReadPassword()
	token, errs[1] = cfg.ReadToken()
	parts[1], parts[2] = string(password), string(token)
	if kinds.Creds {
		parts[3], errs[2] = cfg.ReadUserJWT()
	}
	if kinds.Cert {
		var cert []byte
		cert, errs[3] = config.ReadNATSFile("TLS_CERT_FILE", cfg.TLSCertFile, amiconn.MaxCertFile)
		parts[4] = string(cert)
	}
	return sha256.Sum256([]byte(strings.Join(parts, "\x00"))), errors.Join(errs...) == nil
}

// loggingIn notes what the connect that now begins logs in with. nats.go calls it
// with its lock held, so that it must wait for none that is held over a call to
// nats.go, as conn.mu is.
func (c *Conn) loggingIn() {
	if c.o.Login == nil {
		return
	}
	if mark, ok := c.o.Login.mark(); ok {
		c.used.Store(&mark)
	}
}

// outdated reports, once each, that NATS denies something and there is another
// login, which may be granted it. It is for renewLogin.
func (c *Conn) outdated() bool {
	c.mu.Lock()
	denied := c.muted || slices.ContainsFunc(c.subs, func(s *Subscription) bool { return s.denied != nil })
	c.mu.Unlock()
	if !denied || c.o.Login == nil {
		return false
	}
	used := c.used.Load()
	mark, ok := c.o.Login.mark()
	// Whoever logs in meanwhile has noted what is newer.
	return ok && (used == nil || mark != *used) && c.used.CompareAndSwap(used, &mark)
}

// renewLogin connects again when that may be granted what was denied, until ctx ends.
func (c *Conn) renewLogin(ctx context.Context) {
	for pause(ctx, loginEvery) {
		if c.Up() && c.outdated() {
			c.o.Log.Info("nats connection made anew: something was denied, and its credentials are other ones now")
			_ = c.Get().ForceReconnect() // or it is closed for good, and made anew anyway
		}
	}
}
