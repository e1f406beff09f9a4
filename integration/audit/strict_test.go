//go:build unix

package audit

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

func strict(c *config.Config) {
	harness.ChaosConfig(c)
	c.Audit = config.AuditStrict
}

// Asterisk is not asked before the stream holds the intent.
func TestAudit_StrictStoresTheIntentFirst(t *testing.T) {
	sim, addr := harness.Sim(t, amisim.Config{})
	r := harness.Bridge(t, harness.NATS(t), strict, harness.ChaosServer("pbx1", addr))
	seen := make(chan []harness.Record, 1)
	sim.Next("CoreStatus", func(s *amisim.Session, a *amisim.Action) {
		seen <- r.Audit()
		s.Serve(a)
	})
	if reply := r.Call("pbx1", "CoreStatus", `{"X-Note":"a"}`); reply.Error != nil {
		t.Fatalf("%+v", reply.Error)
	}
	if got := <-seen; len(got) != 1 || got[0].Phase != "intent" || got[0].Decision != "allowed" || got[0].Outcome != "" ||
		got[0].Sent != "" || got[0].Fields["X-Note"] != "a" {
		t.Errorf("when Asterisk was asked the stream held %+v", got)
	}
	all := r.RecordsOf(t, 2)
	if all[1].End() != "pbx1 outcome allowed answered yes 0\n" || all[1].Ask != all[0].Ask || all[1].ActionID == "" {
		t.Errorf("%s", all[1].Text)
	}
	if e := r.Call("pbx1", "Login", "").Error; e == nil || e.Kind != "forbidden" {
		t.Errorf("Login: %+v", e)
	}
	if all = r.RecordsOf(t, 3); all[2].End() != "pbx1 outcome refused forbidden no 403\n" {
		t.Errorf("%s", all[2].Text)
	}
	if err := broken(all); err != nil {
		t.Error(err)
	}
}

// Without the stream nothing is sent; what was not sent is recorded once it is
// back.
func TestAudit_StrictSendsNothingWithoutTheStream(t *testing.T) {
	t.Parallel()
	sim, addr := harness.Sim(t, amisim.Config{})
	r := harness.Bridge(t, harness.NATS(t), strict, harness.ChaosServer("pbx1", addr))
	bring := harness.TakeStream(t, r.Client, streams.AuditStream)
	for _, timeout := range []string{"300ms", "50s"} {
		began := time.Now()
		e := r.Call("pbx1", "CoreStatus", "", "Ami-Timeout", timeout).Error
		if e == nil || e.Code != 503 || e.Kind != "audit_unavailable" || e.Sent != "no" {
			t.Errorf("%+v", e)
		}
		if took := time.Since(began); took > 45*time.Second {
			t.Errorf("Ami-Timeout %s: refused after %v", timeout, took)
		}
	}
	bring()
	all := r.RecordsOf(t, 4)
	phases := map[string]int{}
	for _, one := range all {
		phases[one.Phase+" "+one.Outcome]++
	}
	if err := broken(all); err != nil || phases["intent "] != 2 || phases["outcome audit_unavailable"] != 2 {
		t.Errorf("%v; %v", err, phases)
	}
	harness.Eventually(t, "Actions go out again", func() bool { return r.Call("pbx1", "CoreSettings", "").Error == nil })
	if n := sim.Received("CoreStatus"); n != 0 {
		t.Errorf("CoreStatus was sent %d times", n)
	}
}

// Each server that may get the Action is named before it can.
func TestAudit_StrictNamesEveryServerThatIsTried(t *testing.T) {
	full, fullAddr := harness.Sim(t, amisim.Config{})
	other, otherAddr := harness.Sim(t, amisim.Config{})
	pbx1, pbx2 := harness.ChaosServer("pbx1", fullAddr), harness.ChaosServer("pbx2", otherAddr)
	pbx1.MaxPending, pbx1.State = 1, nil // the state would be asked for by the one Action that may wait
	r := harness.Bridge(t, harness.NATS(t), strict, pbx1, pbx2)
	full.Next("CoreSettings", amisim.Ignore)
	r.Ask("pbx1", "CoreSettings", "")
	harness.Eventually(t, "pbx1 is busy", func() bool { return full.Received("CoreSettings") == 1 })
	for range 2 { // one of them is pbx1's turn
		if reply := r.Call("any", "CoreStatus", ""); reply.Error != nil || reply.Server != "pbx2" {
			t.Fatalf("%+v", reply)
		}
	}
	if n := other.Received("CoreStatus"); n != 2 {
		t.Errorf("pbx2 got %d", n)
	}
	tried := map[string]string{} // by request: the next may come before the last is recorded
	for _, one := range r.RecordsOf(t, 6)[1:] {
		tried[one.Ask] += one.Server + " " + one.Phase + ","
	}
	want := []string{"pbx1 intent,pbx2 intent,pbx2 outcome,", "pbx2 intent,pbx2 outcome,"}
	if got := slices.Sorted(maps.Values(tried)); !slices.Equal(got, want) {
		t.Errorf("records: %q", got)
	}
	full.Kick() // what it has not answered ends
}

// What ends while NATS is away is recorded once and in order when it is back.
func TestAudit_SurvivesARestartOfNATS(t *testing.T) {
	t.Parallel()
	nats := harness.StartNATS(t)
	sim, addr := harness.Sim(t, amisim.Config{})
	r := harness.Bridge(t, nats.URL, harness.ChaosConfig, harness.ChaosServer("pbx1", addr))
	sim.Always("CoreStatus", amisim.Ignore)
	const n = 50
	for range n {
		r.Ask("pbx1", "CoreStatus", "")
	}
	harness.Eventually(t, "all are asked for", func() bool { return sim.Received("CoreStatus") == n })
	nats.Kill()
	sim.Kick()
	harness.Eventually(t, "all have ended", func() bool { return r.Metric("actions_total", "result", "failed") == n })
	harness.Eventually(t, "their records wait", func() bool { return r.Metric("audit_queue_bytes") > 0 }) // they follow the replies
	if stored := r.Metric("audit_records_total"); stored != 0 {
		t.Errorf("%v records are stored", stored)
	}
	nats.Start()
	harness.Eventually(t, "all are stored", func() bool { return r.Metric("audit_records_total") == n })
	harness.Eventually(t, "the client is back", r.Client.IsConnected)
	all := r.RecordsOf(t, n)
	for _, one := range all {
		if one.Outcome != "connection_lost" {
			t.Errorf("%s", one.Text)
		}
	}
	if err := broken(all); err != nil {
		t.Error(err)
	}
	if r.Metric("audit_queue_bytes") != 0 {
		t.Errorf("%v bytes wait", r.Metric("audit_queue_bytes"))
	}
}

// What waits for the stream when the bridge is told to stop is stored if the
// stream comes back in time.
func TestAudit_ShutdownWaitsForTheStream(t *testing.T) {
	sim, addr := harness.Sim(t, amisim.Config{})
	r := harness.Bridge(t, harness.NATS(t), harness.ChaosConfig, harness.ChaosServer("pbx1", addr))
	bring := harness.TakeStream(t, r.Client, streams.AuditStream)
	for range 5 {
		r.Call("pbx1", "CoreStatus", "")
	}
	stopped := make(chan error, 1)
	go func() { stopped <- r.Stop() }()
	harness.Eventually(t, "the sessions are logged off", func() bool { return sim.Sessions() == 0 })
	bring()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if err := broken(r.RecordsOf(t, 5)); err != nil {
		t.Error(err)
	}
}
