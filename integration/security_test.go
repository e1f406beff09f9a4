package integration

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
)

// With the permissions of deploy/nats, and TLS on both sides, everything works
// and nats-server refuses nothing.
func TestSecurity_TheBridgeMayDoWhatItNeeds(t *testing.T) {
	s := securedNATS(t, nil)
	sim, r, lines := s.bridge()
	reader, dialer := s.as(r, "reader"), s.as(r, "dialer")
	events, nodes := reader.subscribe("ami.events.>"), reader.subscribe("ami.nodes.*")
	statuses := reader.subscribe("ami.status.pbx1.buffers")
	sim.Emit("Event", "Tick")
	if msg := reader.next(events); msg.Subject != "ami.events.pbx1.Tick" {
		t.Errorf("came %s", msg.Subject)
	}
	reader.next(statuses)
	reader.next(nodes)
	succeeds(t, dialer.call("pbx1", "QueueStatus", ""))
	succeeds(t, dialer.call("any", "QueueStatus", ""))
	parts, last := streamed(dialer, dialer.ask("pbx1", "QueueStatus", "", "Ami-Reply", "stream"), func(map[string]any) {})
	if succeeds(t, last); parts == 0 {
		t.Error("a stream without parts")
	}
	succeeds(t, r.call("pbx1", "QueueStatus", ""))
	if _, err := r.nc.Request("$SRV.STATS."+actions.ServiceName, nil, patience); err != nil {
		t.Errorf("discovery: %v", err)
	}
	r.settled("pbx1", 1)
	if err := r.stop(); err != nil {
		t.Errorf("shutdown: %v", err)
	}
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
			s := securedNATS(t, func(text string) string { return strings.Replace(text, `"`+permission+`"`, `"none"`, 1) })
			sim, addr := s.asterisk()
			core, lines := observer.New(zapcore.DebugLevel)
			cfg := s.config(addr)
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
			callers := []*nats.Conn{s.connect("dialer"), s.connect("admin")}
			eventually(t, "a refusal", func() bool {
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
	s := securedNATS(t, nil)
	cfg := s.config("127.0.0.1:1")
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
	eventually(t, "the reason is logged", func() bool { return strings.Contains(said(), "Authorization Violation") })
	cancel()
	group.Wait()
	if all := said() + fmt.Sprint(runErr); strings.Contains(all, "wr0ng") {
		t.Errorf("the password is told: %s", all)
	}
}
