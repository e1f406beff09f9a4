package bridge

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/simtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

func mustReload(t *testing.T, b *Bridge, cfg config.Config) Change {
	t.Helper()
	c, err := b.Reload(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// with is cfg with these servers in place of its own, and these groups.
func with(cfg config.Config, groups []config.Group, servers ...config.ServerConfig) config.Config {
	cfg.Servers, cfg.Groups = servers, groups
	return cfg
}

// server is that of b with the name.
func (r *running) server(name string) *server { return named(r.servers.here(), name) }

// A server that comes answers Actions and has its events stored; one that goes answers
// none; groups, any and all have those that there are. Nobody else's session is touched.
func TestReload_ServersComeAndGo(t *testing.T) {
	r := run(t, Deps{}, func(cfg *config.Config) {
		cfg.Groups = []config.Group{{Name: "old", Servers: []string{"pbx2"}}}
	}, nil, "pbx1", "pbx2")
	pbx1, pbx2 := r.cfg.Servers[0], r.cfg.Servers[1]
	sims, more := simtest.Start(t, "pbx3")
	token, link := sessionsOf(t, r.server("pbx1")), r.server("pbx1").link

	c := mustReload(t, r.Bridge, with(r.cfg, []config.Group{{Name: "new", Servers: []string{"pbx1", "pbx3"}}}, pbx1, more[0]))
	if diff := cmp.Diff(Change{Added: []string{"pbx3"}, Removed: []string{"pbx2"}}, c); diff != "" {
		t.Error(diff)
	}
	natstest.Within(t, "pbx3", r.server("pbx3").link.Ready)
	for to, want := range map[string]string{"pbx1": "pbx1", "pbx3": "pbx3", "new": "pbx1 pbx3", "any": "pbx1 pbx3"} {
		for range 2 {
			if reply := string(r.ask(1, to, "Ping", "")[0].Data); !strings.Contains(reply, `"response":"Success"`) || !slices.Contains(strings.Fields(want), serverOf(reply)) {
				t.Errorf("%s answers %s", to, reply)
			}
		}
	}
	if replies := r.everything("Ping"); len(replies) != 2 {
		t.Errorf("all are %q", replies)
	}
	for _, gone := range []string{"pbx2", "old"} {
		natstest.Within(t, gone+" is not served", func() bool {
			_, err := r.nc.Request("ami.actions."+gone+".Ping", nil, time.Second)
			return errors.Is(err, nats.ErrNoResponders)
		})
	}
	natstest.Within(t, "pbx2 has left", func() bool { return len(r.servers.leaving()) == 0 && r.sims["pbx2"].Sessions() == 0 })
	if r.server("pbx1").link != link || sessionsOf(t, r.server("pbx1")) != token {
		t.Error("pbx1 has logged in anew")
	}
	sims["pbx3"].Emit("Event", "Hangup", "Uniqueid", "1")
	storedOf(t, r, "pbx3", 1)

	c = mustReload(t, r.Bridge, with(r.cfg, nil, pbx1, pbx2, more[0]))
	if diff := cmp.Diff(Change{Added: []string{"pbx2"}}, c); diff != "" {
		t.Error(diff)
	}
	natstest.Within(t, "pbx2 is back", r.server("pbx2").link.Ready)
	if reply := string(r.ask(1, "pbx2", "Ping", "")[0].Data); !strings.Contains(reply, `"response":"Success"`) {
		t.Errorf("pbx2 answers %s", reply)
	}
}

// everything is what all servers answer, up to the end.
func (r *running) everything(action string) (replies []string) {
	r.t.Helper()
	inbox := r.nc.NewInbox()
	sub, err := r.nc.SubscribeSync(inbox)
	if err == nil {
		err = r.nc.PublishMsg(&nats.Msg{Subject: "ami.actions.all." + action, Reply: inbox})
	}
	for err == nil {
		var m *nats.Msg
		if m, err = sub.NextMsg(natstest.Patience); err == nil && len(m.Data) == 0 {
			return replies
		}
		replies = append(replies, string(m.Data))
	}
	r.t.Fatal(err)
	return nil
}

// sessionsOf are the logins of a server whose sessions are both up.
func sessionsOf(t *testing.T, s *server) (logins string) {
	t.Helper()
	natstest.Within(t, "the sessions of "+s.link.Status().Server+" are up", func() bool {
		logins = ""
		for _, session := range s.link.Status().Sessions {
			if session.State != amiconn.StateUp {
				return false
			}
			logins += session.Session + " "
		}
		return true
	})
	return logins
}

func serverOf(reply string) string {
	_, rest, _ := strings.Cut(reply, `"server":"`)
	name, _, _ := strings.Cut(rest, `"`)
	return name
}

// storedOf is the data of so many messages in the stream, the first of a server.
func storedOf(t *testing.T, r *running, server string, n int) (all []string) {
	t.Helper()
	_, js := natstest.Client(t, r.cfg.NATS.URL)
	consumer, err := js.OrderedConsumer(t.Context(), streams.EventStream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{"ami.events." + server + ".>"}})
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		m, err := consumer.Next(jetstream.FetchMaxWait(natstest.Patience))
		if err != nil {
			t.Fatalf("%v behind %q", err, all)
		}
		all = append(all, string(m.Data()))
	}
	return all
}

