package embedded

import (
	"crypto/tls"
	"net/url"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Hub is the nats-server whose leaf the embedded one is.
type Hub struct {
	URLs     []*url.URL
	Creds    string
	TLS      *tls.Config
	TLSFirst bool   // TLS comes before the hub says anything
	Domain   string // of the leaf's JetStream
}

// leafSync is how often the leaf syncs what it has stored to disk: what a
// failure of power can cost.
const leafSync = time.Second

// join makes the server with options o a leaf of h.
func (h *Hub) join(o *server.Options) {
	o.ServerName, o.JetStreamDomain, o.SyncInterval = h.Domain, h.Domain, leafSync
	o.LeafNode.Remotes = []*server.RemoteLeafOpts{{
		URLs: h.URLs, Credentials: h.Creds, TLSConfig: h.TLS, TLSHandshakeFirst: h.TLSFirst,
	}}
}
