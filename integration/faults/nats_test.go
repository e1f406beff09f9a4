//go:build unix

package faults

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// buildNATS returns the program of the module's nats-server.
func buildNATS(t *testing.T) string {
	t.Helper()
	return harness.Build(t, "github.com/nats-io/nats-server/v2")
}

// node is a nats-server in a process of its own, on the same store, ports and
// configuration file from one start to the next.
type node struct {
	harness.Process
	name    string
	dir     string
	port    int
	cluster string // the block of its configuration, if it is one of several
	maxFile string // max_file_store, if bounded
	revoked bool   // the bridge's user is not known
	plain   bool   // without JetStream
	limit   string // a setting of the server's
	account string // a setting of the account's
	rights  string // of the bridge's user
}

// newNode returns one that does not run yet.
func newNode(t *testing.T, program, name string) *node {
	t.Helper()
	n := &node{name: name, dir: t.TempDir(), port: harness.Port(t)}
	n.Process = harness.Process{T: t, Program: program, Args: []string{"-c", filepath.Join(n.dir, "conf")}}
	t.Cleanup(func() {
		n.Kill()
		if t.Failed() {
			t.Logf("the log of %s:\n%s", name, tail(filepath.Join(n.dir, "log"), 20))
		}
	})
	return n
}

func (n *node) store() string { return filepath.Join(n.dir, "store") }

func (n *node) url() string { return fmt.Sprintf("nats://127.0.0.1:%d", n.port) }

// configure writes the configuration file.
func (n *node) configure() {
	n.T.Helper()
	user := "{user: bridge, password: bridge, " + n.rights + "}, "
	if n.revoked {
		user = ""
	}
	limit := cmp.Or(n.maxFile, strconv.Itoa(natstest.MaxStore))
	store := fmt.Sprintf("jetstream { store_dir: %q, max_file_store: %s }", n.store(), limit)
	enabled := "jetstream: enabled"
	if n.plain {
		store, enabled = "", ""
	}
	text := fmt.Sprintf(`server_name: %s
listen: "127.0.0.1:%d"
log_file: %q
%s
%s
accounts {
  SYS { users: [{user: sys, password: sys}] }
  AMI {
    %s
    %s
    users: [%s{user: reader, password: reader}]
  }
}
system_account: SYS
%s
`, n.name, n.port, filepath.Join(n.dir, "log"), store, n.limit, enabled, n.account, user, n.cluster)
	if err := os.WriteFile(filepath.Join(n.dir, "conf"), []byte(text), 0o600); err != nil {
		n.T.Fatal(err)
	}
}

func (n *node) start() {
	n.T.Helper()
	n.configure()
	n.Start()
}

// reload has it read its configuration again.
func (n *node) reload() {
	n.T.Helper()
	n.configure()
	n.Signal(syscall.SIGHUP)
}

// client connects as user, who is called like the password, to any of nodes.
func client(t *testing.T, user string, nodes ...*node) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(urls(nodes), nats.UserInfo(user, user), nats.MaxReconnects(-1),
		nats.ReconnectWait(100*time.Millisecond), nats.RetryOnFailedConnect(true))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func urls(nodes []*node) string {
	all := make([]string, len(nodes))
	for i, n := range nodes {
		all[i] = n.url()
	}
	return strings.Join(all, ",")
}

// jetStream waits until JetStream answers behind nc.
func jetStream(t *testing.T, nc *nats.Conn) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "JetStream answers", func() bool {
		_, err := js.AccountInfo(t.Context())
		return err == nil
	})
	return js
}

// pause is the length of a fault.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

// tail is the end of a file.
func tail(path string, lines int) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(string(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
