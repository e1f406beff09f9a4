//go:build unix

package integration

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
)

// natsEnv has the test's binary run as a nats-server: the directory of its
// store, its port and, if leaves are to connect, the port for these.
const natsEnv = "AMI_TEST_NATS_SERVER"

func TestMain(m *testing.M) {
	if args := os.Getenv(natsEnv); args != "" {
		os.Exit(serveNATS(args))
	}
	if os.Getenv(simEnv) != "" {
		os.Exit(serveSim())
	}
	os.Exit(m.Run())
}

// serveNATS is a nats-server until its standard input ends, which it does with
// the test too.
func serveNATS(args string) int {
	dir, ports, _ := strings.Cut(args, "|")
	text, forLeaves, leaves := strings.Cut(ports, "|")
	port, err := strconv.Atoi(text)
	if err != nil {
		return 2
	}
	options := &natsserver.Options{
		Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true,
	}
	if leaves {
		if options.LeafNode.Port, err = strconv.Atoi(forLeaves); err != nil {
			return 2
		}
		options.LeafNode.Host = "127.0.0.1"
	}
	s, err := natsserver.NewServer(options)
	if err != nil {
		return 2
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		return 2
	}
	fmt.Println(s.ClientURL())
	_, _ = io.Copy(io.Discard, os.Stdin)
	s.Shutdown()
	s.WaitForShutdown()
	return 0
}

// natsProcess is a nats-server of its own, on one store and one port from one
// start to the next.
type natsProcess struct {
	t     *testing.T
	dir   string
	port  int
	leaf  int // port for leaves, if any
	url   string
	cmd   *exec.Cmd
	stdin io.Closer
}

func startNATS(t *testing.T) *natsProcess {
	t.Helper()
	p := &natsProcess{t: t, dir: t.TempDir(), port: reservePort(t)}
	p.start()
	t.Cleanup(p.kill)
	return p
}

// newHub returns one that takes leaves and is not started.
func newHub(t *testing.T) *natsProcess {
	t.Helper()
	p := &natsProcess{t: t, dir: t.TempDir(), port: reservePort(t), leaf: reservePort(t)}
	t.Cleanup(p.kill)
	return p
}

// reservePort returns a port that the system hands to nobody until the test ends:
// a socket that does not listen is bound to it, which keeps no server from it.
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

func (p *natsProcess) start() {
	p.t.Helper()
	p.cmd = exec.Command(os.Args[0])
	args := p.dir + "|" + strconv.Itoa(p.port)
	if p.leaf != 0 {
		args += "|" + strconv.Itoa(p.leaf)
	}
	p.cmd.Env = append(os.Environ(), natsEnv+"="+args)
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.stdin = stdin
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		p.t.Fatalf("nats-server did not start: %v", err)
	}
	p.url = strings.TrimSpace(line)
}

// stop ends it in order.
func (p *natsProcess) stop() {
	p.stdin.Close()
	_ = p.cmd.Wait()
}

// kill ends it at once, frozen or not.
func (p *natsProcess) kill() {
	_ = p.cmd.Process.Kill()
	p.stop()
}

// freeze stops every thread of it: connections stay open and nothing moves.
func (p *natsProcess) freeze() { p.signal(syscall.SIGSTOP) }
func (p *natsProcess) thaw()   { p.signal(syscall.SIGCONT) }

func (p *natsProcess) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// natsBridge is a bridge to pbx1 on a NATS that can be stopped.
func natsBridge(t *testing.T) (*natsProcess, *amisim.Server, *running) {
	t.Helper()
	nats := startNATS(t)
	sim, addr := startSim(t, amisim.Config{NotBooted: true})
	r := startBridge(t, nats.url, chaosConfig, chaosServer("pbx1", addr))
	return nats, sim, r
}

// wholeStory wants everything that was sent to be in the stream once and in
// order, by one session that never noticed. The client of r may be older than
// its NATS.
func wholeStory(t *testing.T, r *running, sim *amisim.Server) {
	t.Helper()
	sent := uint64(sim.Emitted())
	r.nc = connect(t, r.cfg.NATS.URL)
	b := r.settled("pbx1", sent)
	if b.lost() != 0 || b.Received != sent || b.Published != sent {
		t.Errorf("of %d events the counters say %+v", sent, b)
	}
	got := check(t, r.story("pbx1"))
	if n := uint64(len(got.events)); n != sent || got.holes != 0 || got.sessions != 1 || len(got.gaps) != 0 {
		t.Errorf("the stream holds %d of %d events, with %d holes, %d sessions and %d gaps", n, sent, got.holes, got.sessions, len(got.gaps))
	}
	succeeds(t, r.call("pbx1", "QueueStatus", ""))
	if n := sim.Sessions(); n != 2 {
		t.Errorf("%d sessions at the server, want the 2 of the start", n)
	}
}

func TestChaos_NATSStopped(t *testing.T) {
	nats, sim, r := natsBridge(t)
	flood(t, sim, 5000)
	nats.stop()
	gone := time.Now()
	flood(t, sim, 20_000)
	traffic(t, sim, gone.Add(4*time.Second))
	everyEventIsRead(t, r, sim)
	nats.start()
	flood(t, sim, 5000)
	wholeStory(t, r, sim)
}

// A frozen NATS acknowledges nothing and breaks nothing off. Nobody but the
// publisher may feel it.
func TestChaos_NATSFrozen(t *testing.T) {
	nats, sim, r := natsBridge(t)
	flood(t, sim, 5000)
	nats.freeze()
	flood(t, sim, 20_000)
	// It is frozen until the end: whoever waited for it would wait for ever.
	everyEventIsRead(t, r, sim)
	sentAgain(t, r)
	traffic(t, sim, time.Now().Add(500*time.Millisecond))
	nats.thaw()
	wholeStory(t, r, sim)
}

// everyEventIsRead waits until the bridge has read all that was sent.
func everyEventIsRead(t *testing.T, r *running, sim *amisim.Server) {
	t.Helper()
	sent := float64(sim.Emitted())
	eventually(t, "every event is read", func() bool { return r.metric("events_received_total") == sent })
}

// sentAgain waits until what is in flight to a frozen NATS is given up: it will
// come twice.
func sentAgain(t *testing.T, r *running) {
	t.Helper()
	eventually(t, "the end of the wait for an acknowledgement", func() bool {
		return r.metric("events_resent_total") > 0 || r.metric("nats_up", "connection", "events") == 0
	})
}

func TestChaos_NATSKilledUnderLoad(t *testing.T) {
	nats, sim, r := natsBridge(t)
	for range 4 {
		done := make(chan struct{})
		go func() {
			defer close(done)
			flood(t, sim, 20_000)
		}()
		defer func() { <-done }() // also when the test ends here
		// In the middle of it, with a window full of events on their way.
		before := sim.Emitted()
		eventually(t, "half of a flood", func() bool { return sim.Emitted() > before+10_000 })
		nats.kill()
		nats.start()
		<-done
	}
	wholeStory(t, r, sim)
}

func flood(t *testing.T, sim *amisim.Server, n int) {
	t.Helper()
	if err := sim.Flood(t.Context(), n, amisim.Traffic{Seed: 1}); err != nil {
		t.Error(err)
	}
}

// traffic is five thousand events a second until then.
func traffic(t *testing.T, sim *amisim.Server, until time.Time) {
	t.Helper()
	ctx, cancel := context.WithDeadline(t.Context(), until)
	defer cancel()
	if err := sim.RunTraffic(ctx, amisim.Traffic{EventsPerSecond: 5000, Seed: 2}); err != nil {
		t.Error(err)
	}
}
