//go:build unix

package ha

import (
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// here starts a bridge in this process.
func (f *fleet) here(name string) *harness.Running {
	f.t.Helper()
	cfg := config.DefaultConfig()
	s := harness.ChaosServer(server, f.addr)
	s.PingInterval = time.Second
	cfg.Node, cfg.HTTPAddr, cfg.NATS.URL, cfg.Servers = name, "", f.nats[0].URL, []config.ServerConfig{s}
	cfg.NATS.User, cfg.NATS.Password = name, setting.Secret(name)
	cfg.HA, cfg.StatusInterval, cfg.ShutdownTimeout = true, 100*time.Millisecond, 2*harness.Patience
	r := harness.Run(f.t, zap.NewNop(), cfg)
	f.bridges[name] = &node{name: name}
	return r
}

// Whoever leads takes the Actions and tells of the server, and nobody else does; when it
// ends the other one does so, without a hole. The law holds in both throughout.
func TestTwo_OnlyTheLeaderTakesActionsAndTells(t *testing.T) {
	if *asked == "" {
		t.Skip("NOT RUN: make faults-ha has two bridges share an Asterisk, with little beside them")
	}
	f := newFleet(t, shape{})
	// b1 ranks first for the server: were b2 to begin to lead, it would hand over in a while.
	running := map[string]*harness.Running{"b1": f.here("b1")}
	harness.Eventually(t, "b1 leads", func() bool { return f.leads("b1") })
	running["b2"] = f.here("b2")
	if err := f.sim.WaitEventSessions(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	told := map[string]int{} // states of the server, by node
	if _, err := f.nc.Subscribe("ami.status."+server+".>", func(m *nats.Msg) {
		var s struct{ Node string }
		if err := json.Unmarshal(m.Data, &s); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		told[s.Node]++
	}); err != nil {
		t.Fatal(err)
	}
	lawful := func() {
		for name, r := range running {
			s := r.By("server")[server]
			if got, want := harness.Accounted(s), s["events_received_total"]; got != want {
				t.Errorf("%s has received %v events and accounts for %v", name, want, got)
			}
		}
	}
	leader, standby := f.settled()
	f.answeredBy(leader.name)
	mu.Lock()
	clear(told)
	mu.Unlock()
	f.emit(100)
	for range 20 {
		f.answeredBy(leader.name)
		lawful()
	}
	harness.Eventually(t, "the leader tells", func() bool { mu.Lock(); defer mu.Unlock(); return told[leader.name] > 3 })
	mu.Lock()
	if told[standby.name] > 0 {
		t.Errorf("%s leads, and %s tells of the server", leader.name, standby.name)
	}
	mu.Unlock()

	delete(f.bridges, leader.name)
	if err := running[leader.name].Stop(); err != nil {
		t.Errorf("%s ended with: %v", leader.name, err)
	}
	if n := running[leader.name].By("server")[server]; n["outbox_events"]+n["outbox_in_flight_events"] != 0 {
		t.Errorf("%s left %v", leader.name, n)
	}
	f.answeredBy(standby.name)
	f.emit(100)
	lawful()
	harness.Eventually(t, "the other one tells", func() bool { mu.Lock(); defer mu.Unlock(); return told[standby.name] > 3 })
	if got := f.verify(); !got.whole() {
		t.Errorf("%v", got)
	}
	lawful()
	if released := running[standby.name].Metric("events_released_total"); released == 0 {
		t.Errorf("%s stood by and has released nothing", standby.name)
	}
}

// answeredBy wants an Action to be answered once, by that bridge. One that has just begun to
// lead may need a moment to take it.
func (f *fleet) answeredBy(name string) {
	f.t.Helper()
	sub, err := f.nc.SubscribeSync(f.nc.NewInbox())
	if err != nil {
		f.t.Fatal(err)
	}
	defer sub.Unsubscribe()
	harness.Eventually(f.t, "an Action is answered by "+name, func() bool {
		if err := f.nc.PublishRequest("ami.actions."+server+".Ping", sub.Subject, nil); err != nil {
			f.t.Fatal(err)
		}
		m, err := sub.NextMsg(harness.Patience)
		if err != nil {
			f.t.Fatal(err)
		}
		if m.Header.Get("Status") == "503" {
			return false // nobody takes it yet
		}
		var reply struct{ Node, Response string }
		if err := json.Unmarshal(m.Data, &reply); err != nil {
			f.t.Fatal(err)
		}
		return reply.Node == name && reply.Response == "Success"
	})
	if n, _, _ := sub.Pending(); n > 0 {
		f.t.Errorf("%d more answers", n)
	}
}
