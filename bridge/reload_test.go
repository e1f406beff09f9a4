package bridge

import (
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config/configtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/policy/policytest"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// With another charset, rules read values in it, and so do requests and events.
func TestReload_TakesUpAnotherCharset(t *testing.T) {
	cfg, own := config.DefaultConfig(), config.DefaultServerConfig()
	own.Name, own.Addr, own.Username, own.Secret, own.Charset = "pbx1", "h:1", "u", "s3cret", frames.UTF8
	cfg.Node, cfg.Servers = "b1", []config.ServerConfig{own}
	b, err := New(cfg, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	next := cfg
	own.Charset = frames.Latin1
	next.Servers = []config.ServerConfig{own}
	if err := next.ActionsRules.Decode("Setvar: Value in (René)"); err != nil {
		t.Fatal(err)
	}
	if c, err := b.Reload(next); err != nil || !slices.Equal(c.Restarted, []string{"pbx1"}) {
		t.Errorf("%+v, %v", c, err)
	}
	policy := b.servers.here()[0].target.Policy()
	if r := policy.Refuses(policytest.Name("Setvar"), policytest.Headers("Variable: X\nValue: Ren\xe9")); r != nil {
		t.Errorf("what is written in Latin-1 is refused: %s", r.Reason)
	}
	if r := policy.Refuses(policytest.Name("Setvar"), policytest.Headers("Variable: X\nValue: Rene")); r == nil {
		t.Error("the new rule is not in force")
	}
}

// Which Actions are taken and which events are published changes at once, each
// server's for itself.
func TestReload_ChangesEachServersOwn(t *testing.T) {
	cfg := configtest.Valid()
	b, err := New(cfg, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	filtered := func(s *server) uint64 {
		for i, event := range []string{"Newexten", "RTCPSent", "Hangup"} {
			f, err := frames.NewReader(strings.NewReader("Event: "+event+"\r\n\r\n"), 1<<10).Next()
			if err != nil {
				t.Fatal(err)
			}
			s.ingest.OnEvent(amiconn.Event{Session: "s1", Seq: uint64(i + 1), At: time.Now(), Frame: f})
		}
		return s.outbox.Account().Filtered
	}
	for _, s := range b.servers.here() {
		if n := filtered(s); n != 0 {
			t.Errorf("%d events of %s are filtered before", n, s.cfg.Name)
		}
	}
	next := configtest.Valid()
	next.Servers[0].ActionsDeny, next.Servers[0].EventsDeny, next.Servers[0].ShedFirst = setting.Globs{"Ping"}, setting.Globs{"RTCP*"}, setting.Globs{"Newexten"}
	next.Servers[1].ActionsAllow = setting.Globs{"Command"}
	links := []*amiconn.Link{b.servers.here()[0].link, b.servers.here()[1].link}
	if c, err := b.Reload(next); err != nil || len(c.Added)+len(c.Removed)+len(c.Restarted) > 0 {
		t.Errorf("%+v, %v", c, err)
	}
	for i, want := range []map[string]string{
		{"Ping": "ACTIONS_DENY=Ping", "Command": "default", "CoreStatus": ""}, {"Ping": "", "Command": "", "CoreStatus": ""},
	} {
		for action, rule := range want {
			if got := policytest.Rule(b.servers.here()[i].target.Policy(), action, nil); got != rule {
				t.Errorf("%s refuses %s by %q, want %q", b.servers.here()[i].cfg.Name, action, got, rule)
			}
		}
	}
	for i, want := range []uint64{1, 0} {
		if n := filtered(b.servers.here()[i]); n != want {
			t.Errorf("%d events of %s are filtered, want %d", n, b.servers.here()[i].cfg.Name, want)
		}
	}
	for i, s := range b.servers.here() {
		if s.link != links[i] {
			t.Errorf("%s has another Link", s.cfg.Name)
		}
	}
}

// The next login goes by what was read again, also one that waits since it was
// refused; what became secret is hidden from then on.
func TestReload_LoginsGoByIt(t *testing.T) {
	var learned atomic.Pointer[[]string]
	a := run(t, Deps{
		Learn: func(secrets ...string) { learned.Store(&secrets) },
	}, nil, nil)
	sim, link := a.sims["pbx1"], a.servers.here()[0].link
	next := a.cfg
	next.Servers = []config.ServerConfig{a.cfg.Servers[0]}
	next.Servers[0].Secret, next.NATS.Password = "wr0ng-one", "n4ts-one"
	mustReload(t, a.Bridge, next)
	if said := learned.Load(); said == nil || !strings.Contains(strings.Join(*said, " "), "wr0ng-one") {
		t.Errorf("the log is told of the secrets %v", said)
	}
	records, err := a.nc.SubscribeSync("ami.audit.pbx1.Setvar")
	if err := errors.Join(err, a.nc.Flush()); err != nil {
		t.Fatal(err)
	}
	a.ask(1, "pbx1", "Setvar", `{"Variable":"x","Value":"say wr0ng-one and n4ts-one"}`)
	if record, err := records.NextMsg(natstest.Patience); err != nil || !strings.Contains(string(record.Data), `"say [redacted] and [redacted]"`) {
		t.Errorf("the audit has %v, %v", record, err)
	}
	if got := a.natsLogin.Config().Password; got != "n4ts-one" {
		t.Errorf("the next connect to NATS goes by %q", got)
	}
	sim.Kick()
	natstest.Within(t, "the login is refused", func() bool { return !link.Ready() && link.RetryIn() > 10*time.Second })
	mustReload(t, a.Bridge, a.cfg)
	natstest.Within(t, "the login is tried again", link.Ready)
}

// A bridge that runs for a year is given servers again and again: one that stays keeps none of
// the configurations that there were before, with all servers in each.
func TestReload_KeepsNoConfigurationOfBefore(t *testing.T) {
	t.Parallel()
	for _, shared := range []setting.Switch{false, true} {
		cfg := config.DefaultConfig()
		cfg.NATS.URL, cfg.HA = natstest.Start(t, t.TempDir(), 0).ClientURL(), shared
		b := connectedBridge(t, cfg, "pbx1")
		gone := make(chan struct{})
		reload := func(names ...string) *config.ServerConfig {
			var servers []config.ServerConfig
			for _, name := range names {
				servers = append(servers, b.cfg.Servers[0])
				servers[len(servers)-1].Name = name
			}
			mustReload(t, b, with(b.cfg, nil, servers...))
			return &servers[0]
		}
		runtime.AddCleanup(reload("pbx1", "pbx2"), func(gone chan struct{}) { close(gone) }, gone)
		reload("pbx1", "pbx2", "pbx3")
		natstest.Within(t, "the configuration that pbx2 came with is gone", func() bool {
			runtime.GC()
			select {
			case <-gone:
				return true
			default:
				return false
			}
		})
	}
}
