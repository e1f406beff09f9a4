package security

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// sharing starts a bridge of that name that shares pbx1 at addr.
func sharing(t *testing.T, s *harness.Secured, addr, node string) (*harness.Running, *observer.ObservedLogs) {
	t.Helper()
	cfg := s.Config(addr)
	cfg.Node, cfg.HA, cfg.HASilence, cfg.Servers[0].PingInterval = node, true, 500*time.Millisecond, time.Second
	core, lines := observer.New(zapcore.DebugLevel)
	return harness.Run(t, zap.New(core), cfg), lines
}

func awaitLine(t *testing.T, lines *observer.ObservedLogs, message string) {
	t.Helper()
	harness.Eventually(t, message, func() bool { return lines.FilterMessage(message).Len() > 0 })
}

// With the permissions of deploy/nats, and the inbox of the second added as they say, two
// bridges share a server, and nats-server refuses nothing.
func TestSecurity_BridgesMayDoWhatTheyNeed(t *testing.T) {
	s := harness.SecuredNATS(t, func(text string) string {
		return strings.Replace(text, `# "_INBOX_amibridge_b2.>"`, `"_INBOX_amibridge_b2.>"`, 1)
	})
	sim, addr := s.Asterisk()
	b1, of1 := sharing(t, s, addr, "b1")
	awaitLine(t, of1, "leads")
	b2, of2 := sharing(t, s, addr, "b2")
	if err := sim.WaitEventSessions(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	sim.Emit("Event", "Tick")
	harness.Eventually(t, "the event is stored", func() bool { // by either: b1 may have been silent for too long
		return b1.Metric("events_published_total")+b2.Metric("events_published_total") == 1
	})
	if err := b1.Stop(); err != nil {
		t.Error(err)
	}
	awaitLine(t, of2, "leads")
	harness.Eventually(t, "Actions are answered", func() bool {
		m, err := s.Connect("dialer").Request("ami.actions.pbx1.QueueStatus", nil, harness.Patience)
		return err == nil && strings.Contains(string(m.Data), "Success")
	})
	if err := b2.Stop(); err != nil {
		t.Error(err)
	}
	for node, lines := range map[string]*observer.ObservedLogs{"b1": of1, "b2": of2} {
		for _, line := range lines.FilterLevelExact(zapcore.ErrorLevel).All() {
			t.Errorf("%s logged: %s %v", node, line.Message, line.ContextMap())
		}
	}
}

// Nobody but bridges says who leads, or hears it; and a bridge does what it may.
func TestSecurity_OnlyBridgesSayWhoLeads(t *testing.T) {
	s := harness.SecuredNATS(t, nil)
	for _, user := range []string{"reader", "dialer", "auditor"} {
		s.MayPublish(user, false, "ami.ha.b1", "ami.terms.pbx1")
		s.MaySubscribe(user, false, "ami.ha.*", "ami.ha.>", "ami.terms.>")
	}
	s.MayPublish("bridge", true, "ami.ha.b1")
	s.MaySubscribe("bridge", false, "ami.terms.>")
	const publish, subscribe = `"ami.ha.>", "ami.terms.>"`, `"ami.ha.>"  `
	for says, change := range map[string][2]string{
		"publish to ami.ha.b1": {publish, `"ami.terms.>"`}, "publish to ami.terms.pbx1": {publish, `"ami.ha.>"`}, "subscribe to ami.ha.*": {subscribe, `"none"`},
	} {
		t.Run(says, func(t *testing.T) {
			s := harness.SecuredNATS(t, func(text string) string { return strings.Replace(text, change[0], change[1], 1) })
			_, addr := s.Asterisk()
			_, lines := sharing(t, s, addr, "b1")
			awaitLine(t, lines, "this bridge leads nothing more")
			if got := fmt.Sprint(lines.FilterMessage("this bridge leads nothing more").All()[0].ContextMap()); !strings.Contains(got, says) {
				t.Errorf("it says %s, want %q", got, says)
			}
		})
	}
}
