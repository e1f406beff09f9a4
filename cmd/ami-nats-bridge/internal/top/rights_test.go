package top

import (
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/longtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// nats-server takes a subscription away with the right to it, and does not bring it back: top does, be it one of them.
func TestReader_ARightThatComesBack(t *testing.T) {
	longtest.Mark(t, "top subscribes anew ten seconds after it did so last")
	t.Parallel()
	options := func(allow ...string) *natsserver.Options {
		return &natsserver.Options{Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, NoSigs: true, NoLog: true, Users: []*natsserver.User{{Username: "bridge", Password: "p"}, {
			Username: "u", Password: "p", Permissions: &natsserver.Permissions{Subscribe: &natsserver.SubjectPermission{Allow: append(allow, "_INBOX.>")}},
		}}}
	}
	server := natstest.Launch(t, options("ami.>"))
	t.Cleanup(server.Shutdown)
	nc, _ := natstest.Client(t, strings.Replace(server.ClientURL(), "nats://", "nats://bridge:p@", 1))
	r := start(t, ReaderOptions{Prefix: "ami", Interval: 50 * time.Millisecond, Connect: dialer(strings.Replace(server.ClientURL(), "nats://", "nats://u:p@", 1))})
	hears := func(name string) func() bool {
		return func() bool {
			bridge(t, nc, time.Now(), name)
			snap, _ := r.Picture(time.Now())
			for i := range snap.Servers {
				if s := &snap.Servers[i]; s.Name == name && s.State != view.StateUnknown {
					return true
				}
			}
			return false
		}
	}
	within(t, "it hears the bridge", hears("pbx1"))
	for left, next := range map[string]string{"nothing": "pbx2", "ami.nodes.>": "pbx3"} {
		if err := server.ReloadOptions(options(left)); err != nil {
			t.Fatal(err)
		}
		within(t, "it may not", func() bool { _, src := r.Picture(time.Now()); return strings.Contains(src.NATSErr, "ermissions") })
		if err := server.ReloadOptions(options("ami.>")); err != nil {
			t.Fatal(err)
		}
		within(t, "it hears the bridge again", hears(next))
		within(t, "nothing is wrong", func() bool { _, src := r.Picture(time.Now()); return src.NATSErr == "" })
	}
}
