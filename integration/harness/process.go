//go:build unix

package harness

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

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
// the test too.
func serveNATS(path string) int {
	options, err := natsserver.ProcessConfigFile(path)
	if err != nil {
		return 2
	}
	options.NoLog = options.LogFile == ""
	s, err := natsserver.NewServer(options)
	if err != nil {
		return 2
	}
	s.ConfigureLogger()
	s.Start()
	if !s.ReadyForConnections(Patience) {
		return 2
	}
	fmt.Println(s.ClientURL())
	_, _ = io.Copy(io.Discard, os.Stdin)
	s.Shutdown()
	s.WaitForShutdown()
	return 0
}

// NATSProcess is a nats-server in a process of its own, with one configuration
// file, and so one store and one port, from one start to the next.
type NATSProcess struct {
	T        testing.TB
	conf     string // path of the configuration file
	LeafPort int    // port for leaves, if any
	URL      string
	cmd      *exec.Cmd
	stdin    io.Closer
}

// StartNATS starts one that keeps its store.
func StartNATS(t testing.TB) *NATSProcess {
	t.Helper()
	p := newNATS(t, write(t, jetStreamOn(t)))
	p.Start()
	return p
}

// newNATS returns one with a configuration file, which is not started and is ended
// with the test.
func newNATS(t testing.TB, conf string) *NATSProcess {
	p := &NATSProcess{T: t, conf: conf}
	t.Cleanup(p.Kill)
	return p
}

// NewHub returns one that takes leaves and is not started.
func NewHub(t testing.TB) *NATSProcess {
	t.Helper()
	port := Port(t)
	p := newNATS(t, write(t, jetStreamOn(t)+fmt.Sprintf("leafnodes { listen: \"127.0.0.1:%d\" }\n", port)))
	p.LeafPort = port
	return p
}

func jetStreamOn(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("listen: \"127.0.0.1:%d\"\njetstream { store_dir: %q }\n", Port(t), t.TempDir())
}

// Start returns when clients may connect.
func (p *NATSProcess) Start() {
	p.T.Helper()
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), natsEnv+"="+p.conf)
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		p.T.Fatal(err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		p.T.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.T.Fatal(err)
	}
	p.stdin = stdin
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		p.T.Fatalf("nats-server did not start: %v", err)
	}
	p.URL = strings.TrimSpace(line)
}

// Stop ends it in order.
func (p *NATSProcess) Stop() {
	p.stdin.Close()
	_ = p.cmd.Wait()
}

// Kill ends it at once, frozen or not, as a power switch would.
func (p *NATSProcess) Kill() {
	if p.cmd == nil || p.cmd.Process == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	p.Stop()
}

// Freeze stops every thread of it: connections stay open and nothing moves.
func (p *NATSProcess) Freeze() { p.signal(syscall.SIGSTOP) }

// Thaw lets it go on.
func (p *NATSProcess) Thaw() { p.signal(syscall.SIGCONT) }

func (p *NATSProcess) signal(s syscall.Signal) {
	p.T.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.T.Fatal(err)
	}
}
