package integration

import (
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

// ruledNATS is a server on which whoever gives no name may do all, and the user
// bridge all but what denied says. free lifts that.
func ruledNATS(t *testing.T, denied natsserver.Permissions) (s *natsserver.Server, free func()) {
	t.Helper()
	var options *natsserver.Options
	users := func(p *natsserver.Permissions) []*natsserver.User {
		return []*natsserver.User{{Username: "admin", Password: "a"}, {Username: "bridge", Password: "b", Permissions: p}}
	}
	s = natsInProcess(t, func(o *natsserver.Options) {
		o.NoAuthUser, o.Users = "admin", users(&denied)
		options = o.Clone()
	})
	return s, func() {
		t.Helper()
		options.Users = users(nil)
		if err := s.ReloadOptions(options); err != nil {
			t.Fatal(err)
		}
		relook(t, s)
	}
}

func asBridge(c *config.Config) { c.NATS.User, c.NATS.Password = "bridge", "b" }

func no(subjects ...string) *natsserver.SubjectPermission {
	return &natsserver.SubjectPermission{Deny: subjects}
}

// What the bridge may not do is said, with the subject, and is no silence.
func TestStreams_NoPermission(t *testing.T) {
	t.Parallel()
	for name, denied := range map[string]natsserver.Permissions{
		"publish to $JS.API.STREAM.INFO.AMI_EVENTS":   {Publish: no("$JS.API.>")},
		"publish to $JS.API.STREAM.CREATE.AMI_EVENTS": {Publish: no("$JS.API.STREAM.CREATE.AMI_EVENTS")},
		"publish to ami.events.pbx1.Held":             {Publish: no("ami.events.>")},
		"subscribe to _INBOX_amibridge_b1.":           {Subscribe: no("_INBOX_amibridge_b1.>")},
	} {
		t.Run(name, func(t *testing.T) {
			s, free := ruledNATS(t, denied)
			sim, addr := startSim(t, amisim.Config{NotBooted: true})
			r := startBridge(t, s.ClientURL(), func(c *config.Config) {
				chaosConfig(c)
				asBridge(c)
				c.Audit = config.AuditOff
			}, chaosServer("pbx1", addr))
			sim.Emit("Event", "Held")
			if got := r.stands(streams.EventStream, "no_permission"); !strings.Contains(got.Error, name) {
				t.Errorf("it is %+v, want an error with %q", got, name)
			}
			free()
			r.stands(streams.EventStream, "ok")
			if b := r.settled("pbx1", 1); b.Published != 1 {
				t.Errorf("%+v", b)
			}
		})
	}
}

// A bridge that may not change a stream says so and works with it as it is.
func TestStreams_NoPermissionToChange(t *testing.T) {
	s, free := ruledNATS(t, natsserver.Permissions{Publish: no("$JS.API.STREAM.UPDATE.*")})
	before := older(t, connect(t, s.ClientURL()), func(c *jetstream.StreamConfig) { c.AllowBatchPublish = true })
	sim, addr := startSim(t, amisim.Config{NotBooted: true})
	r := startBridge(t, s.ClientURL(), func(c *config.Config) {
		chaosConfig(c)
		asBridge(c)
		c.Stream.MaxAge, c.Stream.MaxBytes = 0, 0
	}, chaosServer("pbx1", addr))
	got := r.stands(streams.EventStream, "differs")
	if got.fields() != "compression duplicate_window" || before.Duplicates != time.Minute {
		t.Errorf("it differs in %s", got.fields())
	}
	for _, d := range got.Differences {
		if !strings.Contains(d.Left, "$JS.API.STREAM.UPDATE.AMI_EVENTS") {
			t.Errorf("%+v", d)
		}
	}
	sim.Emit("Event", "Tick")
	r.settled("pbx1", 1)
	free()
	r.stands(streams.EventStream, "ok")
}

// A stream over the subjects of the actions that comes later is told of; the
// bridge does not start beside one.
func TestStreams_OneThatCapturesActions(t *testing.T) {
	s := natsInProcess(t, nil)
	_, addr := startSim(t, amisim.Config{NotBooted: true})
	r := startBridge(t, s.ClientURL(), chaosConfig, chaosServer("pbx1", addr))
	js := api(t, r.nc)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "GREEDY", Subjects: []string{"ami.actions.x.*"}}); err != nil {
		t.Fatal(err)
	}
	relook(t, s)
	if got := r.stands("actions", "captured"); !strings.Contains(got.Error, "GREEDY") {
		t.Errorf("%+v", got)
	}
	if err := js.DeleteStream(t.Context(), "GREEDY"); err != nil {
		t.Fatal(err)
	}
	r.stands("actions", "ok")
}

