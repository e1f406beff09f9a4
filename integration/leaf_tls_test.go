//go:build unix

package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
)

// A hub whose leafnode port wants TLS first, does not any more, and does again; and
// the other way round. What was asked for at the hub works as soon as it fits again.
func TestLeaf_TLSFirstGoneAndBack(t *testing.T) {
	t.Parallel()
	program := buildBridge(t)
	a := newAuthority(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, a.pem, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, first := range []bool{true, false} {
		t.Run(fmt.Sprint(first), func(t *testing.T) {
			t.Parallel()
			hub, port := newPlace(t), reservePort(t)
			start := func(first bool) {
				hub.start(func(o *natsserver.Options) {
					o.LeafNode.Host, o.LeafNode.Port = "127.0.0.1", port
					o.LeafNode.TLSConfig, o.LeafNode.TLSTimeout, o.LeafNode.TLSHandshakeFirst = a.server(t), patience.Seconds(), first
				})
			}
			start(first)
			metrics := fmt.Sprintf("127.0.0.1:%d", reservePort(t))
			sim, _ := leafOf(t, program, &natsProcess{leaf: port}, "BRIDGE_HTTP_ADDR="+metrics, "BRIDGE_NATS_TLS_CA_FILE="+ca,
				"BRIDGE_NATS_TLS_FIRST="+map[bool]string{false: "off", true: "on"}[first])
			is := func(up int) {
				t.Helper()
				eventually(t, fmt.Sprint("the metric of the leaf is ", up), func() bool {
					return strings.Contains(page(t, "http://"+metrics+"/metrics"), fmt.Sprintf("ami_nats_bridge_nats_up{connection=\"leaf\"} %d\n", up))
				})
			}
			is(1)
			hub.stop()
			start(!first)
			is(0)
			flood(t, sim, 100)
			<-time.After(3 * time.Second) // tries, and more
			is(0)
			hub.stop()
			start(first)
			is(1)
			r := &running{t: t, nc: connect(t, hub.url())}
			hubStreams(t, r.nc)
			eventually(t, "an Action is answered at the hub", func() bool {
				_, err := r.nc.Request("ami.actions.pbx1.CoreStatus", nil, answerIn)
				return err == nil
			})
			arrived(t, r, sim, 1)
		})
	}
}
