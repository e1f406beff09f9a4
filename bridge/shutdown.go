package bridge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
)

// stages are the goroutines of Bridge.Run by when they end: the front, the
// Links, before the back, which carries away what they have left. Their
// contexts are not the caller's, whose end only begins the shutdown.
type stages struct {
	front, back       sync.WaitGroup
	frontCtx, backCtx context.Context
	endFront, endBack context.CancelFunc
}

func newStages(ctx context.Context) *stages {
	s := new(stages)
	s.backCtx, s.endBack = context.WithCancel(context.WithoutCancel(ctx))
	s.frontCtx, s.endFront = context.WithCancel(s.backCtx)
	return s
}

// shutdown ends everything in order within ShutdownTimeout: no new Actions,
// pending ones end, the sessions log off, the outboxes drain, the state says
// that it is stale, the audit's records are stored, NATS drains. It returns what was left, by name, joined.
func (b *Bridge) shutdown(stage *stages) error {
	began := time.Now()
	deadline := began.Add(b.cfg.ShutdownTimeout)
	ctx, cancel := context.WithDeadline(context.WithoutCancel(stage.backCtx), deadline)
	defer cancel()
	if b.ha != nil {
		// While everything works still, others take over.
		over, stop := context.WithDeadline(ctx, began.Add(b.cfg.ShutdownTimeout/4))
		b.ha.Leave(over)
		stop()
	}
	b.stopServers()
	for _, s := range b.servers.all() {
		s.link.StopActions()
	}
	var left []error
	// Half of the time is for the pending Actions; what is left of them ends
	// with its session, with a reply.
	b.actions.Refuse()
	pending, stop := context.WithDeadline(ctx, began.Add(b.cfg.ShutdownTimeout/2))
	if n := b.actions.Wait(pending); n > 0 {
		left = append(left, fmt.Errorf("%d actions were not answered", n))
	}
	stop()
	if err := b.actions.Stop(); err != nil {
		left = append(left, fmt.Errorf("stop micro service: %w", err))
	}
	stage.endFront()
	stage.front.Wait()
	b.actions.Wait(ctx)
	for _, s := range b.servers.all() {
		s.ingest.CloseGap()
	}
	if events := b.drainOutboxes(ctx); events > 0 {
		left = append(left, fmt.Errorf("%d events were not published", events))
	}
	b.state.Drain(ctx) // what is left of it shows as stale when its time is over
	b.audit.RecordRefusals()
	b.records.Drain(ctx)
	if b.idempotency.IsShared() {
		b.claims.Drain(ctx) // what is left only means that repeats elsewhere time out
	}
	stage.endBack()
	stage.back.Wait()
	if records, _ := b.records.Left(); records > 0 {
		left = append(left, fmt.Errorf("%d audit records were not stored", records))
	}
	b.endSums()
	b.tick()
	b.status.Flush()
	left = append(left, b.drain(ctx, b.events.Get().Conn, "events"), b.drain(ctx, b.control.Get().Conn, "control"))
	b.log.Info("bridge stopped", zap.Duration("duration", time.Since(began)))
	return errors.Join(left...)
}

// drainOutboxes waits until every outbox is empty and returns how many events
// were left when ctx ended.
func (b *Bridge) drainOutboxes(ctx context.Context) uint64 {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		var left uint64
		for _, s := range b.servers.all() {
			left += uint64(s.outbox.Account().Left)
		}
		if left == 0 {
			return 0
		}
		select {
		case <-ctx.Done():
			return left
		case <-ticker.C:
		}
	}
}

// drain ends a connection once everything is out. Drain itself returns at once
// and closes in the background, so the closing is what is waited for.
func (b *Bridge) drain(ctx context.Context, nc *nats.Conn, name string) error {
	if nc.IsClosed() {
		return nil
	}
	closed := nc.StatusChanged(nats.CLOSED)
	if err := nc.Drain(); err != nil {
		nc.Close()
		return fmt.Errorf("drain NATS connection %s: %w", name, err)
	}
	for {
		select {
		case <-closed:
			return nil
		case <-ctx.Done():
			nc.Close()
			return fmt.Errorf("drain NATS connection %s: %w", name, context.Cause(ctx))
		}
	}
}
