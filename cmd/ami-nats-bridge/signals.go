package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// untilSignal returns a context that ends with the first SIGINT, SIGTERM or
// SIGHUP. A second SIGINT or SIGTERM means now: it calls exit with code 1. A
// SIGHUP never does, for a terminal that is closed sends it more than once, the
// kernel and the shell each. Who has not called stop within a while is held up by whoever
// does not take what it prints: that ends the same way. stop waits for the goroutine.
func untilSignal(parent context.Context, exit func(int)) (ctx context.Context, stop func()) {
	return endWith(parent, exit, heldUp, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
}

// heldUp is how long a command that prints may take to end.
const heldUp = 5 * time.Second

// endWith is untilSignal for these signals, with a while that has no end if it is 0.
func endWith(parent context.Context, exit func(int), while time.Duration, those ...os.Signal) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, those...)
	done := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		var over <-chan time.Time
		for ends := 0; ; {
			select {
			case <-done:
				return
			case <-over:
				exit(1)
			case s := <-signals:
				if s != syscall.SIGHUP {
					ends++
				}
			}
			if ends > 1 {
				exit(1)
			}
			cancel()
			if over == nil && while > 0 {
				over = time.After(while)
			}
		}
	})
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		group.Wait()
		cancel()
	}
}

// untilEnd is untilSignal for a process that SIGHUP asks to read its settings
// again; each such signal is one in hangup, several that nobody has taken are
// one. With a terminal as standard input SIGHUP says that it was closed, and
// ends the process like the others.
func untilEnd(parent context.Context, exit func(int), terminal bool) (ctx context.Context, hangup <-chan os.Signal, stop func()) {
	if terminal {
		ctx, stop = endWith(parent, exit, 0, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		return ctx, nil, stop
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	ctx, end := endWith(parent, exit, 0, os.Interrupt, syscall.SIGTERM)
	return ctx, hangups, func() {
		signal.Stop(hangups)
		end()
	}
}

// isTerminal reports whether file is one, and not only a device as /dev/null is.
func isTerminal(file *os.File) bool {
	_, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	return err == nil
}
