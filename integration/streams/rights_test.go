package streams

import (
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// ruledNATS is a server on which whoever gives no name may do all, and the user
// bridge all but what denied says. free lifts that.
func ruledNATS(t *testing.T, denied natsserver.Permissions) (s *natsserver.Server, free func()) {
	t.Helper()
	var options *natsserver.Options
	users := func(p *natsserver.Permissions) []*natsserver.User {
		return []*natsserver.User{{Username: "admin", Password: "a"}, {Username: "bridge", Password: "b", Permissions: p}}
	}
	s = natstest.Serve(t, func(o *natsserver.Options) {
		o.NoAuthUser, o.Users = "admin", users(&denied)
		options = o.Clone()
	})
	return s, func() {
		t.Helper()
		options.Users = users(nil)
		if err := s.ReloadOptions(options); err != nil {
			t.Fatal(err)
		}
		harness.Relook(t, s)
	}
}

// What the bridge may not do is said, with the subject, and is no silence.
func TestStreams_NoPermission(t *testing.T) {
	t.Parallel()
	for name, denied := range map[string]natsserver.Permissions{
		"publish to $JS.API.STREAM.INFO.AMI_EVENTS":   {Publish: harness.Denied("$JS.API.>")},
		"publish to $JS.API.STREAM.CREATE.AMI_EVENTS": {Publish: harness.Denied("$JS.API.STREAM.CREATE.AMI_EVENTS")},
		"publish to ami.events.pbx1.Held":             {Publish: harness.Denied("ami.events.>")},
		"subscribe to _INBOX_amibridge_b1.":           {Subscribe: harness.Denied("_INBOX_amibridge_b1.>")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, free := ruledNATS(t, denied)
			sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
			r := harness.Bridge(t, s.ClientURL(), func(c *config.Config) {
				harness.ChaosConfig(c)
				harness.AsBridge(c)
				c.Audit = config.AuditOff
			}, harness.ChaosServer("pbx1", addr))
			sim.Emit("Event", "Held")
			if got := r.Stands(streams.EventStream, "no_permission"); !strings.Contains(got.Error, name) {
				t.Errorf("it is %+v, want an error with %q", got, name)
			}
			free()
			r.Stands(streams.EventStream, "ok")
			if b := r.Drained("pbx1", 1); b.Published != 1 {
				t.Errorf("%+v", b)
			}
		})
	}
}

// A bridge that may not change a stream says so and works with it as it is.
func TestStreams_NoPermissionToChange(t *testing.T) {
	s, free := ruledNATS(t, natsserver.Permissions{Publish: harness.Denied("$JS.API.STREAM.UPDATE.*")})
	before := older(t, harness.Client(t, s.ClientURL()), func(c *jetstream.StreamConfig) { c.AllowBatchPublish = true })
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	r := harness.Bridge(t, s.ClientURL(), func(c *config.Config) {
		harness.ChaosConfig(c)
		harness.AsBridge(c)
		c.Stream.MaxAge, c.Stream.MaxBytes = 0, 0
	}, harness.ChaosServer("pbx1", addr))
	got := r.Stands(streams.EventStream, "differs")
	if got.Fields() != "compression duplicate_window" || before.Duplicates != time.Minute {
		t.Errorf("it differs in %s", got.Fields())
	}
	for _, d := range got.Differences {
		if !strings.Contains(d.Left, "$JS.API.STREAM.UPDATE.AMI_EVENTS") {
			t.Errorf("%+v", d)
		}
	}
	sim.Emit("Event", "Tick")
	r.Drained("pbx1", 1)
	free()
	r.Stands(streams.EventStream, "ok")
}

// A stream over the subjects of the actions that comes later is told of; the
// bridge does not start beside one.
func TestStreams_OneThatCapturesActions(t *testing.T) {
	s := natstest.Serve(t, nil)
	_, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	r := harness.Bridge(t, s.ClientURL(), harness.ChaosConfig, harness.ChaosServer("pbx1", addr))
	js := harness.JetStream(t, r.Client)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "GREEDY", Subjects: []string{"ami.actions.x.*"}}); err != nil {
		t.Fatal(err)
	}
	harness.Relook(t, s)
	if got := r.Stands("actions", "captured"); !strings.Contains(got.Error, "GREEDY") {
		t.Errorf("%+v", got)
	}
	if err := js.DeleteStream(t.Context(), "GREEDY"); err != nil {
		t.Fatal(err)
	}
	r.Stands("actions", "ok")
}

