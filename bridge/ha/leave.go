package ha

import (
	"context"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
)

// yield hands over all that this bridge leads, once it is to go.
func (n *Node) yield(now time.Time) {
	select {
	case <-n.leaves:
		n.leaving = true
	default:
		return
	}
	if n.kept.Load() {
		return
	}
	left := true
	for s := range n.begun() {
		if !s.led {
			continue
		}
		n.step(s, standby.Event{Kind: standby.Handover})
		if v := n.view(s, now); v.HeirSync {
			left = false
		}
	}
	if left {
		n.leave.Do(func() { close(n.left) })
	}
}

// Leave hands over every server to a standby that is in sync, and returns when none is led
// that has one, or ctx ends. What is led still may be published to its end. It is called
// once, while Run runs.
func (n *Node) Leave(ctx context.Context) {
	close(n.leaves)
	select {
	case <-n.left:
	case <-ctx.Done():
		n.kept.Store(true) // to offer again what nobody has taken leaves no time to publish it
	}
	for s := range n.begun() {
		s.Outbox.NextEpoch()
	}
}
