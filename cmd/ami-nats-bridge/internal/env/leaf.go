package env

import (
	"cmp"
	"crypto/tls"
	"net/url"
	"regexp"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/embedded"
)

// Hub returns the hub that s names, or nil.
func (s *Settings) Hub() (*embedded.Hub, error) {
	if s.NATSLeafURL == "" {
		return nil, nil
	}
	h := &embedded.Hub{Domain: s.leafDomain(), Creds: s.Bridge.NATS.CredsFile}
	password, err := s.Bridge.NATS.ReadPassword()
	if err != nil {
		return nil, err
	}
	for text := range strings.SplitSeq(s.NATSLeafURL, ",") {
		u, err := url.Parse(withScheme(text))
		if err != nil {
			continue // check has refused it
		}
		if user := s.Bridge.NATS.User; user != "" {
			u.User = url.UserPassword(user, string(password))
		}
		h.URLs = append(h.URLs, u)
	}
	h.TLSFirst = bool(s.Bridge.NATS.TLSFirst)
	if h.TLS, err = s.Bridge.NATS.TLS(); h.TLSFirst && h.TLS == nil && err == nil {
		h.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return h, err
}

func (s *Settings) leafDomain() string { return cmp.Or(s.NATSLeafDomain, "amibridge-"+s.Bridge.Node) }

var domainRule = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// leaf checks what belongs to a leaf.
func (l *loader) leaf(s *Settings) {
	const name = Prefix + "_NATS_LEAF_URL"
	if s.NATSLeafURL == "" {
		if s.NATSLeafDomain != "" {
			l.problem(Prefix+"_NATS_LEAF_DOMAIN", "is for a leaf: set "+name+" too")
		}
		return
	}
	check := func(ok bool, variable, reason string) {
		if !ok {
			l.problem(Prefix+"_"+variable, reason)
		}
	}
	check(ValidURLs(s.NATSLeafURL), "NATS_LEAF_URL", "wants URLs of leafnode ports such as nats://10.0.0.1:7422, separated by commas")
	check(s.Bridge.NATS.URL == "", "NATS_LEAF_URL", "and BRIDGE_NATS_URL exclude each other: a leaf is the embedded nats-server")
	check(s.NATSLeafDomain == "" || domainRule.MatchString(s.NATSLeafDomain), "NATS_LEAF_DOMAIN", "wants 1 to 80 of A-Z a-z 0-9 _ -")
	check(!s.Bridge.NATS.Kinds().Token, "NATS_TOKEN", "is not for leaves: use a user and password, or a credentials file")
	check(s.Bridge.Delivery == config.DeliverJetStream, "DELIVERY", "wants jetstream with "+name+": core keeps nothing for the hub")
	check(s.Bridge.Streams == config.StreamsManage, "STREAMS", "wants manage with "+name+": the leaf's streams are the bridge's own")
	check(!bool(s.Bridge.HA), "NATS_LEAF_URL", "does not go with BRIDGE_HA=on: bridges meet at one stream, and a leaf's is the bridge's own")
	check(s.Bridge.Stream.Replicas == 1, "STREAM_REPLICAS", "wants 1 with "+name+": the leaf is one server")
}
