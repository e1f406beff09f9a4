//go:build unix

package ha

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// asBridge is the variable that has this test's own program be a bridge of that name, for
// no variable of the bridge turns HA on yet.
const asBridge = "HA_NODE"

func TestMain(m *testing.M) {
	node := os.Getenv(asBridge)
	if node == "" {
		os.Exit(m.Run())
	}
	if err := runBridge(node); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// runBridge is a bridge until SIGTERM.
func runBridge(node string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cfg := config.DefaultConfig()
	s := harness.ChaosServer(server, os.Getenv("HA_PBX"))
	cfg.Node, cfg.HTTPAddr, cfg.NATS.URL, cfg.Servers = node, "", os.Getenv("HA_NATS"), []config.ServerConfig{s}
	cfg.HA, cfg.StatusInterval = true, time.Second
	log, err := zap.NewProduction()
	if err != nil {
		return err
	}
	b, err := bridge.New(cfg, bridge.Deps{Logger: log, Version: "0.0.0"})
	if err != nil {
		return err
	}
	return b.Run(ctx)
}
