package natsconn

import (
	"crypto/tls"
	"net"
	"strconv"
	"testing"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

func TestFast_SinceWhichServer(t *testing.T) {
	for version, want := range map[string]bool{"2.13.9": false, "2.14.0": true, "2.9.1": false, "3.0.0": true, "2.15.0-dev": true, "": true} {
		if got := FastIngestSince(version); got != want {
			t.Errorf("%q: %v, want %v", version, got, want)
		}
	}
}

func TestVersion_OfMessagesThatExpire(t *testing.T) {
	for version, want := range map[string]bool{"2.10.29": false, "2.9.0": false, "2.11.0": true, "2.15.2": true, "3.0.0": true, "1.4.1": false, "?": true} {
		if got := MessageTTLSince(version); got != want {
			t.Errorf("%s: %v", version, got)
		}
	}
}

// cluster is two nats-servers that have told each other, and clients, of each other, by their addresses.
func cluster(t *testing.T, change func(*natsserver.Options)) (ports []string) {
	t.Helper()
	route := natstest.Port(t)
	for i, name := range []string{"a", "b"} {
		s := natstest.Serve(t, func(o *natsserver.Options) {
			o.ServerName, o.JetStream = name, false
			o.Cluster = natsserver.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: []int{route, natsserver.RANDOM_PORT}[i]}
			o.Routes = natsserver.RoutesFromStr("nats://127.0.0.1:" + strconv.Itoa(route))
			change(o)
		})
		ports = append(ports, strconv.Itoa(s.Addr().(*net.TCPAddr).Port))
	}
	return ports
}

// everywhere asks all servers of a cluster, of which cfg names some.
func everywhere(t *testing.T, cfg config.NATSConfig, servers int) error {
	t.Helper()
	c := openedAs(t, cfg)
	natstest.Within(t, "all are known", func() bool { return len(c.Get().Servers()) == servers })
	return c.FastIngestEverywhere()
}

// The user and the password of BRIDGE_NATS_URL are those of the servers that NATS has told of
// too, as they are for nats.go, whose list of servers leaves them out.
func TestFast_AsksEachServerAsTheUserOfTheURL(t *testing.T) {
	ports := cluster(t, func(o *natsserver.Options) { o.Username, o.Password = "bridge", "p@ss" })
	a, b := "nats://bridge:p%40ss@127.0.0.1:"+ports[0], "bridge:p%40ss@127.0.0.1:"+ports[1]
	for _, url := range []string{a, b, a + ", " + b} {
		if err := everywhere(t, config.NATSConfig{URL: url}, 2); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// A server that NATS has told of by its address has a certificate with the name by which the bridge
// knows the others.
func TestFast_AsksEachServerByTheNameInItsCertificate(t *testing.T) {
	cert, ca, err := amisim.NewCertificate("localhost")
	if err != nil {
		t.Fatal(err)
	}
	ports := cluster(t, func(o *natsserver.Options) {
		o.TLSConfig, o.TLS, o.TLSTimeout = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, true, natstest.Patience.Seconds()
	})
	err = everywhere(t, config.NATSConfig{URL: "tls://localhost:" + ports[0], TLSCaFile: natstest.NewFile(t, string(ca)).Name}, 3)
	if err != nil {
		t.Error(err)
	}
}
