package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
)

// program is the bridge as a process, whose log goes to a file.
type program struct {
	t   *testing.T
	cmd *exec.Cmd
	log string
}

// startProgram runs the bridge with a file of settings and this standard input;
// with a terminal, in a session of its own.
func startProgram(t *testing.T, stdin *os.File, env string) *program {
	t.Helper()
	dir := t.TempDir()
	p := &program{t: t, log: filepath.Join(dir, "log")}
	log, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p.cmd = exec.Command(os.Args[0], "run") // this test itself, see TestMain
	p.cmd.Stdin, p.cmd.Stderr = stdin, log
	p.cmd.Env = []string{"AMI_NATS_BRIDGE_AS_PROGRAM=1", "PATH=/bin", "BRIDGE_ENV_FILE=" + env, "BRIDGE_HTTP_ADDR=", "BRIDGE_EMBEDDED_NATS_ADDR=127.0.0.1:0", "BRIDGE_DATA_DIR=" + dir,
		"BRIDGE_STREAM_MAX_BYTES=64MiB"}
	if stdin != nil && isTerminal(stdin) {
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
	return p
}

func (p *program) text() string {
	p.t.Helper()
	text, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// says waits until the log has text n times.
func (p *program) says(text string, n int) {
	p.t.Helper()
	until(p.t, fmt.Sprintf("%q %d times", text, n), func() bool { return strings.Count(p.text(), text) >= n })
}

func (p *program) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// ends waits for the end in order.
func (p *program) ends() {
	p.t.Helper()
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("it ended with %v:\n%s", err, p.text())
	}
	if !strings.Contains(p.text(), `"msg":"bridge stopped"`) {
		p.t.Errorf("it did not end in order:\n%s", p.text())
	}
}

// settingsFile holds a bridge to a simulated Asterisk.
func settingsFile(addr string, more ...string) string {
	lines := []string{"BRIDGE_SERVERS=pbx1", "BRIDGE_SERVER_PBX1_ADDR=" + addr, "BRIDGE_SERVER_PBX1_USERNAME=bridge", "BRIDGE_SERVER_PBX1_SECRET=" + envtest.Canary}
	return strings.Join(append(lines, more...), "\n") + "\n"
}

func TestHangup_ReadsTheSettingsAgainAndEndsNothing(t *testing.T) {
	sim, addr := simulate(t, amisim.Config{Users: map[string]string{"bridge": envtest.Canary}, NotBooted: true})
	null, err := os.Open(os.DevNull) // a device, as a terminal is
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	env := envtest.File(t, settingsFile(addr))
	p := startProgram(t, null, env)
	p.says(`"session up"`, 2)
	if err := os.WriteFile(env, []byte(settingsFile(addr, "BRIDGE_LOG_LEVEL=debug", "BRIDGE_NODE=x")), 0o600); err != nil {
		t.Fatal(err)
	}
	logins := sim.Received("Login")
	other, addr2 := simulate(t, amisim.Config{Users: map[string]string{"bridge": envtest.Canary}, NotBooted: true})
	p.signal(syscall.SIGHUP)
	p.says(`"msg":"settings read again","changed":["BRIDGE_LOG_LEVEL"]`, 1)
	p.says(`"msg":"settings that cannot change before a restart","variables":["BRIDGE_NODE"]`, 1)
	if err := os.WriteFile(env, []byte(settingsFile(addr, "BRIDGE_LOG_LEVEL=debug", "BRIDGE_NODE=x", "BRIDGE_SERVER_PBX2_ADDR="+addr2,
		"BRIDGE_SERVER_PBX2_USERNAME=bridge", "BRIDGE_SERVER_PBX2_SECRET="+envtest.Canary)), 0o600); err != nil {
		t.Fatal(err)
	}
	rewrite(t, env, "BRIDGE_SERVERS=pbx1", "BRIDGE_SERVERS=pbx1,pbx2")
	p.signal(syscall.SIGHUP)
	p.says(`"msg":"servers changed","added":["pbx2"],"removed":[],"restarted":[]`, 1)
	until(t, "pbx2 is served", func() bool { return other.Sessions() == 2 })
	rewrite(t, env, "BRIDGE_SERVERS=pbx1,pbx2", "BRIDGE_SERVERS=pbx1")
	rewrite(t, env, "BRIDGE_SERVER_PBX2_", "# BRIDGE_SERVER_PBX2_")
	p.signal(syscall.SIGHUP)
	p.says(`"msg":"servers changed","added":[],"removed":["pbx2"],"restarted":[]`, 1)
	until(t, "pbx2 is let go", func() bool { return other.Sessions() == 0 })
	if err := os.WriteFile(env, []byte(envtest.Canary), 0o600); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	p.says(`"msg":"settings not read again: nothing has changed"`, 1)
	if n := sim.Received("Login") - logins; n != 0 {
		t.Errorf("%d logins more", n)
	}
	p.signal(syscall.SIGTERM)
	p.ends()
	if strings.Contains(p.text(), envtest.Canary) {
		t.Errorf("a secret is in the log:\n%s", p.text())
	}
}

// rewrite has all that is before in the file be after.
func rewrite(t *testing.T, file, before, after string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, []byte(strings.ReplaceAll(string(text), before, after)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A terminal that is closed tells its processes, the shell does once more.
func TestHangup_OfATerminalEndsInOrder(t *testing.T) {
	_, addr := simulate(t, amisim.Config{Users: map[string]string{"bridge": envtest.Canary}, NotBooted: true})
	master, terminal := openTerminal(t)
	p := startProgram(t, terminal, envtest.File(t, settingsFile(addr)))
	terminal.Close()
	p.says(`"session up"`, 2)
	master.Close() // the kernel's SIGHUP
	p.says(`"msg":"shutting down"`, 1)
	_ = p.cmd.Process.Signal(syscall.SIGHUP) // the shell's; it may have ended by now
	p.ends()
}

// openTerminal returns both ends of a terminal.
func openTerminal(t *testing.T) (master, terminal *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close(); terminal.Close() })
	return master, terminal
}

func TestIsTerminal(t *testing.T) {
	master, terminal := openTerminal(t)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	for what, test := range map[string]struct {
		file *os.File
		want bool
	}{"terminal": {terminal, true}, "master": {master, true}, "null": {null, false}, "pipe": {r, false}} {
		if got := isTerminal(test.file); got != test.want {
			t.Errorf("%s: %v", what, got)
		}
	}
}
