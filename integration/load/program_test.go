//go:build linux

package load

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// roleEnv has the test's binary be one of the programs of roles, which answers
// each line that it reads with one line.
const roleEnv = "AMI_TEST_ROLE"

// program is a program in a process of its own, of which the time on the CPU
// can be had. It ends with the test.
type program struct {
	b   *testing.B
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// play starts the test's binary in a role, and returns its first line.
func play(b *testing.B, role string, environment ...string) (*program, string) {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), roleEnv+"="+role), environment...)
	p := start(b, cmd)
	return p, p.line()
}

// start starts cmd.
func start(b *testing.B, cmd *exec.Cmd) *program {
	b.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	p := &program{b: b, cmd: cmd, in: in, out: bufio.NewReader(out)}
	b.Cleanup(p.kill)
	return p
}

func (p *program) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	_ = p.cmd.Wait()
}

// ask has it do something and waits until that is done.
func (p *program) ask(format string, args ...any) string {
	p.b.Helper()
	if _, err := fmt.Fprintf(p.in, format+"\n", args...); err != nil {
		p.b.Fatal(err)
	}
	return p.line()
}

func (p *program) line() string {
	p.b.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil {
		p.b.Fatalf("%v said %q, %v", p.cmd.Args, line, err)
	}
	return strings.TrimSpace(line)
}

// pid is its number.
func (p *program) pid() int { return p.cmd.Process.Pid }

// cpuOf is the time that a process has been on the CPU, in steps of 10 ms
// (proc_pid_stat(5): utime and stime, in ticks of which Linux has 100 a second).
func cpuOf(b *testing.B, pid int) time.Duration {
	b.Helper()
	_, behindName, _ := strings.Cut(proc(b, pid, "stat"), ") ")
	ticks := 0
	for _, field := range strings.Fields(behindName)[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// callsOf are the reads and writes that a process has made (proc_pid_io(5)), and how
// often one of its threads slept until it was woken up (proc_pid_status(5)).
func callsOf(b *testing.B, pid int) (reads, writes, wakeups int) {
	b.Helper()
	number := func(path, name string) (n int) {
		for line := range strings.Lines(proc(b, pid, path)) {
			if value, ok := strings.CutPrefix(line, name+":"); ok {
				n, _ = strconv.Atoi(strings.TrimSpace(value)) // 0: the kernel counts none
			}
		}
		return n
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		b.Fatal(err)
	}
	for _, thread := range threads { // Go ends none
		wakeups += number("task/"+thread.Name()+"/status", "voluntary_ctxt_switches")
	}
	return number("io", "syscr"), number("io", "syscw"), wakeups
}

// memoryOf is what a process has in memory, in bytes (proc_pid_statm(5): resident
// pages).
func memoryOf(b *testing.B, pid int) int {
	b.Helper()
	pages, err := strconv.Atoi(strings.Fields(proc(b, pid, "statm"))[1])
	if err != nil {
		b.Fatal(err)
	}
	return pages * os.Getpagesize()
}

func proc(b *testing.B, pid int, name string) string {
	b.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil {
		b.Fatal(err)
	}
	return string(data)
}
