//go:build unix

package harness

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
	natsserver "github.com/nats-io/nats-server/v2/server"
)

// natsEnv has the test's binary run as a nats-server: the path of its
// configuration file.
const natsEnv = "AMI_TEST_NATS_SERVER"

// Main runs the tests of a package, or the nats-server for which one of them
// started the test's binary again. A package that uses NATSProcess calls it in
// TestMain.
func Main(m *testing.M) {
	if path := os.Getenv(natsEnv); path != "" {
		os.Exit(serveNATS(path))
	}
	os.Exit(m.Run())
}

// serveNATS is a nats-server until its standard input ends, which it does with
// the test too, or a signal ends it.
func serveNATS(path string) int {
	options, err := natsserver.ProcessConfigFile(path)
	if err != nil {
		return 2
	}
	options.NoLog = true
	s, err := natsserver.NewServer(options)
	if err != nil {
		return 2
	}
	s.Start()
	_, _ = io.Copy(io.Discard, os.Stdin)
	s.Shutdown()
	s.WaitForShutdown()
	return 0
}

// NATSProcess is a nats-server in a process of its own, on one store and one port
// from one start to the next.
type NATSProcess struct {
	Process

	Addr     string // where clients connect
	URL      string // the same
	LeafPort int    // where leaves connect, if they may

	conf  string // the path of its configuration
	fixed string // what Configure leaves of it
}

// StartNATS starts one.
func StartNATS(t testing.TB) *NATSProcess {
	t.Helper()
	p := newNATS(t, "")
	p.Start()
	return p
}

// StartOldNATS starts one of an earlier release.
func StartOldNATS(t testing.TB, release string) *NATSProcess {
	t.Helper()
	program := InstallNATS(t, release)
	p := newNATS(t, "")
	p.Program, p.Args, p.Env = program, []string{"-c", p.conf}, nil
	p.Start()
	return p
}

// NewHub returns one that takes leaves and is not started.
func NewHub(t testing.TB) *NATSProcess {
	t.Helper()
	port := Port(t)
	p := newNATS(t, "leafnodes { listen: \"127.0.0.1:"+strconv.Itoa(port)+"\" }\n")
	p.LeafPort = port
	return p
}

// newNATS returns one with more in its configuration, which is not started and is
// killed with the test.
func newNATS(t testing.TB, more string) *NATSProcess {
	t.Helper()
	addr := Addr(t)
	conf := write(t, fmt.Sprintf("listen: %q\njetstream { store_dir: %q, max_file_store: %d }\n%s", addr, t.TempDir(), natstest.MaxStore, more))
	p := &NATSProcess{
		Process: Process{T: t, Program: os.Args[0], Env: append(os.Environ(), natsEnv+"="+conf)},
		Addr:    addr, URL: "nats://" + addr, conf: conf,
	}
	t.Cleanup(p.Kill)
	return p
}

// Start returns when clients and leaves may connect.
func (p *NATSProcess) Start() {
	p.T.Helper()
	p.Process.Start()
	p.takes(p.Addr)
	if p.LeafPort != 0 {
		p.takes("127.0.0.1:" + strconv.Itoa(p.LeafPort))
	}
}

// takes waits until it listens on addr.
func (p *NATSProcess) takes(addr string) {
	p.T.Helper()
	Eventually(p.T, "nats-server listens on "+addr, func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}
