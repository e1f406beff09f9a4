//go:build unix

package many

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// asked is how large the tests are: make faults-ha asks for them.
var asked = flag.String("faults", "", "all: a thousand Asterisks and ten bridges; some: few; none if empty")

// asBridge is the variable that has this test's own program be a bridge of that name.
const asBridge = "MANY_NODE"

func TestMain(m *testing.M) { harness.BridgeMain(m, asBridge, zap.WarnLevel, configure) }

// configure makes the settings of a bridge that a test has started.
func configure(cfg *config.Config) error {
	data, err := os.ReadFile(os.Getenv("MANY_ADDRESSES"))
	if err != nil {
		return err
	}
	var addresses map[string]string
	if err := json.Unmarshal(data, &addresses); err != nil {
		return err
	}
	cfg.NATS.URL, cfg.HA = os.Getenv("MANY_NATS"), true
	if cfg.HACopies, err = strconv.Atoi(os.Getenv("MANY_COPIES")); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(addresses)) {
		s := harness.ChaosServer(name, addresses[name])
		s.State = nil // what is up there is none of these tests'
		cfg.Servers = append(cfg.Servers, s)
	}
	cfg.StatusInterval, cfg.ShutdownTimeout = 5*time.Second, 2*harness.Patience
	return nil
}
