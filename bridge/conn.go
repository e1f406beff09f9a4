package bridge

import (
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
)

const (
	// renewEvery is how often the subscriptions are made anew, and for how long
	// the server's word about the largest message counts.
	renewEvery = 20 * time.Second
	// renewFirst is the first wait before what NATS has denied is tried again.
	renewFirst = time.Second
	// leastLimit is more than a Gap has.
	leastLimit = 1 << 10
)

// conn is one of the bridge's connections to NATS, as long as the bridge runs.
// nats.go comes back from most losses by itself, but an error of the server that
// it does not know, such as 'Maximum Payload Violation', closes a nats.Conn for
// good (nats.go, Conn.processErr). Then conn makes another. So nobody keeps a
// nats.Conn for longer than one use: get is the one that there is now.
//
// Its methods may be called from any goroutine once open was; run is one of its
// own.
type conn struct {
	log *zap.Logger
	// dial begins to connect, and returns at once although NATS is not there.
	dial func() (*nats.Conn, error)
	// probe connects once more, only to hear what the server at url says.
	probe func(url string) (*nats.Conn, error)
	// login is what the next connect logs in with; false if that is not known now.
	login func() (loginMark, bool)

	current  atomic.Pointer[link]
	made     atomic.Uint64             // links
	connects atomic.Uint64             // times that one of them was connected
	used     atomic.Pointer[loginMark] // what the last connect logged in with, or something older
	again    chan struct{}             // of capacity 1: connected, or closed for good
	denial   chan struct{}             // of capacity 1: the server did not take a subscription
	limit    atomic.Int64              // a payload that has shown to be too large, or 0
	limitEnd atomic.Int64              // when that counts no more, in Unix nanoseconds
	said     seen                      // errors, since it was connected

	mu       sync.Mutex // protects the following
	subs     []*subscription
	crowded  bool            // the server took no more subscriptions
	watchers []chan struct{} // of capacity 1: connected, or not any more
	muted    bool            // since it was made NATS did not let it publish something
}

// link is one nats.Conn of a conn.
type link struct {
	*nats.Conn
	js      jetstream.JetStream
	largest atomic.Int64 // payload published on it
	looked  atomic.Int64 // when its server last said what it takes, in Unix nanoseconds
}

func newConn(name string, log *zap.Logger) *conn {
	return &conn{
		log:   log.Named("nats").With(zap.String("connection", name)),
		again: make(chan struct{}, 1), denial: make(chan struct{}, 1),
	}
}

// open makes a link. NATS need not be there yet.
func (c *conn) open() error {
	c.loggingIn()
	nc, err := c.dial()
	if err != nil {
		return err
	}
	return c.adopt(nc)
}

// adopt takes up nc in place of what was before, and subscribes on it.
func (c *conn) adopt(nc *nats.Conn) error {
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return fmt.Errorf("JetStream: %w", err)
	}
	l := &link{Conn: nc, js: js}
	l.looked.Store(time.Now().UnixNano())
	if err := c.subscribeAll(l); err != nil {
		nc.Close()
		return err
	}
	c.made.Add(1)
	c.current.Store(l)
	c.changed()
	return nil
}

// get is the link that there is now.
func (c *conn) get() *link { return c.current.Load() }

// up reports whether it is connected.
func (c *conn) up() bool { return c.get().IsConnected() }

// watch returns a channel that receives when the connection has come or gone.
func (c *conn) watch() <-chan struct{} {
	w := make(chan struct{}, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watchers = append(c.watchers, w)
	return w
}

func (c *conn) changed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.watchers {
		raise(w)
	}
}

// connected hears that the server has taken the connection, and reports whether
// it had done so before. Every subscription was made once more, with rights that
// may be other ones.
func (c *conn) connected() (before bool) {
	before = c.connects.Add(1) > 1
	c.mu.Lock()
	c.crowded, c.muted = false, false
	for _, s := range c.subs {
		s.stands, s.heard, s.denied = false, nil, nil
	}
	c.mu.Unlock()
	c.changed()
	raise(c.again)
	return before
}

// ended hears that nats.go has closed nc for good.
func (c *conn) ended(nc *nats.Conn) {
	if l := c.get(); l != nil && l.Conn == nc && oversized(nc.LastError()) {
		c.learn(l)
	}
	c.changed()
	raise(c.again)
}

// run makes another link whenever nats.go has closed one for good, the
// subscriptions anew at an interval and when NATS has denied one, and connects
// again with another login if that may be denied less, until ctx ends.
func (c *conn) run(ctx context.Context) {
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { c.renewLogin(ctx) })
	remakes, retries := delays(250*time.Millisecond, 5*time.Second), delays(renewFirst, renewEvery)
	wait, denial := renewEvery, c.denial
	for {
		timer, due := time.NewTimer(wait), true
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-denial:
		case <-c.again:
			due = false
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
		if c.get().IsClosed() && !c.remake() {
			wait = remakes.NextBackOff()
			continue
		}
		remakes.Reset()
		switch {
		case !c.up():
		case !c.confirmed():
			c.confirm(ctx)
		case due:
			c.renew(ctx)
		}
		if c.well() {
			retries.Reset()
			wait, denial = renewEvery, c.denial
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
func (c *conn) remake() bool {
	c.log.Warn("nats connection closed for good: another is made", zap.Error(c.get().LastError()))
	if err := c.open(); err != nil {
		c.log.Error("nats connection not made", zap.Error(err))
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
func (c *conn) learn(l *link) {
	if size := l.largest.Load(); size > leastLimit {
		c.limitEnd.Store(time.Now().Add(renewEvery).UnixNano())
		c.limit.Store(size)
	}
}

// publish sends m on l. Its error is nats.ErrMaxPayload if the server takes no
// such message now; nats.ErrDisconnected if it does again, on a connection that is
// being made. To find out takes up to connectTimeout a server, once each
// renewEvery.
func (c *conn) publish(l *link, m *nats.Msg) error {
	size := int64(len(m.Data))
	if limit := c.limit.Load(); limit > 0 && size >= limit && time.Now().UnixNano() < c.limitEnd.Load() {
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
func (c *conn) takesMore(l *link) bool {
	now, looked := time.Now().UnixNano(), l.looked.Load()
	if now-looked < int64(renewEvery) || !l.looked.CompareAndSwap(looked, now) {
		return false
	}
	nc, err := c.probe(l.ConnectedUrl())
	if err != nil {
		return false
	}
	defer nc.Close()
	// The account's own limit comes behind the first answer.
	if nc.FlushTimeout(connectTimeout) != nil || nc.MaxPayload() <= l.MaxPayload() {
		return false
	}
	return l.ForceReconnect() == nil
}

// hasFastIngestEverywhere asks every server that is known, of a cluster those that it has told of,
// whether it has fast ingest. The error names one that has not, or that cannot be
// asked now. It takes up to connectTimeout a server.
func (c *conn) hasFastIngestEverywhere() error {
	l := c.get()
	for _, url := range l.Servers() {
		version := l.ConnectedServerVersion()
		if url != l.ConnectedUrl() {
			nc, err := c.probe(url)
			if err != nil {
				return fmt.Errorf("a server cannot be asked: %w", err)
			}
			version = nc.ConnectedServerVersion()
			nc.Close()
		}
		if !fastIngestSince(version) {
			return fmt.Errorf("a server is nats-server %s", version)
		}
	}
	return nil
}
