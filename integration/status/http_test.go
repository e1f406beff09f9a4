//go:build unix

package status

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// /readyz tells every server's sessions. One dead Asterisk of two does not make
// the bridge unready; all of them do, and so does NATS. /healthz goes on saying
// that the process serves.
func TestHTTP_ReadyzTellsEveryServer(t *testing.T) {
	nats := harness.StartNATS(t)
	one, oneAddr := harness.Sim(t, amisim.Config{NotBooted: true})
	two, twoAddr := harness.Sim(t, amisim.Config{NotBooted: true})
	single := harness.ChaosServer("two", twoAddr)
	single.Sessions = 1
	r := harness.Bridge(t, nats.URL, func(c *config.Config) { harness.ChaosConfig(c); c.HTTPAddr = harness.Addr(t) },
		harness.ChaosServer("one", oneAddr), single)
	comes := func(what string, code int, want harness.Readyz) {
		t.Helper()
		var got harness.Readyz
		var status int
		harness.Eventually(t, what, func() bool {
			status, got = r.Readyz()
			return status == code && cmp.Equal(want, got)
		})
		if code, body := r.Get("/healthz"); code != http.StatusOK || body != "ok\n" {
			t.Errorf("%s: /healthz is %d %q", what, code, body)
		}
	}
	up := map[string]map[string]string{"one": {"event": "up", "action": "up"}, "two": {"both": "up"}}
	body := func(ready bool, nats, actions string, servers map[string]map[string]string) harness.Readyz {
		return harness.Readyz{
			Ready: ready, NATS: nats, Connections: map[string]string{"events": nats, "control": nats}, Servers: servers,
			Actions: map[string]string{"one": actions, "two": actions, "any": actions, "all": actions},
		}
	}
	comes("all are up", http.StatusOK, body(true, "CONNECTED", "ok", up))

	kill := func(sim *amisim.Server) {
		sim.Always(amisim.Accept, amisim.Stall) // and the sessions stay in connecting
		sim.Kick()
	}
	kill(two)
	comes("one of two is up", http.StatusOK, body(true, "CONNECTED", "ok", map[string]map[string]string{
		"one": up["one"], "two": {"both": "connecting"},
	}))
	kill(one)
	comes("none is up", http.StatusServiceUnavailable, body(false, "CONNECTED", "ok", map[string]map[string]string{
		"one": {"event": "connecting", "action": "waiting"}, "two": {"both": "connecting"},
	}))
	for _, sim := range []*amisim.Server{one, two} {
		sim.Always(amisim.Accept, nil)
		sim.Kick()
	}
	comes("all are up again", http.StatusOK, body(true, "CONNECTED", "ok", up))
	nats.Stop()
	comes("NATS is away", http.StatusServiceUnavailable, body(false, "RECONNECTING", "the connection control is not up", up))
	nats.Start()
	comes("NATS is back", http.StatusOK, body(true, "CONNECTED", "ok", up))

	code, metrics := r.Get("/metrics")
	if !strings.Contains(metrics, `ami_nats_bridge_ami_session_up{role="both",server="two"} 1`) || code != http.StatusOK {
		t.Errorf("/metrics is %d, %.200s", code, metrics)
	}
}