// A server of which more has changed than can change logs in anew: its events go on in the
// same outbox, a Gap between them.
func TestReload_AChangedServerLogsInAnew(t *testing.T) {
	r := run(t, Deps{}, nil, nil, "pbx1", "pbx2")
	r.sims["pbx1"].Emit("Event", "Hangup", "Uniqueid", "1")
	storedOf(t, r, "pbx1", 1)
	other := sessionsOf(t, r.server("pbx2"))

	sims, moved := simtest.Start(t, "pbx1")
	c := mustReload(t, r.Bridge, with(r.cfg, nil, moved[0], r.cfg.Servers[1]))
	if diff := cmp.Diff(Change{Restarted: []string{"pbx1"}}, c); diff != "" {
		t.Error(diff)
	}
	natstest.Within(t, "it is at its other address", func() bool {
		return r.server("pbx1").link.Ready() && sims["pbx1"].Sessions() == 2 && r.sims["pbx1"].Sessions() == 0
	})
	sims["pbx1"].Emit("Event", "Hangup", "Uniqueid", "2")
	all := storedOf(t, r, "pbx1", 3)
	if !strings.Contains(all[0], `"Uniqueid":"1"`) || !strings.Contains(all[1], `"Event":"Gap"`) || !strings.Contains(all[1], `"Reason":"bridge_restart"`) || !strings.Contains(all[2], `"Uniqueid":"2"`) {
		t.Errorf("stored are %q", all)
	}
	if sessionsOf(t, r.server("pbx2")) != other {
		t.Error("pbx2 has logged in anew")
	}
	if reply := string(r.ask(1, "pbx1", "Ping", "")[0].Data); !strings.Contains(reply, `"response":"Success"`) || sims["pbx1"].Received("Ping") == 0 {
		t.Errorf("it answers %s", reply)
	}
}

// What a server that goes has brought is stored, though NATS is away as it goes, and it
// may come back before.
func TestReload_NothingOfAServerThatGoesIsLost(t *testing.T) {
	for name, comesBack := range map[string]bool{"it goes": false, "it comes back": true} {
		t.Run(name, func(t *testing.T) {
			dir, port := t.TempDir(), natstest.Port(t)
			first := natstest.Start(t, dir, port)
			url := first.ClientURL()
			r := run(t, Deps{}, func(cfg *config.Config) { cfg.NATS.URL = url }, nil, "pbx1", "pbx2")
			pbx1, pbx2 := r.cfg.Servers[0], r.cfg.Servers[1]
			r.sims["pbx2"].Emit("Event", "Hangup", "Uniqueid", "0")
			storedOf(t, r, "pbx2", 1)
			first.Shutdown()
			first.WaitForShutdown()
			const events = 500
			leaves := r.server("pbx2")
			for i := range events {
				r.sims["pbx2"].Emit("Event", "Hangup", "Uniqueid", strconv.Itoa(i+1))
			}
			natstest.Within(t, "they are read", func() bool { return leaves.outbox.Account().Received == events+1 })
			mustReload(t, r.Bridge, with(r.cfg, nil, pbx1))
			natstest.Within(t, "it has logged off", func() bool { return r.sims["pbx2"].Sessions() == 0 })
			if comesBack {
				mustReload(t, r.Bridge, with(r.cfg, nil, pbx1, pbx2))
				natstest.Within(t, "it is back", r.server("pbx2").link.Ready)
				r.sims["pbx2"].Emit("Event", "Hangup", "Uniqueid", "last")
			}
			natstest.Start(t, dir, port)
			if comesBack {
				all := storedOf(t, r, "pbx2", events+3)
				if !strings.Contains(all[events+1], `"Event":"Gap"`) || !strings.Contains(all[events+2], "last") {
					t.Errorf("behind what it brought before is %q", all[events+1:])
				}
				return
			}
			all := storedOf(t, r, "pbx2", events+1)
			for i, data := range all {
				if !strings.Contains(data, fmt.Sprintf(`"Uniqueid":"%d"`, i)) {
					t.Fatalf("event %d is %s", i, data)
				}
			}
			natstest.Within(t, "it has left", func() bool { return len(r.servers.all()) == 1 })
		})
	}
}

