package bridge

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// /readyz and the node's state say of each endpoint whether requests arrive, or
// why not, and of NATS the state of the connection that is worse off.
func TestHTTP_TellsWhatIsAnswered(t *testing.T) {
	s := natstest.Start(t, t.TempDir(), 0)
	b := testBridge(t, s.ClientURL(), config.DeliverJetStream)
	wants := func(what, pbx1, others, nats string, connections map[string]string, unanswered string) {
		t.Helper()
		recorder := httptest.NewRecorder()
		b.readyz(recorder, nil)
		var body readiness
		if err := json.Unmarshal(recorder.Body.Bytes(), &body); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"pbx1": pbx1, "any": others, "all": others}
		if recorder.Code != 503 || body.Ready || fmt.Sprint(body.Actions) != fmt.Sprint(want) {
			t.Errorf("%s: %d, %v, want %v", what, recorder.Code, body.Actions, want)
		}
		if body.NATS != nats || fmt.Sprint(body.Connections) != fmt.Sprint(connections) {
			t.Errorf("%s: NATS is %s, %v", what, body.NATS, body.Connections)
		}
		if node := b.nodeStatus(time.Now()); fmt.Sprint(node.Unanswered) != unanswered || node.NATS != nats {
			t.Errorf("%s: the node says %v, %s", what, node.Unanswered, node.NATS)
		}
	}
	up := map[string]string{"events": "CONNECTED", "control": "CONNECTED"}
	wants("at first", natsconn.ErrNotYet.Error(), natsconn.ErrNotYet.Error(), "CONNECTED", up, "[all any pbx1]")
	for _, e := range b.actions.Endpoints() {
		if _, err := b.control.Subscribe(e.Subject(), "q", func(*nats.Msg) {}); err != nil {
			t.Fatal(err)
		}
	}
	b.control.Confirm(t.Context())
	wants("subscribed", answered, answered, "CONNECTED", up, "[]")
	b.control.Failed(fmt.Errorf("%w: Permissions Violation for Subscription to %q", nats.ErrPermissionViolation, "ami.actions.pbx1.*"))
	wants("denied", "NATS does not let the bridge subscribe to ami.actions.pbx1.*", answered, "CONNECTED", up, "[pbx1]")
	b.control.Confirm(t.Context())
	b.events.Get().Close()
	down := map[string]string{"events": "CLOSED", "control": "CONNECTED"}
	wants("without events", "NATS does not let the bridge subscribe to ami.actions.pbx1.*", answered, "CLOSED", down, "[pbx1]")
	b.control.Get().Close()
	down["control"] = "CLOSED"
	const away = "the connection control is not up"
	wants("without control", away, away, "CLOSED", down, "[all any pbx1]")
}

// /readyz is 200 while both connections and all sessions of one server are up, and
// its requests arrive; each of these alone makes it 503.
func TestHTTP_ReadyWantsAllOfOneServer(t *testing.T) {
	a := run(t, Deps{}, nil, nil, "pbx1", "pbx2")
	code := func() int {
		recorder := httptest.NewRecorder()
		a.readyz(recorder, nil)
		return recorder.Code
	}
	natstest.Within(t, "ready", func() bool { return code() == 200 })
	for name, c := range map[string]*natsconn.Conn{"events": a.events, "control": a.control} {
		for got := 200; got == 200; {
			closed := c.Get()
			closed.Close()
			if got = code(); got == 200 && c.Get() == closed { // else another was made before
				t.Fatalf("without %s it is %d", name, got)
			}
		}
		natstest.Within(t, "ready again", func() bool { return code() == 200 })
	}
	drop := func(name string) { // one of two sessions
		a.sims[name].Always(amisim.Accept, amisim.Refuse)
		a.sims[name].Next("CoreStatus", amisim.Refuse)
		a.ask(1, name, "CoreStatus", "")
		natstest.Within(t, name+" has lost one", func() bool {
			s := a.serverNamed(name)
			return !s.link.Ready()
		})
	}
	drop("pbx1")
	if got := code(); got != 200 {
		t.Errorf("with one of two servers it is %d", got)
	}
	drop("pbx2")
	if got := code(); got != 503 {
		t.Errorf("with half of each server it is %d", got)
	}
	metrics := a.gathered()
	if metrics["ami_session_up event pbx1"] != 1 || metrics["ami_session_up action pbx1"] != 0 {
		t.Errorf("sessions %v, %v", metrics["ami_session_up event pbx1"], metrics["ami_session_up action pbx1"])
	}
	for _, name := range []string{"pbx1", "pbx2"} {
		a.sims[name].Always(amisim.Accept, nil)
		natstest.Within(t, name+" is back", a.serverNamed(name).link.Ready)
	}
	natstest.Within(t, "ready in the end", func() bool { return code() == 200 })
	drop("pbx2")
	if got := code(); got != 200 {
		t.Errorf("with all of pbx1 it is %d", got)
	}
	a.control.Failed(fmt.Errorf("%w: Permissions Violation for Subscription to %q", nats.ErrPermissionViolation, "ami.actions.pbx1.*"))
	if got := code(); got != 503 {
		t.Errorf("with requests of pbx1 that do not arrive it is %d", got)
	}
}

// serverNamed is the server of that name.
func (a *running) serverNamed(name string) *server {
	for _, s := range a.servers.here() {
		if s.cfg.Name == name {
			return s
		}
	}
	a.t.Fatalf("no server %s", name)
	return nil
}
