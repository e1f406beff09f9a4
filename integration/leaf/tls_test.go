//go:build unix

package leaf

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// A hub whose leafnode port wants TLS first, does not any more, and does again; and
// the other way round. What was asked for at the hub works as soon as it fits again.
func TestLeaf_TLSFirstGoneAndBack(t *testing.T) {
	t.Parallel()
	program := harness.BuildBridge(t)
	a := harness.NewAuthority(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, a.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, first := range []bool{true, false} {
		t.Run(fmt.Sprint(first), func(t *testing.T) {
			t.Parallel()
			hub, port := harness.NewPlace(t), harness.Port(t)
			start := func(first bool) {
				hub.Start(func(o *natsserver.Options) {
					o.LeafNode.Host, o.LeafNode.Port = "127.0.0.1", port
					o.LeafNode.TLSConfig, o.LeafNode.TLSTimeout, o.LeafNode.TLSHandshakeFirst = a.Server(t), harness.Patience.Seconds(), first
				})
			}
			start(first)
			metrics := fmt.Sprintf("127.0.0.1:%d", harness.Port(t))
			sim, _ := leafOf(t, program, &harness.NATSProcess{LeafPort: port}, "BRIDGE_HTTP_ADDR="+metrics, "BRIDGE_NATS_TLS_CA_FILE="+ca,
				"BRIDGE_NATS_TLS_FIRST="+map[bool]string{false: "off", true: "on"}[first])
			is := func(up int) {
				t.Helper()
				harness.Eventually(t, fmt.Sprint("the metric of the leaf is ", up), func() bool {
					return strings.Contains(harness.Page(t, "http://"+metrics+"/metrics"), fmt.Sprintf("ami_nats_bridge_nats_up{connection=\"leaf\"} %d\n", up))
				})
			}
			is(1)
			hub.Stop()
			start(!first)
			is(0)
			harness.Flood(t, sim, 100)
			<-time.After(3 * time.Second) // tries, and more
			is(0)
			hub.Stop()
			start(first)
			is(1)
			r := &harness.Running{T: t, Client: harness.Client(t, hub.URL())}
			hubStreams(t, r.Client)
			harness.Eventually(t, "an Action is answered at the hub", func() bool {
				_, err := r.Client.Request("ami.actions.pbx1.CoreStatus", nil, harness.AnswerIn)
				return err == nil
			})
			arrived(t, r, sim, 1)
		})
	}
}
