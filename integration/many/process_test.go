//go:build unix

package many

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// asked is how large the tests are: make faults-ha asks for them.
var asked = flag.String("faults", "", "all: a thousand Asterisks and ten bridges; some: few; none if empty")

// asBridge is the variable that has this test's own program be a bridge of that name.
const asBridge = "MANY_NODE"

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
	data, err := os.ReadFile(os.Getenv("MANY_ADDRESSES"))
	if err != nil {
		return err
	}
	var addresses map[string]string
	if err := json.Unmarshal(data, &addresses); err != nil {
		return err
	}
	cfg := config.DefaultConfig()
	cfg.Node, cfg.HTTPAddr, cfg.NATS.URL, cfg.HA = node, "", os.Getenv("MANY_NATS"), true
	if cfg.HACopies, err = strconv.Atoi(os.Getenv("MANY_COPIES")); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(addresses)) {
		s := harness.ChaosServer(name, addresses[name])
		s.State = nil // what is up there is none of these tests'
		cfg.Servers = append(cfg.Servers, s)
	}
	cfg.StatusInterval, cfg.ShutdownTimeout = 5*time.Second, 2*harness.Patience
	logging := zap.NewProductionConfig()
	logging.Level.SetLevel(zap.WarnLevel)
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
