package main

import (
	"crypto/tls"
	"net/url"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// hub is the nats-server whose leaf the embedded one is.
type hub struct {
	urls   []*url.URL
	creds  string
	tls    *tls.Config
	first  bool   // TLS comes before the hub says anything
	domain string // of the leaf's JetStream
}

// leafSync is how often the leaf syncs what it has stored to disk: what a
// failure of power can cost.
const leafSync = time.Second

// join makes the server with options o a leaf of h.
func (h *hub) join(o *server.Options) {
	o.ServerName, o.JetStreamDomain, o.SyncInterval = h.domain, h.domain, leafSync
	o.LeafNode.Remotes = []*server.RemoteLeafOpts{{
		URLs: h.urls, Credentials: h.creds, TLSConfig: h.tls, TLSHandshakeFirst: h.first,
	}}
}
