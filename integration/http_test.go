//go:build unix

package integration

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
)

// freeAddr is an address that nobody listens on, and nobody else is given.
func freeAddr(t *testing.T) string {
	t.Helper()
	return "127.0.0.1:" + strconv.Itoa(reservePort(t))
}

// get returns what the bridge's HTTP server answers.
func (r *running) get(path string) (code int, body string) {
	r.t.Helper()
	response, err := http.Get("http://" + r.cfg.HTTPAddr + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// readyz is the body of /readyz.
type readyz struct {
	Ready       bool
	NATS        string
	Connections map[string]string
	Servers     map[string]map[string]string
	Actions     map[string]string
}

func (r *running) readyz() (code int, body readyz) {
	r.t.Helper()
	code, text := r.get("/readyz")
	if err := json.Unmarshal([]byte(text), &body); err != nil {
		r.t.Fatalf("%v in %s", err, text)
	}
	return code, body
}

// /readyz tells every server's sessions. One dead Asterisk of two does not make
// the bridge unready; all of them do, and so does NATS. /healthz goes on saying
// that the process serves.
func TestHTTP_ReadyzTellsEveryServer(t *testing.T) {
	nats := startNATS(t)
	one, oneAddr := startSim(t, amisim.Config{NotBooted: true})
	two, twoAddr := startSim(t, amisim.Config{NotBooted: true})
	single := chaosServer("two", twoAddr)
	single.Sessions = 1
	r := startBridge(t, nats.url, func(c *config.Config) { chaosConfig(c); c.HTTPAddr = freeAddr(t) },
		chaosServer("one", oneAddr), single)
	comes := func(what string, code int, want readyz) {
		t.Helper()
		var got readyz
		var status int
		eventually(t, what, func() bool {
			status, got = r.readyz()
			return status == code && cmp.Equal(want, got)
		})
		if code, body := r.get("/healthz"); code != http.StatusOK || body != "ok\n" {
			t.Errorf("%s: /healthz is %d %q", what, code, body)
		}
	}
	up := map[string]map[string]string{"one": {"event": "up", "action": "up"}, "two": {"both": "up"}}
	body := func(ready bool, nats, actions string, servers map[string]map[string]string) readyz {
		return readyz{ready, nats, map[string]string{"events": nats, "control": nats}, servers,
			map[string]string{"one": actions, "two": actions, "any": actions, "all": actions}}
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
	nats.stop()
	comes("NATS is away", http.StatusServiceUnavailable, body(false, "RECONNECTING", "the connection control is not up", up))
	nats.start()
	comes("NATS is back", http.StatusOK, body(true, "CONNECTED", "ok", up))

	code, metrics := r.get("/metrics")
	if !strings.Contains(metrics, `ami_nats_bridge_ami_session_up{role="both",server="two"} 1`) || code != http.StatusOK {
		t.Errorf("/metrics is %d, %.200s", code, metrics)
	}
}
