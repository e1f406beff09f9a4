package amiconn

import (
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
)

// Renew makes the next logins go by what cfg says of user, secret and TLS; all
// else of cfg is ignored. No session that is up is touched. It reports whether
// something differs from what was said before.
func (l *Link) Renew(cfg Config) bool {
	before := l.login.Load()
	next := *before
	next.Username, next.Secret, next.SecretFile = cfg.Username, cfg.Secret, cfg.SecretFile
	next.TLSCaFile, next.TLSServerName, next.TLSPinSha256 = cfg.TLSCaFile, cfg.TLSServerName, cfg.TLSPinSha256
	next.TLSLegacy, next.Variables, next.Prefix = cfg.TLSLegacy, cfg.Variables, cfg.Prefix
	if reflect.DeepEqual(*before, next) {
		return false
	}
	l.login.Store(&next)
	return true
}

// ReadSecret returns the secret as it is now, in its file if one is named.
func (c *Config) ReadSecret() (setting.Secret, error) {
	if c.SecretFile == "" {
		return c.Secret, nil
	}
	secret, err := ReadSecretFile(c.SecretFile)
	if err != nil {
		return "", fmt.Errorf("%s: %w", c.Variable("SECRET_FILE"), err)
	}
	return secret, nil
}

// CheckFiles returns what is wrong with the files that c names, one error each.
func (c *Config) CheckFiles() []error {
	var problems []error
	if c.Secret == "" { // else Validate says that both are set
		if _, err := c.ReadSecret(); err != nil {
			problems = append(problems, err)
		}
	}
	if _, err := newTrust(c); err != nil {
		problems = append(problems, err)
	}
	return problems
}

// secret returns the secret to log in with.
func (l *Link) secret(cfg *Config) (setting.Secret, error) {
	secret, err := cfg.ReadSecret()
	if err != nil {
		return "", err
	}
	l.used.Store(secret)
	if cfg.SecretFile != "" && l.deps.Learn != nil {
		l.deps.Learn(secret)
	}
	return secret, nil
}

// secretLook is how often a secret's file is looked at while a session is not up.
const secretLook = 5 * time.Second

// secretWatch ends the wait after a refused login once the secret's file has another one.
// The file may be slow, and Pings must not wait for it: a goroutine reads it.
type secretWatch struct {
	link    *Link
	at      time.Time // of the next look
	looking atomic.Bool
	group   sync.WaitGroup
}

// look looks if it is time, and returns when it is again. It does not wait.
func (w *secretWatch) look(now time.Time) (next time.Time) {
	if now.Before(w.at) {
		return w.at
	}
	w.at = now.Add(secretLook)
	if cfg := w.link.login.Load(); cfg.SecretFile != "" && w.looking.CompareAndSwap(false, true) {
		w.group.Go(func() {
			defer w.looking.Store(false)
			if secret, err := cfg.ReadSecret(); err == nil && w.link.used.Load() != secret {
				w.link.Retry()
			}
		})
	}
	return w.at
}

// secretVariable is where the secret comes from.
func (l *Link) secretVariable() string {
	cfg := l.login.Load()
	if cfg.SecretFile != "" {
		return cfg.Variable("SECRET_FILE")
	}
	return cfg.Variable("SECRET")
}
