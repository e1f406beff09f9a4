package amiconn

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
)

// A peer may send back what it was sent. Whatever it is told in, no state and
// no log line has a part of it.
func TestLogin_QuotesNoSecret(t *testing.T) {
	const secret, part = testSecret, "s3cret"
	pad := strings.Repeat("x", 80-len(part)) // what is cut to 80 bytes ends within the secret
	deny := func(message string) amisim.Fault { return amisim.Deny(message) }
	for name, test := range map[string]struct {
		auth   Auth
		point  string
		fault  amisim.Fault
		reason Reason
	}{
		"login":     {AuthPlain, "Login", deny("no such secret: " + secret), ReasonAuth},
		"cut":       {AuthPlain, "Login", deny(pad + secret), ReasonAuth},
		"case":      {AuthPlain, "Login", deny(strings.ToUpper(secret)), ReasonAuth},
		"challenge": {AuthMD5, "Challenge", deny(pad + secret), ReasonAuth},
		"key": {AuthMD5, "Login", func(s *amisim.Session, a *amisim.Action) {
			amisim.Deny(pad+a.Get("Key"))(s, a)
		}, ReasonAuth},
		"banner": {AuthPlain, amisim.Accept, amisim.Say(pad + secret + "\r\n"), ReasonBanner},
		"banner's version": {AuthPlain, amisim.Accept, amisim.Rewrite(func([]byte) []byte {
			return []byte("Asterisk Call Manager/" + secret + "\r\n")
		}), ""},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, amisim.Config{}, func(c *Config, d *Deps) {
				c.Auth, c.Sessions = test.auth, 1
			}, func(b *bench) {
				b.sim.Always(test.point, test.fault)
				b.start()
				time.Sleep(time.Minute)
				if n := b.link.Status().Failed[test.reason]; test.reason != "" && n == 0 {
					t.Errorf("failures: %v", b.link.Status().Failed)
				}
				b.mu.Lock()
				defer b.mu.Unlock()
				var shown strings.Builder
				shown.WriteString(fmt.Sprintf("%+v %+v", b.changes, b.breaker))
				for _, entry := range b.logs.All() {
					shown.WriteString(fmt.Sprint(entry.Message, entry.ContextMap()))
				}
				if strings.Contains(strings.ToLower(shown.String()), part) || strings.Contains(shown.String(), pad) {
					t.Errorf("the secret is shown: %s", shown.String())
				}
			})
		})
	}
}
