package natsconn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
)

const (
	// RenewEvery is how often the subscriptions are made anew, and for how long
	// the server's word about the largest message counts, unless the Config says otherwise.
	RenewEvery = 20 * time.Second
	// renewFirst is the first wait before what NATS has denied is tried again.
	renewFirst = time.Second
	// leastLimit is more than a Gap has.
	leastLimit = 1 << 10
)

// Conn is one of the bridge's connections to NATS, as long as the bridge runs.
// nats.go comes back from most losses by itself, but an error of the server that
// it does not know, such as 'Maximum Payload Violation', closes a nats.Conn for
// good (nats.go, Conn.processErr). Then conn makes another. So nobody keeps a
// nats.Conn for longer than one use: Get returns the one that there is now.
//
// Its methods may be called from any goroutine once open was; run is one of its
// own. Give it its listeners, by Add, Watch, OnReconnect and OnError, before Open: then
// they miss nothing.
type Conn struct {
	o Options

	current  atomic.Pointer[Link]
	made     atomic.Uint64             // links
	connects atomic.Uint64             // times that one of them was connected
	used     atomic.Pointer[loginMark] // what the last connect logged in with, or something older
	wake     chan struct{}             // of capacity 1: connected, or closed for good
	denial   chan struct{}             // of capacity 1: the server did not take a subscription
	limit    atomic.Int64              // a payload that has shown to be too large, or 0
	limitEnd atomic.Int64              // when that counts no more, see since
	began    time.Time                 // what since counts from
	said     reported                  // errors, since it was connected

	reconnects []func()      // given before Open, as are the next
	errors     []func(error) // of the server that nobody waits for

	mu       sync.Mutex // protects the following
	subs     []*Subscription
	atLimit  bool            // the server took no more subscriptions
	watchers []chan struct{} // of capacity 1: connected, or not any more
	muted    bool            // since it was made NATS did not let it publish something

	asked     uint64                             // questions
	questions map[uint64]context.CancelCauseFunc // those that are out
}

// Link is one nats.Conn of a conn.
type Link struct {
	*nats.Conn
	JS      jetstream.JetStream
	largest atomic.Int64 // payload published on it
	looked  atomic.Int64 // when its server last said what it takes, see Conn.since
}

// Options is what a conn goes by.
type Options struct {
	Name      string
	Config    *config.Config
	Login     *Login
	InProcess nats.InProcessConnProvider // of a server in this process, or nil
	Own       []nats.Option              // of this one alone
	Log       *zap.Logger
}

// New returns a connection that Open opens and Run keeps up.
func New(o Options) *Conn {
	o.Log = o.Log.Named("nats").With(zap.String("connection", o.Name))
	return &Conn{
		o: o, wake: make(chan struct{}, 1), denial: make(chan struct{}, 1), began: time.Now(),
		questions: map[uint64]context.CancelCauseFunc{},
	}
}

// since is how many nanoseconds after it was made c is at now. The wall clock decides nothing.
func (c *Conn) since(now time.Time) int64 { return int64(now.Sub(c.began)) }

// RenewEvery is that of its Config, or RenewEvery.
func (c *Conn) RenewEvery() time.Duration { return cmp.Or(c.o.Config.NATS.RenewEvery, RenewEvery) }

// OnReconnect has f called whenever the server has taken the connection again. It
// must not wait. Call it before Open.
func (c *Conn) OnReconnect(f func()) { c.reconnects = append(c.reconnects, f) }

// OnError has f called with the errors of the server's that nobody waits for. It must not
// wait. Call it before Open.
func (c *Conn) OnError(f func(error)) { c.errors = append(c.errors, f) }

// Open makes a link. NATS need not be there yet.
func (c *Conn) Open() error {
	c.loggingIn()
	nc, err := c.dial()
	if err != nil {
		return err
	}
	return c.Adopt(nc)
}

// Adopt takes up nc in place of what was before, and subscribes on it.
func (c *Conn) Adopt(nc *nats.Conn) error {
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return fmt.Errorf("JetStream: %w", err)
	}
	l := &Link{Conn: nc, JS: js}
	l.looked.Store(c.since(time.Now()))
	if err := c.take(l); err != nil {
		nc.Close()
		return err
	}
	c.changed()
	return nil
}

// Get is the link that there is now.
func (c *Conn) Get() *Link { return c.current.Load() }

// Up reports whether it is connected.
func (c *Conn) Up() bool { return c.Get().IsConnected() }

// Watch returns a channel that receives when the connection has come or gone.
func (c *Conn) Watch() <-chan struct{} {
	w := make(chan struct{}, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watchers = append(c.watchers, w)
	return w
}

func (c *Conn) changed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.watchers {
		clock.Raise(w)
	}
}

