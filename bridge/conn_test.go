package bridge

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
)

// connOf is a conn that has nc, and no other one in its place.
func connOf(t *testing.T, nc *nats.Conn) *conn {
	t.Helper()
	c := newConn("test", zap.NewNop())
	nc.SetReconnectHandler(func(*nats.Conn) { c.connected() })
	nc.SetDisconnectErrHandler(func(*nats.Conn, error) { c.changed() })
	nc.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.failed(err) })
	if err := c.adopt(nc); err != nil {
		t.Fatal(err)
	}
	return c
}

// testConn is a conn to the server at url, that does not run yet.
func testConn(t *testing.T, url string) *conn {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Node, cfg.NATS.URL = "test", url
	b := &Bridge{cfg: cfg, log: zap.NewNop(), natsLogin: newNATSLogin(cfg.NATS, nil, nil)}
	b.control = b.newConn("control")
	b.status = newStatus(b.control, b.log)
	b.streams = newStreams(&b.cfg, b.control, b.log)
	if err := b.control.open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.control.get().Close() })
	eventuallyUp(t, b.control)
	within(t, "the handler", func() bool { return b.control.connects.Load() > 0 }) // it comes after
	return b.control
}

func eventuallyUp(t *testing.T, c *conn) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); !c.up(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatal("not connected")
		}
	}
}

