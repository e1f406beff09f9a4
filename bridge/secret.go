package bridge

import (
	"net/url"
	"strings"
)

// Secrets returns the secrets of c, some perhaps empty: those of the servers
// and of NATS, its URL's as they are spelled there and in plain.
func (c *Config) Secrets() []string {
	secrets := []string{string(c.NATS.Password), string(c.NATS.Token)}
	for i := range c.Servers {
		secrets = append(secrets, string(c.Servers[i].Secret))
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
