package bridge

import (
	"net/url"
	"strings"
)

// Secrets returns the secrets of c, as files have them now, some perhaps empty:
// those of the servers and of NATS, its URL's as they are spelled there and in
// plain.
func (c *Config) Secrets() []string {
	// A file that cannot be read has none to keep.
	password, _ := c.NATS.ReadPassword()
	token, _ := c.NATS.token()
	secrets := []string{string(password), string(token)}
	for i := range c.Servers {
		secret, _ := c.Servers[i].ReadSecret()
		secrets = append(secrets, string(secret))
	}
	for u := range strings.SplitSeq(c.NATS.URL, ",") {
		if _, rest, ok := strings.Cut(u, "://"); ok {
			u = rest
		}
		userinfo := u[:max(0, strings.LastIndexByte(u, '@'))]
		secret := userinfo // a token, unless there is a user
		if _, password, ok := strings.Cut(userinfo, ":"); ok {
			secret = password
		}
		secrets = append(secrets, secret)
		if plain, err := url.PathUnescape(secret); err == nil {
			secrets = append(secrets, plain)
		}
	}
	return secrets
}
