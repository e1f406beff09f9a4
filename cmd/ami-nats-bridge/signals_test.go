package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ami-nats-bridge/ami-nats-bridge/internal/longtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

func TestSignals_FirstEndsSecondExits(t *testing.T) {
	exited := make(chan int, 1)
	ctx, stop := untilSignal(t.Context(), func(code int) { exited <- code })
	defer stop()
	for range 2 {
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		<-ctx.Done()
	}
	if code := <-exited; code != 1 {
		t.Errorf("exit code %d", code)
	}
}

// A command whose reader has stopped, and has not gone, ends with the first signal all the same: timeout and a service
// manager send no other.
func TestSignals_EndWhoseReaderHasStopped(t *testing.T) {
	longtest.Mark(t, "it is given five seconds")
	server := natstest.Start(t, t.TempDir(), 0)
	nc, _ := natstest.Client(t, server.ClientURL())
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	cmd := exec.Command(os.Args[0], "tail", "ami.events.>", "-o", "json") // this test itself, see TestMain
	cmd.Stdout, cmd.Env = writer, []string{"AMI_NATS_BRIDGE_AS_PROGRAM=1", "BRIDGE_NATS_URL=" + server.ClientURL()}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer cmd.Process.Kill() //nolint:errcheck // it has ended, if all is well
	natstest.Within(t, "it listens", func() bool { return subscribed(server, "ami.events.>") })
	room, err := unix.FcntlInt(reader.Fd(), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Publish("ami.events.pbx1.UserEvent", fmt.Appendf(nil, `{"Event":"UserEvent","UserEvent":"%0*d"}`, 2*room, 0)); err != nil {
		t.Fatal(err)
	}
	natstest.Within(t, "the pipe is full", func() bool {
		n, err := unix.IoctlGetInt(int(reader.Fd()), unix.TIOCINQ)
		return err == nil && n == room
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if e, ok := err.(*exec.ExitError); !ok || e.ExitCode() != 1 {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(natstest.Patience):
		t.Error("it goes on")
	}
}
