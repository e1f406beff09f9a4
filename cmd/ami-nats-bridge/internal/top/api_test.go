package top

import (
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// JetStream is asked where it answers this user, as a context of the nats command line says: else what is kept is not seen, the
// last word of a bridge that says nothing now and all that is up.
func TestAsk_WhereJetStreamAnswers(t *testing.T) {
	t.Parallel()
	s := natstest.Serve(t, func(o *natsserver.Options) {
		o.Users = []*natsserver.User{{Username: "bridge", Password: "p"}, {Username: "u", Password: "p", Permissions: &natsserver.Permissions{
			Publish: &natsserver.SubjectPermission{Allow: []string{"moved.>"}},
		}}}
	})
	as := func(user string) string { return strings.Replace(s.ClientURL(), "nats://", "nats://"+user+":p@", 1) }
	nc, js := natstest.Client(t, as("bridge"))
	makeStatusStream(t, js)
	kv, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "AMI_STATE"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = nc.Subscribe("moved.>", func(m *nats.Msg) {
		_ = nc.PublishRequest("$JS.API."+strings.TrimPrefix(m.Subject, "moved."), m.Reply, m.Data)
	})
	if err != nil {
		t.Fatal(err)
	}
	bridge(t, nc, time.Now(), "pbx1")
	if _, err := js.Publish(t.Context(), "ami.nodes.none", nil); err != nil { // once it is stored, so is what went before
		t.Fatal(err)
	}
	if _, err := kv.PutString(t.Context(), "pbx1.server", `{"state":"live","calls":3}`); err != nil {
		t.Fatal(err)
	}
	snap, _, err := Ask(t.Context(), ReaderOptions{Prefix: "ami", Interval: 50 * time.Millisecond, Connect: dialer(as("u")), API: "moved"})
	if err != nil || len(snap.Servers) != 1 || snap.Servers[0].Present == nil {
		t.Fatalf("%+v, %v", snap, err)
	}
	r := start(t, ReaderOptions{Prefix: "ami", Interval: time.Hour, Connect: dialer(as("u")), API: "moved"})
	within(t, "top sees what is kept", func() bool {
		snap, _ := r.Picture(time.Now())
		return len(snap.Servers) == 1 && snap.Servers[0].Present != nil
	})
}

// Who may see how a server is, and not its events, is told so where they would be, and not that none has come.
func TestReader_MayNotTap(t *testing.T) {
	t.Parallel()
	server := natstest.Serve(t, func(o *natsserver.Options) {
		o.Users = []*natsserver.User{{Username: "u", Password: "p", Permissions: &natsserver.Permissions{
			Subscribe: &natsserver.SubjectPermission{Allow: []string{"ami.status.>", "ami.nodes.>", "_INBOX.>"}},
		}}}
	})
	opts := ReaderOptions{Prefix: "ami", Interval: time.Hour, Connect: dialer(strings.Replace(server.ClientURL(), "nats://", "nats://u:p@", 1))}
	opts.Tap = func(server, _ string) (*Tapping, error) { return &Tapping{Subject: "ami.events." + server + ".*"}, nil }
	r := start(t, opts)
	r.Tap("a", "")
	within(t, "it says what it may not", func() bool { return strings.Contains(r.Events().Note, `"ami.events.a.*"`) })
	if _, src := r.Picture(time.Now()); src.NATSErr != "" {
		t.Errorf("of how all is it says %s", src.NATSErr)
	}
}
