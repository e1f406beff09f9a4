//go:build unix

package faults

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// patience is how long a test waits for what has to come. The machine may be
// busy with other things.
const patience = time.Minute

// build makes the program of a package and returns its path.
func build(t *testing.T, pkg string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), filepath.Base(strings.TrimSuffix(pkg, "/v2")))
	if out, err := exec.Command("go", "build", "-o", path, pkg).CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, out)
	}
	return path
}

func buildNATS(t *testing.T) string {
	t.Helper()
	return build(t, "github.com/nats-io/nats-server/v2")
}

// node is a nats-server in a process of its own, on the same store, ports and
// configuration file from one start to the next.
type node struct {
	t       *testing.T
	program string
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
	cmd     *exec.Cmd
}

// newNode returns one that does not run yet.
func newNode(t *testing.T, program, name string) *node {
	t.Helper()
	n := &node{t: t, program: program, name: name, dir: t.TempDir(), port: reservePort(t)}
	t.Cleanup(func() {
		if n.cmd != nil {
			n.kill()
		}
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
	n.t.Helper()
	user := "{user: bridge, password: bridge, " + n.rights + "}, "
	if n.revoked {
		user = ""
	}
	limit := ""
	if n.maxFile != "" {
		limit = "max_file_store: " + n.maxFile
	}
	store := fmt.Sprintf("jetstream { store_dir: %q, %s }", n.store(), limit)
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
		n.t.Fatal(err)
	}
}

func (n *node) start() {
	n.t.Helper()
	n.configure()
	n.cmd = exec.Command(n.program, "-c", filepath.Join(n.dir, "conf"))
	if err := n.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
}

// kill ends it at once, frozen or not, as a power switch would.
func (n *node) kill() {
	_ = n.cmd.Process.Kill()
	_ = n.cmd.Wait()
	n.cmd = nil
}

func (n *node) signal(s syscall.Signal) {
	n.t.Helper()
	if err := n.cmd.Process.Signal(s); err != nil {
		n.t.Fatal(err)
	}
}

// reload has it read its configuration again.
func (n *node) reload() {
	n.t.Helper()
	n.configure()
	n.signal(syscall.SIGHUP)
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
	eventually(t, "JetStream answers", func() bool {
		_, err := js.AccountInfo(t.Context())
		return err == nil
	})
	return js
}

// reservePort returns a port that the system hands to nobody until the test
// ends: a socket that does not listen is bound to it, which keeps no server
// from it.
func reservePort(t *testing.T) int {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	syscall.CloseOnExec(fd)
	err = errors.Join(syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1),
		syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	if err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return name.(*syscall.SockaddrInet4).Port
}

// eventually waits for cond.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); !cond(); {
		if time.Now().After(deadline) {
			t.Fatalf("never came: %s", what)
		}
		<-ticker.C
	}
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