// Connected returns how often the server has taken the connection.
func (c *Conn) Connected() uint64 { return c.connects.Load() }

// Remade returns how many links were made in place of one that was closed for good.
func (c *Conn) Remade() uint64 { return max(1, c.made.Load()) - 1 }

// onConnected notes that the server has taken the connection, and reports whether
// it had done so before. Every subscription was made once more, with rights that
// may be other ones.
func (c *Conn) onConnected() (before bool) {
	before = c.connects.Add(1) > 1
	c.mu.Lock()
	c.atLimit, c.muted = false, false
	for _, s := range c.subs {
		s.stands, s.reported, s.denied = false, nil, nil
	}
	c.mu.Unlock()
	c.changed()
	clock.Raise(c.wake)
	return before
}

// ended notes that nats.go has closed nc for good.
func (c *Conn) ended(nc *nats.Conn) {
	c.endQuestions()
	if l := c.Get(); l != nil && l.Conn == nc && oversized(nc.LastError()) {
		c.learn(l)
	}
	c.changed()
	clock.Raise(c.wake)
}

// Run makes another link whenever nats.go has closed one for good, the
// subscriptions anew at an interval and when NATS has denied one, and connects
// again with another login if that may be denied less, until ctx ends.
func (c *Conn) Run(ctx context.Context) {
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { c.renewLogin(ctx) })
	remakes, retries := delays(250*time.Millisecond, 5*time.Second), delays(renewFirst, c.RenewEvery())
	wait, denial := c.RenewEvery(), c.denial
	for {
		timer, due := time.NewTimer(wait), true
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-denial:
		case <-c.wake:
			due = false
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
		if c.Get().IsClosed() && !c.remake() {
			wait = remakes.NextBackOff()
			continue
		}
		remakes.Reset()
		switch {
		case !c.Up():
		case !c.confirmed():
			c.Confirm(ctx)
		case due:
			c.renew(ctx)
		}
		if c.well() {
			retries.Reset()
			wait, denial = c.RenewEvery(), c.denial
		} else {
			wait, denial = retries.NextBackOff(), nil // each try is answered by another denial
		}
	}
}

func delays(first, most time.Duration) *backoff.ExponentialBackOff {
	d := backoff.NewExponentialBackOff()
	d.InitialInterval, d.MaxInterval, d.RandomizationFactor = first, most, 0.1
	return d
}

// remake makes a link in place of one that is closed for good.
func (c *Conn) remake() bool {
	c.o.Log.Warn("nats connection closed for good: another is made", zap.Error(c.Get().LastError()))
	if err := c.Open(); err != nil {
		c.o.Log.Error("nats connection not made", zap.Error(err))
		return false
	}
	return true
}

// oversized reports whether the server closed a connection because of a message's
// size (nats-server, client.maxPayloadViolation).
func oversized(err error) bool {
	return err != nil && strings.Contains(strings.ToLower(err.Error()), "maximum payload")
}

// learn notes that the largest message on l was too large. What the server said
// at its begin may be old or, from an older nats-server, not what holds for the
// account; the largest is too large in any case. No server takes so little that
// what the bridge itself says would be it.
func (c *Conn) learn(l *Link) {
	if size := l.largest.Load(); size > leastLimit {
		c.limitEnd.Store(c.since(time.Now().Add(c.RenewEvery())))
		c.limit.Store(size)
	}
}

// Publish sends m on l. Its error is nats.ErrMaxPayload if the server takes no
// such message now; nats.ErrDisconnected if it does again, on a connection that is
// being made. To find out takes up to ConnectTimeout a server, once each
// RenewEvery.
func (c *Conn) Publish(l *Link, m *nats.Msg) error {
	size := int64(len(m.Data))
	if limit := c.limitNow(); limit > 0 && size >= limit {
		return nats.ErrMaxPayload
	}
	if size > l.largest.Load() {
		l.largest.Store(size)
	}
	err := l.PublishMsg(m)
	if errors.Is(err, nats.ErrMaxPayload) && c.takesMore(l) {
		return nats.ErrDisconnected
	}
	return err
}

// takesMore asks the server once more how large a message may be, which it tells
// each connection at its begin only, and connects l again if that is more now.
func (c *Conn) takesMore(l *Link) bool {
	now, looked := c.since(time.Now()), l.looked.Load()
	if now-looked < int64(c.RenewEvery()) || !l.looked.CompareAndSwap(looked, now) {
		return false
	}
	nc, err := c.connectOnce(l.ConnectedUrl())
	if err != nil {
		return false
	}
	defer nc.Close()
	// The account's own limit comes behind the first answer.
	if nc.FlushTimeout(ConnectTimeout) != nil || nc.MaxPayload() <= l.MaxPayload() {
		return false
	}
	return l.ForceReconnect() == nil
}
