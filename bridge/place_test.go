package bridge

import (
	"slices"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/actions"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// A server that others read has no session here, and is this bridge's still: it is read
// again when its turn comes, with the settings of that time. One that is removed meanwhile
// goes, and may come back. Nobody else's session is touched.
func TestPlace_AServerRestsAndIsReadAgain(t *testing.T) {
	t.Parallel()
	r := run(t, Deps{}, func(cfg *config.Config) { cfg.HA = true }, nil, "pbx1", "pbx2")
	pbx1, pbx2 := r.cfg.Servers[0], r.cfg.Servers[1]
	sessions := func(n int) {
		t.Helper()
		natstest.Within(t, "the sessions of pbx1", func() bool { return r.sims["pbx1"].Sessions() == n })
	}
	answers := func(name string) {
		t.Helper()
		natstest.Within(t, name+" answers", func() bool {
			reply, err := r.nc.Request("ami.actions."+name+".Ping", nil, natstest.Patience)
			return err == nil && strings.Contains(string(reply.Data), `"response":"Success"`)
		})
	}
	answers("pbx1")
	token := sessionsOf(t, r.server("pbx2"))

	r.place(nil, []string{"pbx1", "pbx9"})
	sessions(0)
	if s := r.server("pbx1"); s == nil || !s.rests() || len(r.servers.leaving()) > 0 {
		t.Fatalf("pbx1 is not there any more, or does not rest: %+v", s)
	}
	if r.tapOf("pbx1") != nil || r.tapOf("pbx2") == nil {
		t.Error("a page is to show the events of a server that others read, and waits for them for ever")
	}
	if told := toldSessions(t, r.Bridge); !slices.Equal(told, []string{"pbx2", "pbx2"}) {
		t.Errorf("the metrics tell of sessions of %q", told)
	}
	other := pbx1
	other.Charset = frames.Latin1
	if c := mustReload(t, r.Bridge, with(r.cfg, nil, other, pbx2)); !slices.Equal(c.Restarted, []string{"pbx1"}) {
		t.Errorf("%+v", c)
	}
	r.place(nil, []string{"pbx1"})
	sessions(0)

	r.place([]string{"pbx1", "pbx9"}, nil)
	sessions(2)
	if got := r.server("pbx1").cfg.Charset; got != frames.Latin1 {
		t.Errorf("it is read in %v", got)
	}
	answers("pbx1")

	r.place(nil, []string{"pbx1"})
	sessions(0)
	mustReload(t, r.Bridge, with(r.cfg, nil, pbx2))
	natstest.Within(t, "pbx1 has left", func() bool { return len(r.servers.all()) == 1 })
	r.place([]string{"pbx1"}, nil)
	sessions(0)
	mustReload(t, r.Bridge, with(r.cfg, nil, pbx1, pbx2))
	sessions(2) // the only one that has it reads it
	if sessionsOf(t, r.server("pbx2")) != token {
		t.Error("pbx2 has logged in anew")
	}
}

// toldSessions are the servers of whose sessions the metrics tell whether they are up.
func toldSessions(t *testing.T, b *Bridge) (servers []string) {
	t.Helper()
	families, err := b.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "ami_nats_bridge_ami_session_up" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "server" {
					servers = append(servers, l.GetValue())
				}
			}
		}
	}
	return servers
}

// A server that comes back while the sessions of before are being logged off waits for their
// end, as one does whose turn to be read comes again: else their end would be taken for that of
// the new ones, and nothing that these bring would be published.
func TestPlace_SessionsWaitForTheEndOfThoseBefore(t *testing.T) {
	t.Parallel()
	for name, again := range map[string]func(t *testing.T, r *running){
		"removed": func(t *testing.T, r *running) {
			mustReload(t, r.Bridge, with(r.cfg, nil, r.cfg.Servers[1]))
			mustReload(t, r.Bridge, r.cfg)
		},
		"placed, and changed": func(t *testing.T, r *running) {
			r.place(nil, []string{"pbx1"})
			other := r.cfg.Servers[0]
			other.Charset = frames.Latin1
			mustReload(t, r.Bridge, with(r.cfg, nil, other, r.cfg.Servers[1]))
			r.place([]string{"pbx1"}, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t, Deps{}, func(cfg *config.Config) { cfg.HA = true }, nil, "pbx1", "pbx2")
			sim, before := r.sims["pbx1"], r.server("pbx1")
			natstest.Within(t, "pbx1 is led", before.shared.Leads)
			sim.Next("Logoff", amisim.Ignore, amisim.Ignore)
			again(t, r)
			natstest.Within(t, "pbx1 is read again", func() bool { return r.server("pbx1").link.Ready() })
			select {
			case <-before.ended:
			default:
				t.Error("the sessions of before have not ended")
			}
			<-before.ended
			sim.Emit("Event", "Hangup", "Uniqueid", "1")
			natstest.Within(t, "its event is stored", func() bool { return r.server("pbx1").outbox.Account().Published > 0 })
		})
	}
}

// One that is removed while it is led, and has left, is led no more: as it comes back its requests
// are those of whoever leads it then.
func TestPlace_OneThatHasLeftIsNotLed(t *testing.T) {
	t.Parallel()
	r := run(t, Deps{}, func(cfg *config.Config) { cfg.HA = true }, nil, "pbx1", "pbx2")
	taken := func() bool {
		return slices.ContainsFunc(r.actions.Taken(), func(e *actions.Endpoint) bool { return e.Name == "pbx1" })
	}
	natstest.Within(t, "pbx1 is led", taken)
	mustReload(t, r.Bridge, with(r.cfg, nil, r.cfg.Servers[1]))
	natstest.Within(t, "pbx1 has left", func() bool { return len(r.servers.all()) == 1 })
	mustReload(t, r.Bridge, r.cfg)
	if taken() && !r.server("pbx1").shared.Leads() {
		t.Error("requests come to a bridge that does not lead")
	}
	natstest.Within(t, "pbx1 is led again", taken)
}
