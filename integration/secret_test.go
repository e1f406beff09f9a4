package integration

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
)

// An Asterisk that sends back what it was sent, where its message is cut, has
// none of it published, logged or served, whole or in part.
func TestInvariant_SecretsNeverLeaveInARefusal(t *testing.T) {
	const canary, part = "c4n4ry-s3cret", "c4n4ry"
	pad := strings.Repeat("x", 80-len(part))
	echo := func(s *amisim.Session, a *amisim.Action) { amisim.Deny(pad+a.Get("Secret")+a.Get("Key"))(s, a) }
	sim, addr := startSim(t, amisim.Config{Users: map[string]string{"bridge": canary}})
	plain, md5 := chaosServer("pbx1", addr), chaosServer("pbx2", addr)
	plain.Secret, plain.Auth, md5.Secret = canary, amiconn.AuthPlain, canary
	plain.BreakerFailures, md5.BreakerFailures = 5, 5
	core, lines := observer.New(zapcore.DebugLevel)
	web := freeAddr(t)
	r := startLogging(t, zap.New(core), natsURL(t), func(c *config.Config) { chaosConfig(c); c.HTTPAddr = web }, plain, md5)
	all := r.subscribe("ami.>")
	told := r.subscribe("ami.status.*.*")
	sim.Always("Login", echo)
	sim.Kick()
	for _, server := range []string{"pbx1", "pbx2"} {
		for _, state := range []string{`"to":"waiting"`, `"to":"open"`} {
			r.hear(told, `"server":"`+server+`"`, state, `"trigger":"interval"`, `Login refused`)
		}
	}
	shown := []string{get(t, web, "/readyz"), get(t, web, "/metrics"), fmt.Sprint(r.call("pbx1", "Ping", ""))}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if err := r.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, msg := range r.pending(all) {
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

// hear waits for a message with all of texts.
func (r *running) hear(sub *nats.Subscription, texts ...string) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		msg, err := sub.NextMsg(time.Until(deadline))
		if err != nil {
			r.t.Fatalf("%s: no %q: %v", sub.Subject, texts, err)
		}
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(string(msg.Data), text) }) {
			return
		}
	}
}

// get returns the body of a page.
func get(t *testing.T, addr, path string) string {
	t.Helper()
	answer, err := http.Get("http://" + addr + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || len(body) == 0 {
		t.Fatalf("%s: %q, %v", path, body, err)
	}
	return string(body)
}
