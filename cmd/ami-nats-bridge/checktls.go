package main

import (
	"context"
	"net"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
)

// peer says which certificate a server shows, whether or not it is trusted.
func (f *findings) peer(ctx context.Context, cfg *amiconn.Config) {
	if !cfg.TLS {
		return
	}
	peer, err := amiconn.PeerOf(ctx, *cfg, new(net.Dialer).DialContext)
	if err != nil {
		return // the login says the same
	}
	c := peer.Certificate
	f.add("note", "%s, certificate of %s, good until %s; its public key is accepted by %s=%s", peer.Version, c.Subject,
		c.NotAfter.Format("2006-01-02"), cfg.Variable("TLS_PIN_SHA256"), amiconn.PinOf(c))
}
