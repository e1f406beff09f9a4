package streams

import (
	"slices"
	"strings"
	"testing"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn/conntest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// Bridges share servers by the stream: what is wrong with it for that is said, with the
// subject to add, as it runs and by a check beforehand.
func TestUnshared_SaysWhatIsWrongWithTheStream(t *testing.T) {
	with := func(subjects []string, batches bool) *jetstream.StreamConfig {
		return &jetstream.StreamConfig{Name: EventStream, Subjects: subjects, AllowBatchPublish: batches, AllowDirect: true}
	}
	blind := with([]string{"ami.>"}, true)
	blind.AllowDirect = false
	both, one := []string{"ami.events.>", "ami.terms.>"}, []string{"ami.events.>"}
	const adds = "has no subject ami.terms.>"
	for name, test := range map[string]struct {
		streams config.Streams
		have    *jetstream.StreamConfig
		want    string
		checked string // beforehand
	}{
		"made":           {streams: config.StreamsManage},
		"changed":        {streams: config.StreamsManage, have: with(one, false)},
		"as wanted":      {streams: config.StreamsVerify, have: with(both, true)},
		"covered":        {streams: config.StreamsVerify, have: with([]string{"x.>", "ami.terms.>", "ami.events.>"}, true)},
		"no terms":       {streams: config.StreamsVerify, have: with(one, true), want: adds, checked: adds},
		"no fast ingest": {streams: config.StreamsVerify, have: with(both, false), want: "has no fast ingest", checked: "has no fast ingest"},
		"no direct gets": {streams: config.StreamsVerify, have: blind, want: "--allow-direct", checked: "--allow-direct"},
		"not there":      {streams: config.StreamsVerify}, // which is a state of its own
	} {
		t.Run(name, func(t *testing.T) {
			url := natstest.Start(t, t.TempDir(), 0).ClientURL()
			_, js := natstest.Client(t, url)
			if test.have != nil {
				if _, err := js.CreateStream(t.Context(), *test.have); err != nil {
					t.Fatal(err)
				}
			}
			cfg := config.DefaultConfig()
			cfg.Node, cfg.NATS.URL, cfg.HA, cfg.Streams = "b1", url, true, test.streams
			wantUnshared(t, "beforehand", checked(t, cfg), test.checked)
			k := testStreams(&cfg, conntest.Open(t, url))
			k.Check(t.Context())
			wantUnshared(t, "as it runs", k.Unshared(), test.want)
		})
	}
}

func wantUnshared(t *testing.T, when string, err error, want string) {
	t.Helper()
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("%s: %v, want %q", when, err, want)
	}
}

// checked is what a check says of the stream.
func checked(t *testing.T, cfg config.Config) error {
	t.Helper()
	reports, err := Check(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(reports, func(r Report) bool { return r.Name == EventStream })
	return reports[i].Unshared("2.15.0", "ami.terms.>")
}

// Without the right to change the stream the subject to add is said, beforehand too.
func TestUnshared_WithoutTheRightToChangeTheStream(t *testing.T) {
	s := natstest.Serve(t, func(o *natsserver.Options) {
		o.Users = []*natsserver.User{
			{Username: "admin", Password: "a"},
			{Username: "bridge", Password: "b", Permissions: &natsserver.Permissions{Publish: &natsserver.SubjectPermission{Deny: []string{"$JS.API.STREAM.UPDATE.>"}}}},
		}
	})
	_, js := natstest.Client(t, strings.Replace(s.ClientURL(), "nats://", "nats://admin:a@", 1))
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: EventStream, Subjects: []string{"ami.events.>"}, AllowBatchPublish: true}); err != nil {
		t.Fatal(err)
	}
	cfg := config.DefaultConfig()
	cfg.Node, cfg.NATS.URL, cfg.HA = "b1", strings.Replace(s.ClientURL(), "nats://", "nats://bridge:b@", 1), true
	err := checked(t, cfg)
	wantUnshared(t, "beforehand", err, "NATS does not let the bridge publish to $JS.API.STREAM.UPDATE.AMI_EVENTS")
	wantUnshared(t, "beforehand", err, "nats stream edit AMI_EVENTS --subjects=ami.events.>,ami.terms.>")
}

// Whoever takes a server over reads what is stored. One that may not do so says it before it is asked to.
func TestUnshared_WithoutTheRightToReadTheStream(t *testing.T) {
	for _, subject := range []string{"$JS.API.STREAM.INFO.AMI_EVENTS", "$JS.API.DIRECT.GET.AMI_EVENTS", "$JS.API.DIRECT.GET.AMI_EVENTS.ami.terms.any"} {
		s := natstest.Serve(t, func(o *natsserver.Options) {
			o.Users = []*natsserver.User{
				{Username: "admin", Password: "a"},
				{Username: "bridge", Password: "b", Permissions: &natsserver.Permissions{Publish: &natsserver.SubjectPermission{Deny: []string{subject}}}},
			}
		})
		_, js := natstest.Client(t, strings.Replace(s.ClientURL(), "nats://", "nats://admin:a@", 1))
		stream := jetstream.StreamConfig{Name: EventStream, Subjects: []string{"ami.events.>", "ami.terms.>"}, AllowBatchPublish: true, AllowDirect: true}
		if _, err := js.CreateStream(t.Context(), stream); err != nil {
			t.Fatal(err)
		}
		cfg := config.DefaultConfig()
		cfg.Node, cfg.NATS.URL, cfg.HA = "b1", strings.Replace(s.ClientURL(), "nats://", "nats://bridge:b@", 1), true
		k := testStreams(&cfg, conntest.Open(t, cfg.NATS.URL))
		k.Check(t.Context())
		wantUnshared(t, "as it runs", k.Unshared(), "NATS does not let the bridge publish to "+subject)
		wantUnshared(t, "beforehand", checked(t, cfg), "NATS does not let the bridge publish to "+subject)
	}
}

// A nats-server before 2.14 has no fast ingest.
func TestUnshared_AnOldServer(t *testing.T) {
	for version, want := range map[string]string{"2.13.9": "nats-server 2.13.9 has no fast ingest: BRIDGE_HA=on wants 2.14 or later", "2.14.0": ""} {
		wantUnshared(t, version, (&Report{Name: EventStream, State: "ok"}).Unshared(version, "ami.terms.>"), want)
		cfg := config.DefaultConfig()
		cfg.HA = true
		k := testStreams(&cfg, conntest.Open(t, older(t, version)))
		wantUnshared(t, version, k.Unshared(), want)
	}
}

// A cluster of which a server cannot be asked for its version has no fast ingest, and it is said why.
func TestUnshared_AServerThatCannotBeAsked(t *testing.T) {
	cfg := config.DefaultConfig()
	cfg.HA = true
	url := natstest.Start(t, t.TempDir(), 0).ClientURL()
	k := testStreams(&cfg, conntest.Open(t, url+",nats://127.0.0.1:1", nats.DontRandomize()))
	k.Check(t.Context())
	wantUnshared(t, "one is away", k.Unshared(), "each nats-server wants to be 2.14 or later: a server cannot be asked: connect to NATS: ")
}
