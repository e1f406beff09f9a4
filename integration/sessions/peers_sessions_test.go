package sessions

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// A name is used as it is or refused: it is never turned into another one that
// replies then do not match.
func TestPeers_AServersNameIsTakenAsItIsOrRefused(t *testing.T) {
	for _, name := range []string{"pbx 01", "node-ä", "10.0.0.1:5038", strings.Repeat("n", 33), strings.Repeat("n", 200), "", "a.b", "a>", "any"} {
		cfg := config.DefaultConfig()
		cfg.Node, cfg.Servers = "b1", []config.ServerConfig{harness.Server(name, "10.0.0.1:5038", "bridge", "s3cret")}
		if _, err := bridge.New(cfg, bridge.Deps{}); err == nil || !strings.Contains(err.Error(), "SERVERS: ") {
			t.Errorf("%.40q: %v, want a refusal that names SERVERS", name, err)
		}
	}
	names := []string{"p", "-_-", "PBX-eu_1", strings.Repeat("n", 32)}
	url := harness.NATS(t)
	var servers []config.ServerConfig
	for _, name := range names {
		_, addr := harness.Sim(t, amisim.Config{NotBooted: true})
		servers = append(servers, harness.Server(name, addr, "bridge", "s3cret"))
	}
	r := harness.Bridge(t, url, func(c *config.Config) { c.Node = strings.Repeat("b", 64) }, servers...)
	for _, name := range names {
		got := r.Call(name, "CoreStatus", "")
		if got.Error != nil || got.Server != name || got.Fields["ActionID"] != got.ActionID || !strings.Contains(got.ActionID, "."+name+".") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Actions that find the write buffer full are refused one by one; what was
// accepted is answered, and the session stays.
func TestPeers_AFullWriteBufferKeepsTheSession(t *testing.T) {
	t.Parallel()
	sim, r := harness.SimBridge(t, amisim.Config{NotBooted: true}, func(s *config.ServerConfig) {
		s.WriteBufferBytes, s.ActionTimeout = 256*setting.KiB, 110*time.Second
		s.ReadTimeout = 5 * time.Minute // the events' session is frozen too
	})
	states := r.Subscribe("ami.status.pbx1.connection")
	before := r.Call("pbx1", "CoreStatus", "")
	thaw := sim.FreezeReads()
	defer thaw()
	// 100 KB an action: no socket's buffer takes all of them.
	body := `{"Variable":["` + strings.Repeat(strings.Repeat("x", 900)+`","`, 110) + `x"]}`
	const n = 250
	inbox := nats.NewInbox()
	answers := r.Subscribe(inbox)
	for range n {
		r.Send(inbox, "Getvar", body)
	}
	// The refusals come at once; an answer comes only after the thaw.
	first := r.Answer(answers)
	harness.IsError(t, first, 429, "busy", "no")
	thaw()
	busy, answered := 1, 0
	for range n - 1 {
		switch got := r.Answer(answers); {
		case got.Error == nil:
			answered++
		case got.Error.Kind == "busy":
			busy++
		default:
			t.Fatalf("%+v", got)
		}
	}
	if got := sim.Received("Getvar"); got != answered || answered == 0 {
		t.Errorf("%d answered and %d refused, while %d reached the server", answered, busy, got)
	}
	if after := r.Call("pbx1", "CoreStatus", ""); after.Error != nil || harness.SessionOf(after) != harness.SessionOf(before) {
		t.Errorf("then %+v, want an answer on session %s", after, harness.SessionOf(before))
	}
	if n := r.Changes(states); n != 0 {
		t.Errorf("%d changes of the connection, want none", n)
	}
}

// A session that dies ends every pending action at once, each with what is
// known of it, and the next session sends none of them again.
func TestPeers_NothingIsSentAgainAfterAReconnect(t *testing.T) {
	const n = 50
	sim, r := harness.SimBridge(t, amisim.Config{NotBooted: true}, nil)
	states := r.Subscribe("ami.status.pbx1.connection")
	sim.Always("QueueReload", amisim.Ignore)
	inbox := nats.NewInbox()
	answers := r.Subscribe(inbox)
	for i := range n {
		r.Send(inbox, "QueueReload", fmt.Sprintf(`{"Queue":"%d"}`, i))
	}
	harness.Eventually(t, "all are there", func() bool { return sim.Received("QueueReload") == n })
	sim.Abort()
	for range n {
		if got := r.Answer(answers); got.Error == nil || got.Error.Code != 502 || got.Error.Sent != "unknown" || got.Response != "" {
			t.Fatalf("%+v, want 502, sent unknown", got)
		}
	}
	for up := 0; up < 2; {
		if strings.Contains(string(r.Next(states).Data), `"to":"up"`) {
			up++
		}
	}
	// The session answers in order: what was sent again would have come first.
	if got := r.Call("pbx1", "CoreStatus", ""); got.Error != nil {
		t.Errorf("on the next session: %+v", got)
	}
	if got := sim.Received("QueueReload"); got != n {
		t.Errorf("%d actions reached the server, want %d", got, n)
	}
}

// TLS and the login by challenge, through the whole bridge: events, a list and
// an action of more than one TLS record.
func TestPeers_TLSAndTheChallenge(t *testing.T) {
	cert, ca, err := amisim.NewCertificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true, TLS: &tls.Config{Certificates: []tls.Certificate{cert}}})
	s := harness.Server("pbx1", addr, "bridge", "s3cret")
	s.TLS, s.TLSCaFile = true, filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(s.TLSCaFile, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	r := harness.Bridge(t, harness.NATS(t), nil, s)
	if challenges, logins := sim.Received("Challenge"), sim.Received("Login"); challenges != 2 || logins != 2 {
		t.Errorf("%d challenges for %d logins", challenges, logins)
	}
	events := r.Subscribe("ami.events.pbx1.Tick")
	for i := range 100 {
		sim.Emit("Event", "Tick", "N", fmt.Sprint(i))
	}
	for i := range 100 {
		if msg := r.Next(events); !strings.Contains(string(msg.Data), fmt.Sprintf(`"N":"%d"`, i)) {
			t.Fatalf("event %d is %s", i, msg.Data)
		}
	}
	if got := r.Call("pbx1", "QueueStatus", ""); got.Error != nil || len(got.Events) != 8 {
		t.Errorf("the list has %d events, %+v", len(got.Events), got.Error)
	}
	long := fmt.Sprintf(`{"Variable":"x","Value":"%s","Filler":"%[1]s","Filler2":"%[1]s"}`, strings.Repeat("v", 900))
	if got := r.Call("pbx1", "Setvar", long); got.Error != nil {
		t.Errorf("an action of 2700 bytes: %+v", got.Error)
	}
	// The rest of a longer record waits for the next one, a Ping if need be.
	if n := sim.LargestRecord(); n > 1024 {
		t.Errorf("a record held %d bytes: Asterisk takes 1024", n)
	}
}

// Two processes of one node, one after the other, number their actions from 1
// both, and no ActionID comes twice: an answer that is late for the first is
// nobody's at the second.
func TestPeers_ActionIDsOfTwoProcessesDiffer(t *testing.T) {
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	url, seen := harness.NATS(t), map[string]bool{}
	var late string
	for process := range 2 {
		r := harness.Bridge(t, url, nil, harness.Server("pbx1", addr, "bridge", "s3cret"))
		if late != "" {
			sim.Next("CoreStatus", amisim.Before("Response: Success\r\nActionID: "+late+"\r\nMessage: late\r\n\r\n"))
		}
		for range 50 {
			got := r.Call("pbx1", "CoreStatus", "")
			if got.Error != nil || got.Message == "late" || seen[got.ActionID] {
				t.Fatalf("process %d: %+v, seen before: %v", process, got, seen[got.ActionID])
			}
			seen[got.ActionID] = true
			if late == "" {
				late = got.ActionID
			}
		}
		if n := r.Metric("responses_unmatched_total"); n != float64(process) {
			t.Errorf("process %d: %v unmatched responses", process, n)
		}
		if err := r.Stop(); err != nil {
			t.Fatal(err)
		}
	}
}
