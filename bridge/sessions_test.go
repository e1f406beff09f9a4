package bridge

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// Each action session has a name of its own wherever sessions are told apart,
// and its own write buffer in what the server's hold together.
func TestSessions_AreToldApart(t *testing.T) {
	cfg := config.DefaultConfig()
	cfg.NATS.URL = natstest.Start(t, t.TempDir(), 0).ClientURL()
	server := config.DefaultServerConfig()
	server.Name, server.Addr, server.Username, server.Secret = "pbx1", "127.0.0.1:1", "u", setting.Secret("s")
	server.ActionSessions = 3
	cfg.Servers = append(cfg.Servers, server)
	b := connectedBridge(t, cfg)
	want := map[string]string{"event": "down", "action": "down", "action2": "down", "action3": "down"}

	recorder := httptest.NewRecorder()
	b.readyz(recorder, nil)
	var ready readiness
	if err := json.Unmarshal(recorder.Body.Bytes(), &ready); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, ready.Servers["pbx1"]); diff != "" {
		t.Error("/readyz (-want +got):", diff)
	}
	statuses := statusesOf(t, b)
	b.servers.here()[0].status.OnSession(amiconn.Change{Name: "action3", Role: amiconn.RoleActions, At: b.started})
	told := statuses.told(".connection")
	if len(told) != 1 || told[0]["role"] != "action3" || fmt.Sprint(told[0]["sessions"]) != fmt.Sprint(want) {
		t.Errorf("the status is %v, want of action3 %v", told, want)
	}
	families, err := b.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got, capacity := map[string]string{}, 0.0
	for _, family := range families {
		for _, m := range family.GetMetric() {
			switch family.GetName() {
			case "ami_nats_bridge_ami_session_up":
				got[m.GetLabel()[0].GetValue()] = "down"
			case "ami_nats_bridge_write_buffer_capacity_bytes":
				capacity = m.GetGauge().GetValue()
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("metrics (-want +got):", diff)
	}
	b.tick()
	buffers := statuses.told(".buffers")
	if most := buffers[0]["write_buffer"].(map[string]any)["capacity"]; capacity != 15<<20 || most != 15.*(1<<20) {
		t.Errorf("capacity of three write buffers of 5 MiB: %v in metrics, %v in the status", capacity, most)
	}
}
