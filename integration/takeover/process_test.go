//go:build unix

package takeover

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// asBridge is the variable that has this test's own program be a bridge of that name.
const asBridge = "TAKEOVER_NODE"

func TestMain(m *testing.M) { harness.BridgeMain(m, asBridge, zap.InfoLevel, configure) }

// configure makes the settings of a bridge that a test has started.
func configure(cfg *config.Config) error {
	cfg.NATS.URL, cfg.HA, cfg.Audit = os.Getenv("TAKEOVER_NATS"), true, config.AuditStrict
	for i, addr := range strings.Split(os.Getenv("TAKEOVER_PBX"), ",") {
		s := harness.ChaosServer(fmt.Sprint("pbx", i+1), addr)
		s.WriteBufferBytes = 64 * setting.MiB
		cfg.Servers = append(cfg.Servers, s)
	}
	cfg.StatusInterval = time.Second
	return nil
}
