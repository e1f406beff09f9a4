//go:build unix

package harness

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
)

// BridgeMain is Main; or, where the variable of that name is set, one
// bridge of that node until SIGTERM, as one of the tests has started the test's own program.
// configure makes its settings, from the defaults with that node and no HTTP; it logs what is
// at level or above.
func BridgeMain(m *testing.M, variable string, level zapcore.Level, configure func(*config.Config) error) {
	node := os.Getenv(variable)
	if node == "" {
		Main(m) // it does not return
	}
	if err := runBridge(node, level, configure); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runBridge(node string, level zapcore.Level, configure func(*config.Config) error) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cfg := config.DefaultConfig()
	cfg.Node, cfg.HTTPAddr = node, ""
	if err := configure(&cfg); err != nil {
		return err
	}
	logging := zap.NewProductionConfig()
	logging.Level.SetLevel(level)
	log, err := logging.Build()
	if err != nil {
		return err
	}
	b, err := bridge.New(cfg, bridge.Deps{Logger: log, Version: "0.0.0"})
	if err != nil {
		return err
	}
	return b.Run(ctx)
}
