package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// untilSignal returns a context that ends with the first SIGINT or SIGTERM.
// The second one means now: it calls exit with code 1. stop waits for the
// goroutine.
func untilSignal(parent context.Context, exit func(int)) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for count := 0; ; count++ {
			select {
			case <-done:
				return
			case <-signals:
			}
			if count > 0 {
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
