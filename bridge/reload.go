package bridge

import (
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
)

// Reload puts in force what of cfg, which must be valid but may have no server, can
// change while the bridge runs, and returns what has become of the servers. At once: which
// servers and groups there are, which Actions are taken, how often and for how long, which
// events are, how many wait, who may see the page. With the next login or connect: user, secret and TLS of
// servers, and of NATS where the kinds of credentials are the same as before. A server
// whose logins are refused is tried again now. A server of which something else has
// changed logs in anew; no other session is touched. All else of cfg is ignored. An error
// is NATS's, and says which requests do not arrive. Reload may be called at any time, by
// one goroutine at a time.
func (b *Bridge) Reload(cfg config.Config) (Change, error) {
	b.learn(cfg.Secrets()...)
	b.natsLogin.Renew(cfg.NATS)
	b.admit(&cfg)
	return b.have(&cfg)
}

// reload puts own, of all, in force as far as its sessions stay.
func (s *server) reload(all *config.Config, own *config.ServerConfig) {
	s.target.Permit(all, own)
	s.ingest.SetFilter(own)
	if s.shared != nil {
		s.shared.Copies(all.CopiesOf(own))
		s.outbox.SetFilters(filtersOf(own))
	}
	s.outbox.SetLimit(int(own.OutboxBytes))
	s.status.Bound(own)
	s.link.Renew(own.Config)
	s.link.Retry()
}

// learn keeps secrets that were not known at the start out of what is written.
func (b *Bridge) learn(secrets ...string) {
	b.audit.Learn(secrets...)
	if b.deps.Learn != nil {
		b.deps.Learn(secrets...)
	}
}

// learnOne is learn for a secret that a login has read.
func (b *Bridge) learnOne(secret setting.Secret) { b.learn(string(secret)) }
