package env

import (
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
)

// What bridges that share servers cannot have is refused with the variable that is to change.
func TestHA_EachRefusalNamesItsVariable(t *testing.T) {
	for want, set := range map[string][]string{
		"":                                     {"BRIDGE_NATS_URL=nats://n"},
		"BRIDGE_NATS_URL: is missing":          {},
		"BRIDGE_DELIVERY: wants jetstream":     {"BRIDGE_NATS_URL=nats://n", "BRIDGE_DELIVERY=core"},
		"BRIDGE_STREAM_MAX_AGE: wants at":      {"BRIDGE_NATS_URL=nats://n", "BRIDGE_STREAM_MAX_AGE=1m"},
		"BRIDGE_SERVER_PBX1_SESSIONS: wants 2": {"BRIDGE_NATS_URL=nats://n", "BRIDGE_SERVER_PBX1_SESSIONS=1"},
		"BRIDGE_AMI_SHED_FIRST: does not go":   {"BRIDGE_NATS_URL=nats://n", "BRIDGE_AMI_SHED_FIRST=VarSet"},
		"BRIDGE_HA_SILENCE: wants 500ms to 1m": {"BRIDGE_NATS_URL=nats://n", "BRIDGE_HA_SILENCE=10ms"},
		"BRIDGE_HA_WEIGHT: wants 1 to 100":     {"BRIDGE_NATS_URL=nats://n", "BRIDGE_HA_WEIGHT=0"},
	} {
		t.Run(want, func(t *testing.T) {
			envtest.Set(t, envtest.One(append(set, "BRIDGE_HA=on")...)...)
			_, problems := Load()
			if want == "" && len(problems) == 0 {
				return
			}
			if len(problems) != 1 || want == "" || !strings.HasPrefix(problems[0], want) {
				t.Errorf("%q", problems)
			}
		})
	}
}
