package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env"
)

// natsFlags are those of the commands that use a running bridge.
type natsFlags struct {
	NATS  string `name:"nats" placeholder:"URL" help:"NATS server; BRIDGE_NATS_URL, or nats://127.0.0.1:4222, if not given. Credentials are those of BRIDGE_NATS_…"`
	Inbox string `default:"_INBOX" placeholder:"PREFIX" help:"Where the user may subscribe to answers."`
}

// connect connects as the environment and the flag say. The rest of the
// environment may be wrong or missing. Whoever calls it closes the connection.
func (f *natsFlags) connect(name string, opts ...nats.Option) (*nats.Conn, config.Config, error) {
	s, problems := env.Load()
	for _, p := range problems {
		if strings.HasPrefix(p, env.Prefix+"_NATS_") || strings.HasPrefix(p, env.Prefix+"_SUBJECT_PREFIX") || strings.HasPrefix(p, env.EnvFile) {
			return nil, s.Bridge, &exitError{code: 2, text: p}
		}
	}
	if f.NATS != "" && !env.ValidURLs(f.NATS) {
		return nil, s.Bridge, &exitError{code: 2, text: "--nats: " + env.WantsURLs}
	}
	cfg := s.Bridge
	cfg.NATS.URL = cmp.Or(f.NATS, cfg.NATS.URL, nats.DefaultURL)
	nc, err := natsconn.Connect(cfg, name, append(opts, nats.CustomInboxPrefix(f.Inbox))...)
	if err != nil {
		return nil, cfg, fmt.Errorf("%w at %s: is the bridge or NATS running there?", err, env.RedactURLs(cfg.NATS.URL))
	}
	return nc, cfg, nil
}