// echo answers what comes to subject, from one queue for all or one for itself.
func echo(t *testing.T, c *conn, subject, queue string) *subscription {
	t.Helper()
	s, err := c.subscribe(subject, queue, func(m *nats.Msg) {
		if err := m.Respond(m.Data); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Each request is answered once while its subscription is exchanged all the time,
// whether others share it or not.
func TestConn_AnswersEachRequestOnceWhileSubscriptionsAreExchanged(t *testing.T) {
	s := serveNATS(t, func(*natsserver.Options) {})
	c := testConn(t, s.ClientURL())
	echo(t, c, "shared.*", "q")
	echo(t, c, "own.*", "private")
	c.confirm(t.Context())
	nc, _ := clientOf(t, s.ClientURL())
	answers := make(chan string, 1<<20)
	if _, err := nc.Subscribe("answers", func(m *nats.Msg) { answers <- string(m.Data) }); err != nil {
		t.Fatal(err)
	}
	const exchanges = 8
	ctx, cancel := context.WithCancel(t.Context())
	requests := 0
	var group sync.WaitGroup
	group.Go(func() {
		for ; ctx.Err() == nil; requests++ {
			subject := []string{"own.x", "shared.x"}[requests%2]
			if err := nc.PublishRequest(subject, "answers", []byte(strconv.Itoa(requests))); err != nil {
				t.Error(err)
			}
			_ = nc.Flush()
		}
	})
	for range exchanges {
		c.renew(t.Context())
	}
	cancel()
	group.Wait()
	seen := map[string]bool{}
	for range requests {
		select {
		case answer := <-answers:
			seen[answer] = true
		case <-time.After(patience):
			t.Fatalf("%d of %d requests are answered", len(seen), requests)
		}
	}
	c.renew(t.Context()) // behind what is still under way
	if len(answers) != 0 || len(seen) != requests {
		t.Errorf("%d requests have %d answers too many; %d were answered", requests, len(answers), len(seen))
	}
	if stand, all := c.standing(); stand != 2 || all != 2 {
		t.Errorf("%d of %d stand", stand, all)
	}
}

// A connection that is lost in the middle of an exchange leaves no subscription
// behind that only the server knows: half of the requests would go there.
func TestConn_LeavesNothingBehindThroughReconnects(t *testing.T) {
	s := serveNATS(t, func(*natsserver.Options) {})
	others := int(s.NumSubscriptions())
	c := testConn(t, s.ClientURL())
	for i := range 50 {
		echo(t, c, "s"+strconv.Itoa(i), "q")
	}
	c.confirm(t.Context())
	for i := range 10 {
		var group sync.WaitGroup
		group.Go(func() { c.renew(t.Context()) })
		group.Go(func() { // in the middle, or as the old ones are drained
			pause(t.Context(), time.Duration(i%5)*overlap/4)
			_ = c.get().ForceReconnect()
		})
		group.Wait()
		eventuallyUp(t, c)
	}
	c.confirm(t.Context())
	c.renew(t.Context())
	if err := c.get().Flush(); err != nil {
		t.Fatal(err)
	}
	if n := int(s.NumSubscriptions()) - others; n != 50 {
		t.Errorf("the server has %d subscriptions, the connection %d", n, c.get().NumSubscriptions())
	}
	nc, _ := clientOf(t, s.ClientURL())
	for i := range 500 {
		if _, err := nc.Request("s"+strconv.Itoa(i%50), nil, 5*time.Second); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
	}
}

// A server that is at its limit takes no fresh one: the old ones stay, and stand.
func TestConn_KeepsWhatStandsAtTheServersLimit(t *testing.T) {
	s := serveNATS(t, func(o *natsserver.Options) { o.MaxSubs = 2 })
	c := testConn(t, s.ClientURL())
	echo(t, c, "a", "q")
	echo(t, c, "b", "q")
	c.confirm(t.Context())
	for range 3 {
		c.renew(t.Context())
		if stand, all := c.standing(); stand != 2 || all != 2 || !c.well() {
			t.Errorf("%d of %d stand: %v", stand, all, c.stand())
		}
	}
	nc, _ := clientOf(t, s.ClientURL())
	for range 20 {
		for _, subject := range []string{"a", "b"} {
			if _, err := nc.Request(subject, nil, patience); err != nil {
				t.Fatal(err)
			}
		}
	}
	echo(t, c, "c", "q")
	c.confirm(t.Context())
	if c.well() || !errors.Is(c.stand()["c"], errCrowded) {
		t.Errorf("one over the limit: %v", c.stand())
	}
}

// Only what is denied has another login be taken up, and each one once: one that is
// granted no more either must not cost a connection again and again.
func TestConn_IsOutdatedOnceForEachLogin(t *testing.T) {
	c, mark, readable := newConn("test", zap.NewNop()), loginMark{1}, true
	c.login = func() (loginMark, bool) { return mark, readable }
	want := func(when string, want bool) {
		t.Helper()
		if got := c.outdated(); got != want {
			t.Errorf("%s: %v", when, got)
		}
	}
	denied := fmt.Errorf(`%w: Permissions Violation for Publish to "x"`, nats.ErrPermissionViolation)
	c.loggingIn()
	mark = loginMark{2}
	want("another login, and nothing is denied", false)
	c.failed(denied)
	want("and something is", true)
	want("once more", false)
	readable, mark = false, loginMark{3}
	want("a file is gone", false)
	readable = true
	want("and is there again", true)
	c.connected()
	mark = loginMark{4}
	want("on a new connection nothing is denied yet", false)
	c.subs = []*subscription{{denied: denied}}
	want("a subscription is", true)
}

// A payload that has shown to be too large is refused for as long as the server's
// word counts, and a smaller one never. What a Gap has is no such payload.
func TestConn_ALearnedLimitEnds(t *testing.T) {
	c := testConn(t, serveNATS(t, func(*natsserver.Options) {}).ClientURL())
	l := c.get()
	send := func(size int) error { return c.publish(l, &nats.Msg{Subject: "x", Data: make([]byte, size)}) }
	l.largest.Store(leastLimit)
	c.learn(l)
	if err := send(4096); err != nil {
		t.Errorf("before anything was too large: %v", err)
	}
	c.learn(l)
	if err := send(4096); !errors.Is(err, nats.ErrMaxPayload) {
		t.Errorf("as large as what was too large: %v", err)
	}
	if err := send(4095); err != nil {
		t.Errorf("a smaller one: %v", err)
	}
	c.limitEnd.Store(time.Now().Add(-time.Second).UnixNano())
	if err := send(4096); err != nil {
		t.Errorf("once the server's word is old: %v", err)
	}
}

// The server is asked what it takes once each renewEvery, however often something
// is too large.
func TestConn_AsksForTheLimitNowAndThen(t *testing.T) {
	c := testConn(t, serveNATS(t, func(*natsserver.Options) {}).ClientURL())
	l, asked := c.get(), 0
	c.probe = func(string) (*nats.Conn, error) { asked++; return nil, errors.New("away") }
	for i, want := range []int{0, 0, 1, 1} {
		if i == 2 {
			l.looked.Store(time.Now().Add(-renewEvery - time.Second).UnixNano())
		}
		if err := c.publish(l, &nats.Msg{Subject: "x", Data: make([]byte, 2<<20)}); !errors.Is(err, nats.ErrMaxPayload) {
			t.Errorf("%d: %v", i, err)
		}
		if asked != want {
			t.Errorf("%d: asked %d times, want %d", i, asked, want)
		}
	}
}

// On a new connection nothing is known of what stands until the server has
// answered.
func TestConn_NothingStandsOnANewConnection(t *testing.T) {
	c := testConn(t, serveNATS(t, func(*natsserver.Options) {}).ClientURL())
	echo(t, c, "a", "q")
	c.confirm(t.Context())
	if why := c.stand()["a"]; why != nil || !c.confirmed() {
		t.Errorf("confirmed: %v", why)
	}
	c.connected()
	if why := c.stand()["a"]; !errors.Is(why, errNotYet) || c.confirmed() {
		t.Errorf("connected again: %v", why)
	}
	c.confirm(t.Context())
	if why := c.stand()["a"]; why != nil {
		t.Errorf("confirmed again: %v", why)
	}
}
