package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// untilSignal returns a context that ends with the first SIGINT, SIGTERM or
// SIGHUP. A second SIGINT or SIGTERM means now: it calls exit with code 1. A
// SIGHUP never does, for a terminal that is closed sends it more than once, the
// kernel and the shell each. stop waits for the goroutine.
func untilSignal(parent context.Context, exit func(int)) (ctx context.Context, stop func()) {
	return endWith(parent, exit, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
}

// endWith is untilSignal for these signals.
func endWith(parent context.Context, exit func(int), those ...os.Signal) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, those...)
	done := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for ends := 0; ; {
			select {
			case <-done:
				return
			case s := <-signals:
				if s != syscall.SIGHUP {
					ends++
				}
			}
			if ends > 1 {
				exit(1)
			}
			cancel()
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
		ctx, stop = untilSignal(parent, exit)
		return ctx, nil, stop
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	ctx, end := endWith(parent, exit, os.Interrupt, syscall.SIGTERM)
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
