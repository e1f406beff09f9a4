package natsconn

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
)

// Question returns the context of one question on the connection. It ends after timeout, and
// as soon as the connection is lost: its answer would come to nobody then, and who waited for
// it would wait on although NATS is back. Its cause is [nats.ErrDisconnected] in that case. A
// question that is asked while the connection is down ends with the timeout, or with the next
// loss. Call cancel when it has ended.
func (c *Conn) Question(ctx context.Context, timeout time.Duration) (_ context.Context, cancel context.CancelFunc) {
	ctx, stop := context.WithTimeout(ctx, timeout)
	ctx, lose := context.WithCancelCause(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	number := c.asked
	c.questions[number] = lose
	return ctx, func() {
		c.mu.Lock()
		delete(c.questions, number)
		c.mu.Unlock()
		lose(nil)
		stop()
	}
}

// endQuestions ends the questions that are out.
func (c *Conn) endQuestions() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, lose := range c.questions {
		lose(nats.ErrDisconnected)
	}
}
