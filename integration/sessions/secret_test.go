package sessions

import (
	"fmt"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// An Asterisk that sends back what it was sent, where its message is cut, has
// none of it published, logged or served, whole or in part.
func TestInvariant_SecretsNeverLeaveInARefusal(t *testing.T) {
	const canary, part = "c4n4ry-s3cret", "c4n4ry"
	pad := strings.Repeat("x", 80-len(part))
	echo := func(s *amisim.Session, a *amisim.Action) { amisim.Deny(pad+a.Get("Secret")+a.Get("Key"))(s, a) }
	sim, addr := harness.Sim(t, amisim.Config{Users: map[string]string{"bridge": canary}})
	plain, md5 := harness.ChaosServer("pbx1", addr), harness.ChaosServer("pbx2", addr)
	plain.Secret, plain.Auth, md5.Secret = canary, amiconn.AuthPlain, canary
	plain.BreakerFailures, md5.BreakerFailures = 5, 5
	core, lines := observer.New(zapcore.DebugLevel)
	web := harness.Addr(t)
	r := harness.BridgeLogging(t, zap.New(core), harness.NATS(t), func(c *config.Config) { harness.ChaosConfig(c); c.HTTPAddr = web }, plain, md5)
	all := r.Subscribe("ami.>")
	told := r.Subscribe("ami.status.*.*")
	sim.Always("Login", echo)
	sim.Kick()
	for _, server := range []string{"pbx1", "pbx2"} {
		for _, state := range []string{`"to":"waiting"`, `"to":"open"`} {
			r.AwaitMessage(told, `"server":"`+server+`"`, state, `"trigger":"interval"`, `Login refused`)
		}
	}
	shown := []string{harness.Page(t, "http://"+web+"/readyz"), harness.Page(t, "http://"+web+"/metrics"), fmt.Sprint(r.Call("pbx1", "Ping", ""))}
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := r.Client.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, msg := range r.Pending(all) {
		shown = append(shown, fmt.Sprint(msg.Subject, msg.Header, string(msg.Data)))
	}
	refusals := 0
	for _, line := range lines.All() {
		shown = append(shown, fmt.Sprint(line.LoggerName, line.Message, line.ContextMap()))
		refusals += strings.Count(line.Message, "login refused")
	}
	for _, text := range shown {
		if strings.Contains(text, part) || strings.Contains(text, pad) {
			t.Errorf("a secret leaves: %s", text)
		}
	}
	if refusals == 0 {
		t.Error("no refusal was logged")
	}
}
