package sessions

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/policy"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// changedConfig is the bridge's configuration with one server changed.
func changedConfig(r *harness.Running, change func(all *config.Config, own *config.ServerConfig)) config.Config {
	cfg := r.Config
	cfg.Servers = []config.ServerConfig{r.Config.Servers[0]}
	change(&cfg, &cfg.Servers[0])
	return cfg
}

// What can change does so at once, for events and Actions, and no session is
// touched.
func TestReload_FiltersPermitsAndRatesAtOnce(t *testing.T) {
	sim, r := harness.SimBridge(t, amisim.Config{NotBooted: true}, nil)
	logins := sim.Received("Login")
	events := r.Subscribe("ami.events.pbx1.>")
	comes := func(emitted ...string) { // those that begin with a ! do not
		t.Helper()
		for _, name := range emitted {
			sim.Emit("Event", strings.TrimPrefix(name, "!"))
		}
		sim.Emit("Event", "Mark")
		for _, name := range emitted {
			if name[0] == '!' {
				continue
			}
			if msg := r.Next(events); !strings.HasSuffix(msg.Subject, "."+name) {
				t.Errorf("%s came, want %s", msg.Subject, name)
			}
		}
		if msg := r.Next(events); !strings.HasSuffix(msg.Subject, ".Mark") {
			t.Errorf("%s came, want Mark", msg.Subject)
		}
	}
	refusal := func(action string) string {
		t.Helper()
		e := r.Call("pbx1", action, "").Error
		if e == nil {
			return ""
		}
		return e.Message
	}
	comes("Hangup", "Newexten")
	if got := refusal("Command"); !strings.Contains(got, "BRIDGE_ACTIONS_ALLOW=Command grants it") {
		t.Errorf("Command is refused with %q", got)
	}
	r.Bridge.Reload(changedConfig(r, func(all *config.Config, own *config.ServerConfig) {
		all.ActionsAllow, all.ActionsDeny = setting.Globs{"Command"}, setting.Globs{"CoreStatus"}
		own.EventsDeny = setting.Globs{"Un*"}
		own.ActionRates = policy.Rates{{Pattern: "CoreSettings", Value: 0.001}}
	}))
	comes("Hangup", "!Unlink", "Newexten")
	if got := refusal("Command"); strings.Contains(got, "refused by default") {
		t.Errorf("Command is still refused: %q", got)
	}
	if got := refusal("CoreStatus"); !strings.Contains(got, "refused by BRIDGE_ACTIONS_DENY=CoreStatus") {
		t.Errorf("CoreStatus is refused with %q", got)
	}
	if got := refusal("CoreSettings"); got != "" {
		t.Errorf("the first CoreSettings: %q", got)
	}
	// The same rates again are no new ones: what has been taken is not given back.
	r.Bridge.Reload(changedConfig(r, func(_ *config.Config, own *config.ServerConfig) {
		own.ActionRates = policy.Rates{{Pattern: "CoreSettings", Value: 0.001}}
		own.EventsDeny = setting.Globs{"Hangup"}
	}))
	comes("!Hangup", "Unlink", "Newexten") // nothing of the filter before is remembered
	if got := refusal("CoreSettings"); !strings.Contains(got, "ACTION_RATES lets it") {
		t.Errorf("the second CoreSettings: %q", got)
	}
	r.Bridge.Reload(changedConfig(r, func(*config.Config, *config.ServerConfig) {}))
	comes("Hangup", "Unlink", "Newexten")
	if got := refusal("CoreStatus"); got != "" {
		t.Errorf("CoreStatus is still refused: %q", got)
	}
	if n := sim.Received("Login") - logins; n != 0 {
		t.Errorf("%d sessions logged in again", n)
	}
}