// Without a server an Action for any of them is refused at once, one for all has no
// answers; a server that comes is served.
func TestReload_AllServersMayGo(t *testing.T) {
	r := run(t, Deps{}, nil, nil)
	pbx1 := r.cfg.Servers[0]
	mustReload(t, r.Bridge, with(r.cfg, nil))
	if reply := string(r.ask(1, "any", "Ping", "")[0].Data); !strings.Contains(reply, `"kind":"not_connected"`) || !strings.Contains(reply, "this bridge has no server") {
		t.Errorf("any answers %s", reply)
	}
	if replies := r.everything("Ping"); len(replies) > 0 {
		t.Errorf("all answer %q", replies)
	}
	mustReload(t, r.Bridge, with(r.cfg, nil, pbx1))
	natstest.Within(t, "pbx1", r.server("pbx1").link.Ready)
	if reply := string(r.ask(1, "any", "Ping", "")[0].Data); !strings.Contains(reply, `"response":"Success"`) {
		t.Errorf("any answers %s", reply)
	}
}

// Before the bridge runs, and once it is to end, servers come and go as well, or not at all.
func TestReload_BeforeItRunsAndAsItEnds(t *testing.T) {
	sims, three := simtest.Start(t, "pbx1", "pbx2", "pbx3")
	r := run(t, Deps{}, func(cfg *config.Config) { cfg.Servers = three[:2] }, func(b *Bridge) {
		mustReload(t, b, with(b.cfg, nil, three[1], three[2]))
	}, "none")
	natstest.Within(t, "those there are", func() bool {
		return len(r.servers.all()) == 2 && sims["pbx2"].Sessions() == 2 && sims["pbx3"].Sessions() == 2
	})
	r.stop()
	if c := mustReload(t, r.Bridge, with(r.cfg, nil, three...)); len(c.Added) > 0 || sims["pbx1"].Sessions() > 0 {
		t.Errorf("after its end it has %v", c.Added)
	}
	if got := r.server("pbx2").link.Status().Sessions[0].State; got != amiconn.StateStopped {
		t.Errorf("pbx2 is %v", got)
	}
}

// The state of a server that goes is stale, that of one that comes back, or logs in anew,
// is what is up there now.
func TestReload_StateGoesAlong(t *testing.T) {
	r := run(t, Deps{}, nil, nil, "pbx1", "pbx2")
	pbx1, pbx2 := r.cfg.Servers[0], r.cfg.Servers[1]
	_, js := natstest.Client(t, r.cfg.NATS.URL)
	bucket, err := js.KeyValue(t.Context(), "AMI_STATE")
	if err != nil {
		t.Fatal(err)
	}
	is := func(key, text string) {
		t.Helper()
		natstest.Within(t, key+" has "+text, func() bool {
			value, err := bucket.Get(t.Context(), key)
			return err == nil && strings.Contains(string(value.Value()), text)
		})
	}
	boot := func(sim *amisim.Server) {
		natstest.Within(t, "the sessions", func() bool { return sim.Sessions() == 2 })
		sim.Emit("Event", "FullyBooted", "Privilege", "system,all", "Status", "Fully Booted")
	}
	const live, stale = `"state":"live"`, `"state":"stale"`
	boot(r.sims["pbx1"])
	boot(r.sims["pbx2"])
	is("pbx1.server", live)
	is("pbx2.server", live)
	r.sims["pbx1"].Emit("Event", "Newchannel", "Channel", "SIP/a", "ChannelState", "6", "Uniqueid", "1.1")
	is("pbx1.channel.1=2E1", "SIP/a")

	mustReload(t, r.Bridge, with(r.cfg, nil, pbx1))
	natstest.Within(t, "pbx2 has left", func() bool { return len(r.servers.all()) == 1 })
	if value, err := bucket.Get(t.Context(), "pbx2.server"); err == nil && !strings.Contains(string(value.Value()), stale) {
		t.Errorf("pbx2 is %s", value.Value())
	}
	natstest.Within(t, "its key expires", func() bool {
		_, err := bucket.Get(t.Context(), "pbx2.server")
		return errors.Is(err, jetstream.ErrKeyNotFound)
	})
	mustReload(t, r.Bridge, with(r.cfg, nil, pbx1, pbx2))
	boot(r.sims["pbx2"])
	is("pbx2.server", live)

	sims, moved := simtest.Start(t, "pbx1") // without the channel
	mustReload(t, r.Bridge, with(r.cfg, nil, moved[0], pbx2))
	boot(sims["pbx1"])
	natstest.Within(t, "the channel of before is not there", func() bool {
		_, err := bucket.Get(t.Context(), "pbx1.channel.1=2E1")
		return errors.Is(err, jetstream.ErrKeyNotFound)
	})
	is("pbx1.server", live)
}
