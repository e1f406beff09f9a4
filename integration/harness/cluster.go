//go:build unix

package harness

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// Cluster starts so many nats-servers that replicate streams, each a process of its own;
// one that is alone is no cluster. more stands in the configuration of each. Clients are not
// told of the others.
func Cluster(t testing.TB, n int, more string) []*NATSProcess {
	t.Helper()
	routes := make([]string, n)
	for i := range routes {
		routes[i] = Addr(t)
	}
	all := make([]*NATSProcess, n)
	for i := range all {
		join := ""
		if n > 1 {
			join = fmt.Sprintf("server_name: n%d\ncluster { name: cluster, listen: %q, no_advertise: true, routes: [\"nats://%s\"] }\n",
				i+1, routes[i], strings.Join(routes, "\", \"nats://"))
		}
		all[i] = newNATS(t, join)
		all[i].fixed = ReadText(t, all[i].conf)
		all[i].configure(more)
	}
	StartAll(all)
	return all
}

// StartAll starts those of a Cluster, each of which waits for most of them.
func StartAll(all []*NATSProcess) {
	for _, p := range all {
		p.Process.Start()
	}
	for _, p := range all {
		p.takes(p.Addr)
	}
}

// Configure has one of a Cluster have more in its configuration, in place of what was there,
// while it runs.
func (p *NATSProcess) Configure(more string) {
	p.T.Helper()
	p.configure(more)
	p.Signal(syscall.SIGHUP)
}

func (p *NATSProcess) configure(more string) {
	p.T.Helper()
	if err := os.WriteFile(p.conf, []byte(p.fixed+more), 0o600); err != nil {
		p.T.Fatal(err)
	}
}
