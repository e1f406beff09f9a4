package natsconn

import (
	"context"
	"errors"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// A question ends with the connection that would bring its answer, however long it may take
// otherwise; one that was asked before and has ended is nothing to anybody.
func TestQuestion_EndsWithItsConnection(t *testing.T) {
	c := opened(t, natstest.Serve(t, func(*natsserver.Options) {}).ClientURL())
	_, over := c.Question(t.Context(), time.Hour)
	over()
	out := map[string]context.Context{}
	for _, how := range []string{"is lost", "is closed for good"} {
		ctx, cancel := c.Question(t.Context(), time.Hour)
		defer cancel()
		out[how] = ctx
		if how == "is lost" {
			if err := c.Get().ForceReconnect(); err != nil {
				t.Fatal(err)
			}
		} else {
			c.Get().Close()
		}
		select {
		case <-ctx.Done():
			if !errors.Is(context.Cause(ctx), nats.ErrDisconnected) || !errors.Is(ctx.Err(), context.Canceled) {
				t.Errorf("the connection %s: %v, because of %v", how, ctx.Err(), context.Cause(ctx))
			}
		case <-time.After(natstest.Patience):
			t.Fatalf("the connection %s: the question does not end", how)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.questions) != len(out) {
		t.Errorf("%d questions are kept, %d are out", len(c.questions), len(out))
	}
}

// One that nobody answers ends after its time, as any context does.
func TestQuestion_EndsAfterItsTime(t *testing.T) {
	c := New(Options{Log: zap.NewNop()})
	ctx, cancel := c.Question(t.Context(), time.Nanosecond)
	defer cancel()
	<-ctx.Done()
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Errorf("it ended with %v", ctx.Err())
	}
}
