//go:build unix

package harness

import (
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// Process is a program in a process of its own, the same from one start to the
// next. It is for one goroutine. Who makes one has the test end with Kill.
type Process struct {
	T       testing.TB
	Program string   // its path
	Args    []string // without the program's name
	Env     []string // all of it; nil: that of this process
	Log     string   // path of the file to which its standard error is added; empty: the test's output

	cmd   *exec.Cmd // nil while none runs
	stdin io.Closer // open as long as this process lives
}

// Start starts it and does not wait for anything that it does.
func (p *Process) Start() {
	p.T.Helper()
	cmd := exec.Command(p.Program, p.Args...)
	cmd.Env, cmd.Stderr = p.Env, p.T.Output()
	if p.Log != "" {
		log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			p.T.Fatal(err)
		}
		defer log.Close()
		cmd.Stderr = log
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		p.T.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.T.Fatal(err)
	}
	p.cmd, p.stdin = cmd, stdin
}

// Stop ends it in order, with SIGTERM, and returns how it ended.
func (p *Process) Stop() error {
	p.T.Helper()
	p.Signal(syscall.SIGTERM)
	return p.wait()
}

// Kill ends it at once, frozen or not, as a power switch would. One that does not
// run may be killed, too.
func (p *Process) Kill() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		_ = p.wait()
	}
}

func (p *Process) wait() error {
	err := p.cmd.Wait()
	p.stdin.Close()
	p.cmd = nil
	return err
}

// PID is its number while it runs.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Freeze stops every thread of it: connections stay open and nothing moves.
func (p *Process) Freeze() { p.T.Helper(); p.Signal(syscall.SIGSTOP) }

// Thaw lets it go on.
func (p *Process) Thaw() { p.T.Helper(); p.Signal(syscall.SIGCONT) }

// Signal sends it a signal.
func (p *Process) Signal(s syscall.Signal) {
	p.T.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.T.Fatal(err)
	}
}
