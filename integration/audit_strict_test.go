//go:build unix

package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

func strict(c *config.Config) {
	chaosConfig(c)
	c.Audit = config.AuditStrict
}

// Asterisk is not asked before the stream holds the intent.
func TestAudit_StrictStoresTheIntentFirst(t *testing.T) {
	sim, addr := startSim(t, amisim.Config{})
	r := startBridge(t, natsURL(t), strict, chaosServer("pbx1", addr))
	seen := make(chan []record, 1)
	sim.Next("CoreStatus", func(s *amisim.Session, a *amisim.Action) {
		seen <- r.audit()
		s.Serve(a)
	})
	if reply := r.call("pbx1", "CoreStatus", `{"X-Note":"a"}`); reply.Error != nil {
		t.Fatalf("%+v", reply.Error)
	}
	if got := <-seen; len(got) != 1 || got[0].Phase != "intent" || got[0].Decision != "allowed" || got[0].Outcome != "" ||
		got[0].Sent != "" || got[0].Fields["X-Note"] != "a" {
		t.Errorf("when Asterisk was asked the stream held %+v", got)
	}
	all := r.recordsOf(t, 2)
	if all[1].end() != "pbx1 outcome allowed answered yes 0\n" || all[1].Ask != all[0].Ask || all[1].ActionID == "" {
		t.Errorf("%s", all[1].text)
	}
	if e := r.call("pbx1", "Login", "").Error; e == nil || e.Kind != "forbidden" {
		t.Errorf("Login: %+v", e)
	}
	if all = r.recordsOf(t, 3); all[2].end() != "pbx1 outcome refused forbidden no 403\n" {
		t.Errorf("%s", all[2].text)
	}
	if err := broken(all); err != nil {
		t.Error(err)
	}
}

// Without the stream nothing is sent; what was not sent is recorded once it is
// back.
func TestAudit_StrictSendsNothingWithoutTheStream(t *testing.T) {
	t.Parallel()
	sim, addr := startSim(t, amisim.Config{})
	r := startBridge(t, natsURL(t), strict, chaosServer("pbx1", addr))
	bring := takeStream(t, r.nc, streams.AuditStream)
	for _, timeout := range []string{"300ms", "50s"} {
		began := time.Now()
		e := r.call("pbx1", "CoreStatus", "", "Ami-Timeout", timeout).Error
		if e == nil || e.Code != 503 || e.Kind != "audit_unavailable" || e.Sent != "no" {
			t.Errorf("%+v", e)
		}
		if took := time.Since(began); took > 45*time.Second {
			t.Errorf("Ami-Timeout %s: refused after %v", timeout, took)
		}
	}
	bring()
	all := r.recordsOf(t, 4)
	phases := map[string]int{}
	for _, one := range all {
		phases[one.Phase+" "+one.Outcome]++
	}
	if err := broken(all); err != nil || phases["intent "] != 2 || phases["outcome audit_unavailable"] != 2 {
		t.Errorf("%v; %v", err, phases)
	}
	eventually(t, "Actions go out again", func() bool { return r.call("pbx1", "CoreSettings", "").Error == nil })
	if n := sim.Received("CoreStatus"); n != 0 {
		t.Errorf("CoreStatus was sent %d times", n)
	}
}

// Each server that may get the Action is named before it can.
func TestAudit_StrictNamesEveryServerThatIsTried(t *testing.T) {
	full, fullAddr := startSim(t, amisim.Config{})
	other, otherAddr := startSim(t, amisim.Config{})
	pbx1, pbx2 := chaosServer("pbx1", fullAddr), chaosServer("pbx2", otherAddr)
	pbx1.MaxPending = 1
	r := startBridge(t, natsURL(t), strict, pbx1, pbx2)
	full.Next("CoreSettings", amisim.Ignore)
	r.ask("pbx1", "CoreSettings", "")
	eventually(t, "pbx1 is busy", func() bool { return full.Received("CoreSettings") == 1 })
	for range 2 { // one of them is pbx1's turn
		if reply := r.call("any", "CoreStatus", ""); reply.Error != nil || reply.Server != "pbx2" {
			t.Fatalf("%+v", reply)
		}
	}
	if n := other.Received("CoreStatus"); n != 2 {
		t.Errorf("pbx2 got %d", n)
	}
	var tried []string
	asks := map[string]bool{}
	for _, one := range r.recordsOf(t, 6)[1:] {
		tried = append(tried, one.Server+" "+one.Phase)
		asks[one.Ask] = true
	}
	const straight, over = "pbx2 intent,pbx2 outcome", "pbx1 intent,pbx2 intent,pbx2 outcome"
	if got := strings.Join(tried, ","); got != straight+","+over && got != over+","+straight || len(asks) != 2 {
		t.Errorf("records: %s of %d requests", got, len(asks))
	}
	full.Kick() // what it has not answered ends
}

// What ends while NATS is away is recorded once and in order when it is back.
func TestAudit_SurvivesARestartOfNATS(t *testing.T) {
	t.Parallel()
	nats := startNATS(t)
	sim, addr := startSim(t, amisim.Config{})
	r := startBridge(t, nats.url, chaosConfig, chaosServer("pbx1", addr))
	sim.Always("CoreStatus", amisim.Ignore)
	const n = 50
	for range n {
		r.ask("pbx1", "CoreStatus", "")
	}
	eventually(t, "all are asked for", func() bool { return sim.Received("CoreStatus") == n })
	nats.kill()
	sim.Kick()
	eventually(t, "all have ended", func() bool { return r.metric("actions_total", "result", "failed") == n })
	if r.metric("audit_queue_bytes") == 0 || r.metric("audit_records_total") != 0 {
		t.Errorf("%v bytes wait, %v are stored", r.metric("audit_queue_bytes"), r.metric("audit_records_total"))
	}
	nats.start()
	eventually(t, "all are stored", func() bool { return r.metric("audit_records_total") == n })
	eventually(t, "the client is back", r.nc.IsConnected)
	all := r.recordsOf(t, n)
	for _, one := range all {
		if one.Outcome != "connection_lost" {
			t.Errorf("%s", one.text)
		}
	}
	if err := broken(all); err != nil {
		t.Error(err)
	}
	if r.metric("audit_queue_bytes") != 0 {
		t.Errorf("%v bytes wait", r.metric("audit_queue_bytes"))
	}
}

// What waits for the stream when the bridge is told to stop is stored if the
// stream comes back in time.
func TestAudit_ShutdownWaitsForTheStream(t *testing.T) {
	sim, addr := startSim(t, amisim.Config{})
	r := startBridge(t, natsURL(t), chaosConfig, chaosServer("pbx1", addr))
	bring := takeStream(t, r.nc, streams.AuditStream)
	for range 5 {
		r.call("pbx1", "CoreStatus", "")
	}
	stopped := make(chan error, 1)
	go func() { stopped <- r.stop() }()
	eventually(t, "the sessions are logged off", func() bool { return sim.Sessions() == 0 })
	bring()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if err := broken(r.recordsOf(t, 5)); err != nil {
		t.Error(err)
	}
}
