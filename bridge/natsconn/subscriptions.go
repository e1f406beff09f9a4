package natsconn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
)

const (
	// renewAtOnce is how many subscriptions are exchanged together: while they are,
	// that many more count against the server's limit.
	renewAtOnce = 32
	// overlap is how long both are there, the old one and the fresh one: for that
	// long a server, this or another of a cluster, may still be at a message for
	// which it has found the old one only. nats.go has handed over by then what
	// the server has against the fresh one.
	overlap = 250 * time.Millisecond
	// FlushTimeout bounds the wait for the server's answer to a ping.
	FlushTimeout = 5 * time.Second
)

// Subscription is one that a conn keeps up. nats.go makes it again on each new
// connection and at no other time, whereas the server takes it away when the
// rights go and does not bring it back with them. So it is exchanged, again and
// again, for a fresh one: first that is made, and some time after the server has
// it the old one is drained, so that nothing falls between them. Both have the same queue
// group, so that a request reaches one of them; where nobody else is to share it
// the group is this process's own. Acknowledgements have none: to take one twice
// changes nothing.
type Subscription struct {
	Subject, Queue string
	Handle         nats.MsgHandler
	Made           func(*nats.Subscription) error // sets up each one that is made; may be nil
	Look           func()                         // called while the one before is drained; may be nil

	// Of conn.mu.
	sub      *nats.Subscription // the one in use
	on       *Link
	stands   bool  // the server has it, as far as is known
	reported error // a denial since it was last made
	denied   error // why it does not stand
	stopped  bool
}

var (
	errAtLimit = errors.New("the server takes no more subscriptions: its limit, or the account's, is reached")
	// ErrNotYet is of a subscription that the server has not confirmed yet.
	ErrNotYet = errors.New("not yet subscribed")
)

// Subscribe keeps up a subscription from now on, or from Open on.
func (c *Conn) Subscribe(subject, queue string, handle nats.MsgHandler) (*Subscription, error) {
	s := &Subscription{Subject: subject, Queue: queue, Handle: handle}
	return s, c.Add(s)
}

// Add keeps up s from now on, or from Open on, or, where the connection is closed for good, from
// the next one on.
func (c *Conn) Add(s *Subscription) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.Get(); l != nil {
		sub, err := s.make(l)
		switch {
		case err == nil:
			s.use(l, sub)
			clock.Raise(c.wake)
		case !l.IsClosed():
			return err
		}
	}
	c.subs = append(c.subs, s)
	return nil
}

// make subscribes on l.
func (s *Subscription) make(l *Link) (*nats.Subscription, error) {
	sub, err := l.QueueSubscribe(s.Subject, s.Queue, s.Handle)
	if err == nil && s.Made != nil {
		err = s.Made(sub)
	}
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", s.Subject, err)
	}
	return sub, nil
}

// use takes sub, made on l, into use. It needs conn.mu.
func (s *Subscription) use(l *Link, sub *nats.Subscription) { s.sub, s.on, s.stands = sub, l, false }

// take subscribes on a new link, which is not connected yet as a rule, and has it be the one that
// there is now.
func (c *Conn) take(l *Link) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.subs {
		sub, err := s.make(l)
		if err != nil {
			return err
		}
		s.use(l, sub)
	}
	c.made.Add(1)
	c.current.Store(l)
	return nil
}

// Stop takes no more messages; those that have come are still handled.
func (c *Conn) Stop(s *Subscription) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.stopped = true
	c.subs = slices.DeleteFunc(c.subs, func(other *Subscription) bool { return other == s })
	if s.sub == nil {
		return nil // it waited for the next connection
	}
	if err := s.sub.Drain(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return fmt.Errorf("drain %s: %w", s.Subject, err)
	}
	return nil
}

// Failed takes an error of the server's that nobody waits for.
func (c *Conn) Failed(err error) {
	subject, publish, denied := Denial(err)
	atLimit := errors.Is(err, nats.ErrMaxSubscriptionsExceeded)
	if publish {
		c.mu.Lock()
		c.muted = true
		c.mu.Unlock()
		return
	}
	if denied == nil && !atLimit {
		return
	}
	c.mu.Lock()
	c.atLimit = c.atLimit || atLimit
	for _, s := range c.subs {
		if denied != nil && s.Subject == subject {
			s.reported, s.denied, s.stands = denied, denied, false
		}
	}
	c.mu.Unlock()
	clock.Raise(c.denial)
}

// Stand says of each subject why its subscription does not stand; nil if it does.
func (c *Conn) Stand() map[string]error {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make(map[string]error, len(c.subs))
	for _, s := range c.subs {
		switch {
		case s.denied != nil:
			all[s.Subject] = s.denied
		case !s.stands:
			all[s.Subject] = ErrNotYet
		default:
			all[s.Subject] = nil
		}
	}
	return all
}

