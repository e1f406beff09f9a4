package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/embedded"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env"
)

// hub says whether the ports that a leaf would connect to are what they have to
// be. It does not log in.
func (f *findings) hub(ctx context.Context, s *env.Settings) {
	hub, err := s.Hub()
	if hub == nil {
		return
	}
	if err != nil {
		f.add("FAIL", "%v", err)
		return
	}
	for _, u := range hub.URLs {
		info, err := leafPort(ctx, hub, u)
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

// leafPort asks what is at u, a URL of h.
func leafPort(ctx context.Context, h *embedded.Hub, u *url.URL) (info leafInfo, err error) {
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
	if h.TLSFirst {
		settings := h.TLS.Clone()
		settings.ServerName = u.Hostname()
		conn = tls.Client(conn, settings)
	}
	line, err := bufio.NewReaderSize(conn, 64<<10).ReadSlice('\n')
	if err != nil {
		return info, natsconn.Mismatch(config.NATSConfig{TLSFirst: setting.Switch(h.TLSFirst)}, err)
	}
	text, ok := bytes.CutPrefix(line, []byte("INFO "))
	if !ok || json.Unmarshal(text, &info) != nil {
		return info, errors.New("it is not a nats-server")
	}
	return info, nil
}
