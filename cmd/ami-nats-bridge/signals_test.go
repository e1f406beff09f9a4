package main

import (
	"syscall"
	"testing"
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