// Standing returns how many subscriptions stand, and how many there are.
func (c *Conn) Standing() (stand, all int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.subs {
		if s.stands {
			stand++
		}
	}
	return stand, len(c.subs)
}

// well reports whether the server has denied none.
func (c *Conn) well() bool { return len(c.lost()) == 0 }

// Confirm notes what stands of the subscriptions that were made with a new
// connection, or one by one. It is for run.
func (c *Conn) Confirm(ctx context.Context) {
	l, before := c.Get(), c.lost()
	if l.FlushTimeout(FlushTimeout) != nil {
		return
	}
	if l.LastError() != nil {
		pause(ctx, overlap)
	}
	c.mu.Lock()
	for _, s := range c.subs {
		switch {
		case s.on != l || s.stands || s.reported != nil:
		case c.atLimit:
			s.denied = errAtLimit
		default:
			s.stands, s.denied = true, nil
		}
	}
	c.mu.Unlock()
	c.logMissing(before)
}

// confirmed reports whether it is known of each whether it stands.
func (c *Conn) confirmed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !slices.ContainsFunc(c.subs, func(s *Subscription) bool { return !s.stands && s.denied == nil })
}

// renew exchanges every subscription for a fresh one. It is for run.
func (c *Conn) renew(ctx context.Context) {
	l := c.Get()
	c.mu.Lock()
	all := slices.Clone(c.subs)
	c.mu.Unlock()
	before := c.lost()
	for some := range slices.Chunk(all, renewAtOnce) {
		if ctx.Err() != nil || !l.IsConnected() || !c.exchange(ctx, l, some) {
			return
		}
	}
	c.logMissing(before)
}

// exchange makes each of some anew on l, and drains those before. It reports
// whether l is still there.
func (c *Conn) exchange(ctx context.Context, l *Link, some []*Subscription) bool {
	reconnects := l.Stats().Reconnects
	c.mu.Lock()
	c.atLimit = false
	for _, s := range some {
		s.reported = nil
	}
	c.mu.Unlock()
	fresh := make([]*nats.Subscription, len(some))
	for i, s := range some {
		sub, err := s.make(l)
		if err != nil { // it is closed for good
			return false
		}
		fresh[i] = sub
	}
	// Whatever the server has against them comes before its answer.
	answered := l.FlushTimeout(FlushTimeout) == nil && pause(ctx, overlap)
	old := c.swap(l, some, fresh, answered)
	for _, sub := range old {
		_ = sub.Drain() // its only error is a connection that is closed for good
	}
	return c.drained(ctx, l, some, old, reconnects)
}

// swap takes the fresh ones into use, and returns those that are to be drained.
// A server that is at its limit may have refused any, so that the old ones stay.
func (c *Conn) swap(l *Link, some []*Subscription, fresh []*nats.Subscription, answered bool) (old []*nats.Subscription) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, s := range some {
		switch {
		case s.stopped || s.on != l:
			old = append(old, fresh[i])
			continue
		case c.atLimit:
			old = append(old, fresh[i])
			if !s.stands {
				s.denied = errAtLimit
			}
			continue
		}
		old = append(old, s.sub)
		s.sub = fresh[i]
		if answered && s.reported == nil {
			s.stands, s.denied = true, nil
		}
	}
	return old
}

// drained waits until old are gone, and reports whether l is still there. If l
// was connected again meanwhile nats.go may have made one of them once more for
// the server, which it does not know itself any more: requests would be lost
// there. Only another connection makes that good.
func (c *Conn) drained(ctx context.Context, l *Link, some []*Subscription, old []*nats.Subscription, reconnects uint64) bool {
	for slices.ContainsFunc(old, (*nats.Subscription).IsValid) && !l.IsClosed() {
		for _, s := range some {
			if s.Look != nil {
				s.Look()
			}
		}
		if !pause(ctx, 5*time.Millisecond) {
			return false
		}
	}
	if l.Stats().Reconnects == reconnects {
		return !l.IsClosed()
	}
	_ = l.ForceReconnect() // or it is closed for good
	return false
}

// pause lets d pass, and reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// lost are the subjects that NATS does not let the bridge subscribe to.
func (c *Conn) lost() (subjects []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.subs {
		if s.denied != nil {
			subjects = append(subjects, s.Subject)
		}
	}
	return subjects
}

// logMissing logs a change of what does not stand.
func (c *Conn) logMissing(before []string) {
	now := c.lost()
	if slices.Equal(before, now) {
		return
	}
	if len(now) == 0 {
		c.o.Log.Info("nats subscriptions stand again")
		return
	}
	c.o.Log.Warn("nats subscriptions missing", zap.Int("count", len(now)),
		zap.Strings("subjects", now[:min(len(now), 8)]), zap.Error(c.Stand()[now[0]]))
}
