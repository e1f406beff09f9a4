package security

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/actions"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// With the permissions of deploy/nats, and TLS on both sides, everything works
// and nats-server refuses nothing.
func TestSecurity_TheBridgeMayDoWhatItNeeds(t *testing.T) {
	s := harness.SecuredNATS(t, nil)
	sim, r, lines := s.Bridge()
	reader, dialer := s.As(r, "reader"), s.As(r, "dialer")
	events, nodes := reader.Subscribe("ami.events.>"), reader.Subscribe("ami.nodes.*")
	statuses := reader.Subscribe("ami.status.pbx1.buffers")
	sim.Emit("Event", "Tick")
	if msg := reader.Next(events); msg.Subject != "ami.events.pbx1.Tick" {
		t.Errorf("came %s", msg.Subject)
	}
	reader.Next(statuses)
	reader.Next(nodes)
	harness.Succeeds(t, dialer.Call("pbx1", "QueueStatus", ""))
	harness.Succeeds(t, dialer.Call("any", "QueueStatus", ""))
	parts, last := harness.Streamed(dialer, dialer.Ask("pbx1", "QueueStatus", "", "Ami-Reply", "stream"), func(map[string]any) {})
	if harness.Succeeds(t, last); parts == 0 {
		t.Error("a stream without parts")
	}
	harness.Succeeds(t, r.Call("pbx1", "QueueStatus", ""))
	if _, err := r.Client.Request("$SRV.STATS."+actions.ServiceName, nil, harness.Patience); err != nil {
		t.Errorf("discovery: %v", err)
	}
	r.Drained("pbx1", 1)
	board := harness.WatchState(t, r.Client)
	board.Is("pbx1", "syncing", "b1") // this Asterisk does not boot
	if err := r.Stop(); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	board.Is("pbx1", "stale", "b1")
	for _, line := range lines.FilterLevelExact(zapcore.ErrorLevel).All() {
		t.Errorf("logged: %s %v", line.Message, line.ContextMap())
	}
}

// Each thing that the bridge may do it does: without the right to, nats-server
// refuses it.
func TestSecurity_TheBridgeMayDoNoMore(t *testing.T) {
	for _, permission := range []string{
		"ami.events.>", "ami.status.>", "ami.nodes.>", "_R_.>", "_INBOX.>",
		"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.INFO.AMI_EVENTS", "$JS.API.STREAM.CREATE.AMI_EVENTS",
		"$JS.API.STREAM.INFO.AMI_STATUS", "$JS.API.STREAM.CREATE.AMI_STATUS",
		"_INBOX_amibridge_b1.>", "ami.actions.*.*", "$SRV.*", "$SRV.*.ami-bridge", "$SRV.*.ami-bridge.*",
	} {
		t.Run(permission, func(t *testing.T) {
			s := harness.SecuredNATS(t, func(text string) string { return strings.Replace(text, `"`+permission+`"`, `"none"`, 1) })
			sim, addr := s.Asterisk()
			core, lines := observer.New(zapcore.DebugLevel)
			cfg := s.Config(addr)
			cfg.ShutdownTimeout = time.Second // an event that may not be published never drains
			b, err := bridge.New(cfg, bridge.Deps{Logger: zap.New(core)})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			var group sync.WaitGroup
			defer group.Wait()
			defer cancel()
			group.Go(func() { _ = b.Run(ctx) }) // with an error, where it does not start
			callers := []*nats.Conn{s.Connect("dialer"), s.Connect("admin")}
			harness.Eventually(t, "a refusal", func() bool {
				sim.Emit("Event", "Tick")
				for _, nc := range callers {
					if err := nc.PublishRequest("ami.actions.pbx1.QueueStatus", "_INBOX.x", nil); err != nil {
						t.Fatal(err)
					}
				}
				for _, line := range lines.FilterMessage("nats error").All() {
					if strings.Contains(fmt.Sprint(line.ContextMap()), "Permissions Violation") {
						return true
					}
				}
				return false
			})
		})
	}
}

// A wrong password is said to be one, and not told.
func TestSecurity_AWrongPassword(t *testing.T) {
	s := harness.SecuredNATS(t, nil)
	cfg := s.Config("127.0.0.1:1")
	cfg.NATS.Password = "wr0ng-pa55"
	if nc, err := natsconn.Connect(cfg, "check"); err == nil || !strings.Contains(err.Error(), "Authorization Violation") ||
		strings.Contains(err.Error(), "wr0ng") {
		t.Errorf("the connection is %v, the error %v", nc, err)
	}
	core, lines := observer.New(zapcore.DebugLevel)
	b, err := bridge.New(cfg, bridge.Deps{Logger: zap.New(core)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	var runErr error
	group.Go(func() { runErr = b.Run(ctx) })
	said := func() (all string) {
		for _, line := range lines.All() {
			all += fmt.Sprintln(line.Message, line.ContextMap())
		}
		return all
	}
	harness.Eventually(t, "the reason is logged", func() bool { return strings.Contains(said(), "Authorization Violation") })
	cancel()
	group.Wait()
	if all := said() + fmt.Sprint(runErr); strings.Contains(all, "wr0ng") {
		t.Errorf("the password is told: %s", all)
	}
}
