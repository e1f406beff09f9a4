//go:build unix

package conns

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// A server that wants TLS before it says anything, and one that does not: where
// the setting does not fit, the error says so.
func TestConns_TLSFirst(t *testing.T) {
	t.Parallel()
	a := harness.NewAuthority(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, a.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, first := range []bool{false, true} {
		s := natstest.Serve(t, func(o *natsserver.Options) {
			o.TLSConfig, o.TLS, o.TLSTimeout, o.TLSHandshakeFirst = a.Server(t), true, harness.Patience.Seconds(), first
		})
		for _, set := range []bool{false, true} {
			cfg := config.DefaultConfig()
			cfg.Node, cfg.NATS.URL, cfg.NATS.TLSCaFile = "b1", s.ClientURL(), ca
			if err := cfg.NATS.TLSFirst.UnmarshalText([]byte(map[bool]string{false: "off", true: "on"}[set])); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
			_, err := streams.Check(ctx, cfg)
			cancel()
			switch {
			case first == set:
				if err != nil {
					t.Errorf("server %v, bridge %v: %v", first, set, err)
				}
			case err == nil || !strings.Contains(err.Error(), "BRIDGE_NATS_TLS_FIRST="+map[bool]string{false: "off", true: "on"}[first]):
				t.Errorf("server %v, bridge %v: %v", first, set, err)
			}
		}
	}
}
