package sessions

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// A server that refuses is tried less and less often by its own backoff: here
// the gate, which bounds sixty of them together, has room for a thousand a
// second.
func TestChaos_BackoffOfOneServerGrows(t *testing.T) {
	t.Parallel()
	const tries = 6
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	s := harness.ChaosServer("pbx1", addr)
	s.Sessions, s.BackoffMin, s.BackoffMax = 1, 40*time.Millisecond, 10*time.Second
	r := harness.Bridge(t, harness.NATS(t), func(c *config.Config) { harness.ChaosConfig(c); c.ConnectRate = 1000 }, s)
	tried := make(chan time.Time, 1000)
	sim.Always(amisim.Accept, func(s *amisim.Session, _ *amisim.Action) {
		tried <- time.Now()
		s.Close()
	})
	began := time.Now()
	sim.Kick()
	for range tries {
		harness.Within(t, "a connect", tried)
	}
	// Each wait is half of its length at the least, and they double, up to 0.8 s
	// at first. A slow machine only makes this longer.
	least := time.Duration(0)
	for i := range tries {
		least += min(time.Duration(float64(s.BackoffMin)*math.Pow(2, float64(i))), 800*time.Millisecond) / 2
	}
	if took := time.Since(began); took < least {
		t.Errorf("%d connects took %v, want %v at least", tries, took, least)
	}
	if got := r.Call("pbx1", "Ping", ""); got.Error == nil || got.Error.Kind != "not_connected" {
		t.Errorf("an action to a server that is down: %+v", got.Error)
	}
}

// A session that waits for its turn at the gate can be cancelled: a bridge whose
// sessions would not come up for hours stops at once.
func TestChaos_WaitAtTheGateIsCancelled(t *testing.T) {
	one, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	s := harness.ChaosServer("pbx1", addr)
	s.Sessions = 1
	r := harness.Bridge(t, harness.NATS(t), func(c *config.Config) { harness.ChaosConfig(c); c.ConnectRate = 0.0001 }, s)
	states := r.Subscribe("ami.status.pbx1.connection")
	one.Kick()
	r.AwaitText(states, `"to":"connecting"`) // for the ten thousand seconds of the gate
	began := time.Now()
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v to stop", took)
	}
	r.AwaitText(states, `"to":"stopped"`)
	if n := one.Received("Login"); n != 1 {
		t.Errorf("%d logins, want the first alone", n)
	}
}

// An action that an open breaker refuses was not sent, and its caller is told
// when to come again: not before the breaker lets anyone through.
func TestChaos_OpenBreakerSaysWhenToComeAgain(t *testing.T) {
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	s := harness.ChaosServer("pbx1", addr)
	s.BreakerFailures = 2
	r := harness.Bridge(t, harness.NATS(t), harness.ChaosConfig, s)
	sim.Always(amisim.Accept, amisim.Refuse)
	breaker := r.Subscribe("ami.status.pbx1.breaker")
	sim.Kick()
	r.Next(breaker)
	before := sim.Received("CoreStatus")
	refused := r.Ask("pbx1", "CoreStatus", "")
	msg := r.Next(refused)
	harness.Fails(t, harness.ParseReply(t, msg), "breaker_open", "no")
	var body struct {
		Error struct {
			Code       int
			RetryAfter int64 `json:"retry_after_ms"`
		}
	}
	if err := json.Unmarshal(msg.Data, &body); err != nil {
		t.Fatal(err)
	}
	wait := time.Duration(body.Error.RetryAfter) * time.Millisecond
	if body.Error.Code != 503 || wait <= 0 || wait > time.Second {
		t.Errorf("refused with %d, to come again in %v; the breaker is open for less than a second at first", body.Error.Code, wait)
	}
	if n := sim.Received("CoreStatus"); n != before {
		t.Errorf("the server has got %d actions that were refused", n-before)
	}
	if n, _, _ := refused.Pending(); n != 0 {
		t.Errorf("%d replies more", n)
	}
}
