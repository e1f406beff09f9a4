//go:build unix

package takeover

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// asBridge is the variable that has this test's own program be a bridge of that name.
const asBridge = "TAKEOVER_NODE"

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
	cfg.Node, cfg.HTTPAddr, cfg.NATS.URL, cfg.HA, cfg.Audit = node, "", os.Getenv("TAKEOVER_NATS"), true, config.AuditStrict
	for i, addr := range strings.Split(os.Getenv("TAKEOVER_PBX"), ",") {
		s := harness.ChaosServer(fmt.Sprint("pbx", i+1), addr)
		s.WriteBufferBytes = 64 * setting.MiB
		cfg.Servers = append(cfg.Servers, s)
	}
	cfg.StatusInterval = time.Second
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
