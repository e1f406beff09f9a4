package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge"
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

// hub returns the hub that s names, or nil.
func (s *settings) hub() (*hub, error) {
	if s.NATSLeafURL == "" {
		return nil, nil
	}
	h := &hub{domain: s.leafDomain(), creds: s.bridge.NATS.CredsFile}
	password, err := s.bridge.NATS.ReadPassword()
	if err != nil {
		return nil, err
	}
	for text := range strings.SplitSeq(s.NATSLeafURL, ",") {
		u, err := url.Parse(withScheme(text))
		if err != nil {
			continue // check has refused it
		}
		if user := s.bridge.NATS.User; user != "" {
			u.User = url.UserPassword(user, string(password))
		}
		h.urls = append(h.urls, u)
	}
	h.first = bool(s.bridge.NATS.TLSFirst)
	if h.tls, err = s.bridge.NATS.TLS(); h.first && h.tls == nil && err == nil {
		h.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return h, err
}

func (s *settings) leafDomain() string { return cmp.Or(s.NATSLeafDomain, "amibridge-"+s.bridge.Node) }

// join makes the server with options o a leaf of h.
func (h *hub) join(o *server.Options) {
	o.ServerName, o.JetStreamDomain, o.SyncInterval = h.domain, h.domain, leafSync
	o.LeafNode.Remotes = []*server.RemoteLeafOpts{{
		URLs: h.urls, Credentials: h.creds, TLSConfig: h.tls, TLSHandshakeFirst: h.first,
	}}
}

var domainRule = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// leaf checks what belongs to a leaf.
func (l *loader) leaf(s *settings) {
	const name = prefix + "_NATS_LEAF_URL"
	if s.NATSLeafURL == "" {
		if s.NATSLeafDomain != "" {
			l.problem(prefix+"_NATS_LEAF_DOMAIN", "is for a leaf: set "+name+" too")
		}
		return
	}
	check := func(ok bool, variable, reason string) {
		if !ok {
			l.problem(prefix+"_"+variable, reason)
		}
	}
	check(validURLs(s.NATSLeafURL), "NATS_LEAF_URL", "wants URLs of leafnode ports such as nats://10.0.0.1:7422, separated by commas")
	check(s.bridge.NATS.URL == "", "NATS_LEAF_URL", "and BRIDGE_NATS_URL exclude each other: a leaf is the embedded nats-server")
	check(s.NATSLeafDomain == "" || domainRule.MatchString(s.NATSLeafDomain), "NATS_LEAF_DOMAIN", "wants 1 to 80 of A-Z a-z 0-9 _ -")
	check(!s.bridge.NATS.Kinds().Token, "NATS_TOKEN", "is not for leaves: use a user and password, or a credentials file")
	check(s.bridge.Delivery == bridge.DeliverJetStream, "DELIVERY", "wants jetstream with "+name+": core keeps nothing for the hub")
	check(s.bridge.Streams == bridge.StreamsManage, "STREAMS", "wants manage with "+name+": the leaf's streams are the bridge's own")
	check(s.bridge.Stream.Replicas == 1, "STREAM_REPLICAS", "wants 1 with "+name+": the leaf is one server")
}

// hub says whether the ports that a leaf would connect to are what they have to
// be. It does not log in.
func (f *findings) hub(ctx context.Context, s *settings) {
	hub, err := s.hub()
	if hub == nil {
		return
	}
	if err != nil {
		f.add("FAIL", "%v", err)
		return
	}
	for _, u := range hub.urls {
		info, err := hub.port(ctx, u)
		switch {
		case err != nil:
			f.add("FAIL", "hub %s: %v", u.Host, err)
		case len(info.URLs) == 0:
			f.add("FAIL", "hub %s is a port for clients: BRIDGE_NATS_LEAF_URL wants that of leafnodes, 7422 as a rule", u.Host)
		default:
			f.add("ok", "hub %s: leafnode port of nats-server %s; user and rights are not checked", u.Host, info.Version)
		}
	}
}

// leafInfo is what a port of nats-server says first.
type leafInfo struct {
	Version string   `json:"version"`
	URLs    []string `json:"leafnode_urls"` // a leaf takes a port without them for one of clients
}

const leafPortTimeout = 5 * time.Second

// port asks what is at u.
func (h *hub) port(ctx context.Context, u *url.URL) (info leafInfo, err error) {
	addr := u.Host
	if _, _, err := net.SplitHostPort(addr); err != nil {
		addr = net.JoinHostPort(addr, strconv.Itoa(server.DEFAULT_LEAFNODE_PORT))
	}
	dialer := net.Dialer{Timeout: leafPortTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return info, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(leafPortTimeout)); err != nil {
		return info, err
	}
	if h.first {
		settings := h.tls.Clone()
		settings.ServerName = u.Hostname()
		conn = tls.Client(conn, settings)
	}
	line, err := bufio.NewReaderSize(conn, 64<<10).ReadSlice('\n')
	if err != nil {
		return info, bridge.Mismatch(bridge.NATSConfig{TLSFirst: amiconn.Switch(h.first)}, err)
	}
	text, ok := bytes.CutPrefix(line, []byte("INFO "))
	if !ok || json.Unmarshal(text, &info) != nil {
		return info, errors.New("it is no nats-server")
	}
	return info, nil
}