// Reloads under load lose nothing and count everything: each event is judged
// once, by the one filter or by the other.
func TestReload_UnderLoad(t *testing.T) {
	t.Parallel()
	sim, r := harness.SimBridge(t, amisim.Config{NotBooted: true}, nil)
	done := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			default:
			}
			r.Bridge.Reload(changedConfig(r, func(all *config.Config, own *config.ServerConfig) {
				if n%2 == 0 {
					own.EventsDeny, own.ActionRates = setting.Globs{"Newexten", "VarSet"}, policy.Rates{{Pattern: "Ping", Value: 1e6}}
					all.ActionsDeny = setting.Globs{"CoreStatus"}
				}
			}))
		}
	})
	group.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				r.Call("pbx1", "CoreStatus", "")
			}
		}
	})
	const n = 20_000
	if err := sim.Flood(t.Context(), n, amisim.Traffic{Seed: 1}); err != nil {
		t.Error(err)
	}
	close(done)
	group.Wait()
	// The machine may have been too busy for both filters: each is in force once more.
	judged := r.Subscribe("ami.events.pbx1.Judged")
	for _, deny := range []setting.Globs{{"Newexten"}, nil} {
		r.Bridge.Reload(changedConfig(r, func(_ *config.Config, own *config.ServerConfig) { own.EventsDeny = deny }))
		sim.Emit("Event", "Newexten")
		sim.Emit("Event", "Judged")
		r.Next(judged)
	}
	harness.Eventually(t, "the law holds with events filtered and published", func() bool {
		buffers := r.Subscribe("ami.status.pbx1.buffers")
		defer func() { _ = buffers.Unsubscribe() }()
		var b struct{ Received, Published, Filtered uint64 }
		if err := json.Unmarshal(r.Next(buffers).Data, &b); err != nil {
			t.Fatal(err)
		}
		return b.Received >= n && b.Received == b.Published+b.Filtered && b.Filtered > 0 && b.Published > 0
	})
}

// A password that is rotated on both sides is used with the next connect, from
// its file or as Reload brings it, and no connection is touched before.
func TestReload_NATSPasswordWithTheNextConnect(t *testing.T) {
	for _, kind := range []string{"file", "value"} {
		t.Run(kind, func(t *testing.T) {
			var options *natsserver.Options
			users := func(password string) []*natsserver.User {
				return []*natsserver.User{{Username: "admin", Password: "a"}, {Username: "bridge", Password: password}}
			}
			srv := natstest.Serve(t, func(o *natsserver.Options) {
				o.NoAuthUser, o.Users = "admin", users("first-password")
				options = o.Clone()
			})
			file := filepath.Join(t.TempDir(), "password")
			write := func(text string) {
				t.Helper()
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write("first-password\n")
			credentials := func(value string) func(*config.Config) {
				return func(c *config.Config) {
					c.NATS.User, c.NATS.Password = "bridge", setting.Secret(value)
					if kind == "file" {
						c.NATS.Password, c.NATS.PasswordFile = "", file
					}
				}
			}
			sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
			r := harness.Bridge(t, srv.ClientURL(), credentials("first-password"), harness.Server("pbx1", addr, "bridge", "s3cret"))
			logins := sim.Received("Login")
			write("second-password\r\n")
			r.Bridge.Reload(changedConfig(r, func(all *config.Config, _ *config.ServerConfig) { credentials("second-password")(all) }))
			options.Users = users("second-password")
			if err := srv.ReloadOptions(options); err != nil { // ends the connections that have the first
				t.Fatal(err)
			}
			events := r.Subscribe("ami.events.pbx1.>")
			sim.Emit("Event", "After")
			if msg := r.Next(events); !strings.HasSuffix(msg.Subject, ".After") {
				t.Errorf("came %s", msg.Subject)
			}
			harness.Eventually(t, "actions are answered again", func() bool {
				reply, err := r.Client.Request("ami.actions.pbx1.CoreStatus", nil, harness.Patience) // nobody may be there yet
				return err == nil && reply.Header.Get("Nats-Service-Error") == ""
			})
			if n := sim.Received("Login") - logins; n != 0 {
				t.Errorf("%d sessions logged in again", n)
			}
		})
	}
}

// An Originate that waits for an event which is not asked for is refused at once,
// whatever the bridge itself filters.
func TestWait_WithoutClassCallIsRefusedAtOnce(t *testing.T) {
	const body = `{"Channel":"Local/1@x","Application":"Wait","Async":"true"}`
	for events, refused := range map[amiconn.Events]bool{"agent,system": true, "off": true, "call": false, "on": false} {
		sim, r := harness.SimBridge(t, amisim.Config{NotBooted: true}, func(s *config.ServerConfig) {
			s.Events, s.EventsDeny = events, setting.Globs{"Originate*"}
			s.Variables = map[string]string{"EVENTS": "BRIDGE_AMI_EVENTS"}
		})
		e := r.Call("pbx1", "Originate", body, "Ami-Wait", "complete").Error
		want := "class call, which BRIDGE_AMI_EVENTS=" + string(events) + " does not ask for"
		switch {
		case refused && (e == nil || e.Code != 400 || e.Sent != "no" || !strings.Contains(e.Message, want)):
			t.Errorf("%s: %+v, want %q", events, e, want)
		case !refused && e != nil:
			t.Errorf("%s: %+v", events, e)
		}
		if n := sim.Received("Originate"); (n > 0) == refused {
			t.Errorf("%s: %d were sent", events, n)
		}
		if e := r.Call("pbx1", "Originate", body).Error; e != nil {
			t.Errorf("%s, not waited for: %+v", events, e)
		}
	}
}