// What is deleted is made again as soon as something is to be stored there.
func TestStreams_DeletedIsMadeAgain(t *testing.T) {
	_, addr := startSim(t, amisim.Config{NotBooted: true})
	r := startBridge(t, natsURL(t), chaosConfig, chaosServer("pbx1", addr))
	r.call("pbx1", "CoreStatus", "")
	r.recordsOf(t, 1)
	if err := api(t, r.nc).DeleteStream(t.Context(), streams.AuditStream); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	r.call("pbx1", "CoreSettings", "")
	eventually(t, "the record is stored", func() bool { return r.metric("audit_records_total") == 2 })
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("it took %v: that is the interval", took)
	}
	if all := r.recordsOf(t, 1); all[0].Action != "CoreSettings" {
		t.Errorf("%s", all[0].text)
	}
	r.stands(streams.AuditStream, "ok")
}

// Requests with a key are refused until their bucket is there, and then served,
// without a restart.
func TestStreams_TheBucketComesLater(t *testing.T) {
	s := natsInProcess(t, func(o *natsserver.Options) { o.JetStream = false })
	sim, addr := startSim(t, amisim.Config{NotBooted: true})
	r := startBridge(t, s.ClientURL(), chaosConfig, chaosServer("pbx1", addr))
	fails(t, r.call("pbx1", "Originate", phone, keyHeader, "k1"), "idempotency_unavailable", "no")
	enableJetStream(t, s)
	r.stands("KV_"+streams.KeyBucket, "ok")
	first := r.call("pbx1", "Originate", phone, keyHeader, "k1")
	succeeds(t, first)
	repeated(t, first, r.call("pbx1", "Originate", phone, keyHeader, "k1"))
	if n := sim.Received("Originate"); n != 1 {
		t.Errorf("it was sent %d times", n)
	}
}

// A server on its own has no place for copies: what is missing is not made. What
// is there gets all the other changes.
func TestStreams_MoreReplicasThanServers(t *testing.T) {
	url := natsURL(t)
	older(t, connect(t, url), func(*jetstream.StreamConfig) {})
	_, addr := startSim(t, amisim.Config{NotBooted: true})
	r := startBridge(t, url, func(c *config.Config) {
		chaosConfig(c)
		c.Audit, c.Stream.Replicas = config.AuditOff, 3
	}, chaosServer("pbx1", addr))
	if got := r.stands(streams.StatusStream, "missing"); !strings.Contains(got.Error, "replicas > 1") {
		t.Errorf("%+v", got)
	}
	got := r.stands(streams.EventStream, "differs")
	if got.fields() != "num_replicas max_age max_bytes" || !strings.Contains(got.Differences[0].Left, "replicas > 1") {
		t.Errorf("%+v", got)
	}
}

// A change is told of when it happens, however long the interval.
func TestStreams_ToldAtOnce(t *testing.T) {
	s := natsInProcess(t, func(o *natsserver.Options) { o.JetStream = false })
	_, addr := startSim(t, amisim.Config{NotBooted: true})
	r := startBridge(t, s.ClientURL(), func(c *config.Config) { c.StatusInterval = time.Hour }, chaosServer("pbx1", addr))
	nodes := r.subscribe("ami.nodes.b1")
	enableJetStream(t, s)
	soon(r, nodes, `{"name":"AMI_EVENTS","state":"ok"`)
}
