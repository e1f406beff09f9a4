package bridge

import (
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
)

// Reload puts in force what of cfg, which must be valid, can change while the
// bridge runs. At once: which Actions are taken and how often, which events are.
// With the next login or connect: user, secret and TLS of servers, and of NATS
// where the kinds of credentials are the same as before. A server whose logins
// are refused is tried again now. All else of cfg is ignored, and so are servers
// that the bridge does not have; no session is touched. It may be called at any
// time, by one goroutine at a time.
func (b *Bridge) Reload(cfg config.Config) {
	b.learn(cfg.Secrets()...)
	b.natsLogin.Renew(cfg.NATS)
	for i := range cfg.Servers {
		own := &cfg.Servers[i]
		for _, s := range b.servers {
			if s.cfg.Name == own.Name {
				s.reload(&cfg, own)
			}
		}
	}
}

// reload does so for one server.
func (s *server) reload(all *config.Config, asked *config.ServerConfig) {
	own := new(config.ServerConfig)
	*own = *asked
	own.Charset = s.cfg.Charset // in which requests are written, rules read
	s.target.Permit(all, own)
	s.ingest.SetFilter(own)
	if s.shared != nil {
		s.outbox.SetFilters(filtersOf(own))
	}
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
