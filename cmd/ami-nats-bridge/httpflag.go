package main

import (
	"strings"

	"github.com/alecthomas/kong"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/top"
)

// httpFlag is --http, whose value may be left out: then the bridge is at
// BRIDGE_HTTP_ADDR.
type httpFlag struct {
	given bool
	value string
}

// Decode implements kong.MapperValue. No command that has this flag takes an argument,
// so a word behind it is its value.
func (h *httpFlag) Decode(ctx *kong.DecodeContext) error {
	h.given, h.value = true, ""
	if next := ctx.Scan.Peek(); next.Type == kong.FlagValueToken || next.Type != kong.EOLToken && !strings.HasPrefix(next.String(), "-") {
		h.value = ctx.Scan.Pop().String()
	}
	return nil
}

// url is where the bridge's HTTP server is: as the flag says, or as s does, the settings of
// the bridge in this environment.
func (h *httpFlag) url(s *env.Settings) (string, error) {
	if h.value != "" {
		url, err := top.BridgeURL(h.value)
		if err != nil {
			return "", &exitError{code: 2, text: "--http: " + err.Error()}
		}
		return url, nil
	}
	if s.Bridge.HTTPAddr == "" {
		return "", &exitError{code: 2, text: "BRIDGE_HTTP_ADDR is empty: that bridge serves no HTTP. Say where one does: --http http://127.0.0.1:9108"}
	}
	url, err := top.BridgeURL(s.Bridge.HTTPAddr)
	if err != nil {
		return "", &exitError{code: 2, text: "BRIDGE_HTTP_ADDR: " + err.Error()}
	}
	return url, nil
}