// What is deleted is made again as soon as something is to be stored there.
func TestStreams_DeletedIsMadeAgain(t *testing.T) {
	_, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	r := harness.Bridge(t, harness.NATS(t), harness.ChaosConfig, harness.ChaosServer("pbx1", addr))
	r.Call("pbx1", "CoreStatus", "")
	r.RecordsOf(t, 1)
	if err := harness.JetStream(t, r.Client).DeleteStream(t.Context(), streams.AuditStream); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	r.Call("pbx1", "CoreSettings", "")
	harness.Eventually(t, "the record is stored", func() bool { return r.Metric("audit_records_total") == 2 })
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("it took %v: that is the interval", took)
	}
	if all := r.RecordsOf(t, 1); all[0].Action != "CoreSettings" {
		t.Errorf("%s", all[0].Text)
	}
	r.Stands(streams.AuditStream, "ok")
}

// Requests with a key are refused until their bucket is there, and then served,
// without a restart.
func TestStreams_TheBucketComesLater(t *testing.T) {
	s := natstest.Serve(t, func(o *natsserver.Options) { o.JetStream = false })
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	r := harness.Bridge(t, s.ClientURL(), harness.ChaosConfig, harness.ChaosServer("pbx1", addr))
	harness.Fails(t, r.Call("pbx1", "Originate", harness.Phone, harness.KeyHeader, "k1"), "idempotency_unavailable", "no")
	harness.EnableJetStream(t, s)
	r.Stands("KV_"+streams.KeyBucket, "ok")
	first := r.Call("pbx1", "Originate", harness.Phone, harness.KeyHeader, "k1")
	harness.Succeeds(t, first)
	harness.Repeated(t, first, r.Call("pbx1", "Originate", harness.Phone, harness.KeyHeader, "k1"))
	if n := sim.Received("Originate"); n != 1 {
		t.Errorf("it was sent %d times", n)
	}
}

// A server on its own has no place for copies: what is missing is not made. What
// is there gets all the other changes.
func TestStreams_MoreReplicasThanServers(t *testing.T) {
	url := harness.NATS(t)
	older(t, harness.Client(t, url), func(*jetstream.StreamConfig) {})
	_, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	r := harness.Bridge(t, url, func(c *config.Config) {
		harness.ChaosConfig(c)
		c.Audit, c.Stream.Replicas = config.AuditOff, 3
	}, harness.ChaosServer("pbx1", addr))
	if got := r.Stands(streams.StatusStream, "missing"); !strings.Contains(got.Error, "replicas > 1") {
		t.Errorf("%+v", got)
	}
	got := r.Stands(streams.EventStream, "differs")
	if got.Fields() != "num_replicas max_age max_bytes" || !strings.Contains(got.Differences[0].Left, "replicas > 1") {
		t.Errorf("%+v", got)
	}
}

// A change is told of when it happens, however long the interval.
func TestStreams_ToldAtOnce(t *testing.T) {
	s := natstest.Serve(t, func(o *natsserver.Options) { o.JetStream = false })
	_, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	r := harness.Bridge(t, s.ClientURL(), func(c *config.Config) { c.StatusInterval = time.Hour }, harness.ChaosServer("pbx1", addr))
	nodes := r.Subscribe("ami.nodes.b1")
	harness.EnableJetStream(t, s)
	r.AwaitText(nodes, `{"name":"AMI_EVENTS","state":"ok"`)
}

// Without the right to the callers' inboxes an Action is done and nobody hears of it: that is told
// of the bridge as well, and not of its streams.
func TestRights_RepliesThatAreDeniedAreTold(t *testing.T) {
	s, _ := ruledNATS(t, natsserver.Permissions{Publish: harness.Denied("_INBOX.>")})
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	r := harness.Bridge(t, s.ClientURL(), func(c *config.Config) {
		harness.ChaosConfig(c)
		harness.AsBridge(c)
		c.HTTPAddr = harness.Addr(t)
	}, harness.ChaosServer("pbx1", addr))
	nodes, inbox := r.Subscribe("ami.nodes.b1"), r.Client.NewInbox()
	r.Send(inbox, "CoreStatus", "")
	r.AwaitText(nodes, `"replies_denied":1,`)
	if n := sim.Received("CoreStatus"); n != 1 {
		t.Errorf("Asterisk was asked %d times", n)
	}
	if _, body := r.Get("/readyz"); !strings.Contains(body, "replies do not reach their callers: NATS does not let the bridge publish to "+inbox) {
		t.Error(body)
	}
	if n := r.Metric("replies_denied_total"); n != 1 {
		t.Errorf("the metric is %v", n)
	}
	r.Stands(streams.EventStream, "ok")
}
