package natsconn

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// echo answers what comes to subject, from one queue for all or one for itself.
func echo(t *testing.T, c *Conn, subject, queue string) *Subscription {
	t.Helper()
	s, err := c.Subscribe(subject, queue, func(m *nats.Msg) {
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
	s := natstest.Serve(t, func(*natsserver.Options) {})
	c := opened(t, s.ClientURL())
	echo(t, c, "shared.*", "q")
	echo(t, c, "own.*", "private")
	c.Confirm(t.Context())
	nc, _ := natstest.Client(t, s.ClientURL())
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
		case <-time.After(natstest.Patience):
			t.Fatalf("%d of %d requests are answered", len(seen), requests)
		}
	}
	c.renew(t.Context()) // behind what is still under way
	if len(answers) != 0 || len(seen) != requests {
		t.Errorf("%d requests have %d answers too many; %d were answered", requests, len(answers), len(seen))
	}
	if stand, all := c.Standing(); stand != 2 || all != 2 {
		t.Errorf("%d of %d stand", stand, all)
	}
}

// A connection that is lost in the middle of an exchange leaves no subscription
// behind that only the server knows: half of the requests would go there.
func TestConn_LeavesNothingBehindThroughReconnects(t *testing.T) {
	s := natstest.Serve(t, func(*natsserver.Options) {})
	others := int(s.NumSubscriptions())
	c := opened(t, s.ClientURL())
	for i := range 50 {
		echo(t, c, "s"+strconv.Itoa(i), "q")
	}
	c.Confirm(t.Context())
	for i := range 10 {
		var group sync.WaitGroup
		group.Go(func() { c.renew(t.Context()) })
		group.Go(func() { // in the middle, or as the old ones are drained
			pause(t.Context(), time.Duration(i%5)*overlap/4)
			_ = c.Get().ForceReconnect()
		})
		group.Wait()
		natstest.Within(t, "the connection", c.Up)
	}
	c.Confirm(t.Context())
	c.renew(t.Context())
	if err := c.Get().Flush(); err != nil {
		t.Fatal(err)
	}
	if n := int(s.NumSubscriptions()) - others; n != 50 {
		t.Errorf("the server has %d subscriptions, the connection %d", n, c.Get().NumSubscriptions())
	}
	nc, _ := natstest.Client(t, s.ClientURL())
	for i := range 500 {
		if _, err := nc.Request("s"+strconv.Itoa(i%50), nil, natstest.Patience); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
	}
}

// A server that is at its limit takes no fresh one: the old ones stay, and stand.
func TestConn_KeepsWhatStandsAtTheServersLimit(t *testing.T) {
	s := natstest.Serve(t, func(o *natsserver.Options) { o.MaxSubs = 2 })
	c := opened(t, s.ClientURL())
	echo(t, c, "a", "q")
	echo(t, c, "b", "q")
	c.Confirm(t.Context())
	for range 3 {
		c.renew(t.Context())
		if stand, all := c.Standing(); stand != 2 || all != 2 || !c.well() {
			t.Errorf("%d of %d stand: %v", stand, all, c.Stand())
		}
	}
	nc, _ := natstest.Client(t, s.ClientURL())
	for range 20 {
		for _, subject := range []string{"a", "b"} {
			if _, err := nc.Request(subject, nil, natstest.Patience); err != nil {
				t.Fatal(err)
			}
		}
	}
	echo(t, c, "c", "q")
	c.Confirm(t.Context())
	if c.well() || !errors.Is(c.Stand()["c"], errAtLimit) {
		t.Errorf("one over the limit: %v", c.Stand())
	}
}

// Only what is denied has another login be taken up, and each one once: one that is
// granted no more either must not cost a connection again and again.
func TestConn_IsOutdatedOnceForEachLogin(t *testing.T) {
	token := natstest.NewFile(t, "token-1")
	cfg := config.DefaultConfig()
	cfg.NATS.TokenFile = token.Name
	c := New(Options{Name: "test", Config: &cfg, Login: NewLogin(cfg.NATS, nil, nil), Log: zap.NewNop()})
	want := func(when string, want bool) {
		t.Helper()
		if got := c.outdated(); got != want {
			t.Errorf("%s: %v", when, got)
		}
	}
	denied := fmt.Errorf(`%w: Permissions Violation for Publish to "x"`, nats.ErrPermissionViolation)
	c.loggingIn()
	token.Write("token-2")
	want("another login, and nothing is denied", false)
	c.Failed(denied)
	want("and something is", true)
	want("once more", false)
	if err := os.Remove(token.Name); err != nil {
		t.Fatal(err)
	}
	want("a file is gone", false)
	token.Write("token-3")
	want("and is there again", true)
	c.onConnected()
	token.Write("token-4")
	want("on a new connection nothing is denied yet", false)
	c.subs = []*Subscription{{denied: denied}}
	want("a subscription is", true)
}

// A payload that has shown to be too large is refused for as long as the server's
// word counts, and a smaller one never. What a Gap has is no such payload.
func TestConn_ALearnedLimitEnds(t *testing.T) {
	c := opened(t, natstest.Serve(t, func(*natsserver.Options) {}).ClientURL())
	l := c.Get()
	send := func(size int) error { return c.Publish(l, &nats.Msg{Subject: "x", Data: make([]byte, size)}) }
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
	c.limitEnd.Store(c.since(time.Now()) - int64(time.Second))
	if err := send(4096); err != nil {
		t.Errorf("once the server's word is old: %v", err)
	}
}

// The server is asked what it takes once each RenewEvery, however often something
// is too large.
func TestConn_AsksForTheLimitNowAndThen(t *testing.T) {
	c := opened(t, natstest.Serve(t, func(*natsserver.Options) {}).ClientURL())
	asked := 0
	c.o.Login.learn = func(setting.Secret) { asked++ } // each connect reads the token
	cfg := *c.o.Login.cfg.Load()
	cfg.Token = "t"
	c.o.Login.cfg.Store(&cfg)
	l := c.Get()
	for i, want := range []int{0, 0, 1, 1} {
		if i == 2 {
			l.looked.Store(c.since(time.Now()) - int64(RenewEvery+time.Second))
		}
		if err := c.Publish(l, &nats.Msg{Subject: "x", Data: make([]byte, 2<<20)}); !errors.Is(err, nats.ErrMaxPayload) {
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
	c := opened(t, natstest.Serve(t, func(*natsserver.Options) {}).ClientURL())
	echo(t, c, "a", "q")
	c.Confirm(t.Context())
	if why := c.Stand()["a"]; why != nil || !c.confirmed() {
		t.Errorf("confirmed: %v", why)
	}
	c.onConnected()
	if why := c.Stand()["a"]; !errors.Is(why, ErrNotYet) || c.confirmed() {
		t.Errorf("connected again: %v", why)
	}
	c.Confirm(t.Context())
	if why := c.Stand()["a"]; why != nil {
		t.Errorf("confirmed again: %v", why)
	}
}

// opened is a conn that is connected to the server at url. It does not run.
func opened(t *testing.T, url string) *Conn {
	t.Helper()
	return openedAs(t, config.NATSConfig{URL: url})
}

func openedAs(t *testing.T, nats config.NATSConfig) *Conn {
	t.Helper()
	cfg := config.DefaultConfig()
	cfg.Node, cfg.NATS = "test", nats
	c := New(Options{Name: "test", Config: &cfg, Login: NewLogin(cfg.NATS, nil, nil), Log: zap.NewNop()})
	if err := c.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Get().Close() })
	// Its handler comes after the connection.
	natstest.Within(t, "the connection", func() bool { return c.Up() && c.Connected() > 0 })
	return c
}

// What is subscribed to between a connection that was closed for good and the next one is there on
// that: who has just begun to lead a server would else take no requests.
func TestConn_AddsWhileItIsClosedForGood(t *testing.T) {
	s := natstest.Serve(t, func(*natsserver.Options) {})
	c := opened(t, s.ClientURL())
	c.Get().Close()
	echo(t, c, "kept", "q")
	if err := c.Stop(echo(t, c, "stopped", "q")); err != nil {
		t.Error(err)
	}
	if err := c.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Get().Close() })
	natstest.Within(t, "it stands", func() bool { c.Confirm(t.Context()); return c.confirmed() })
	nc, _ := natstest.Client(t, s.ClientURL())
	if m, err := nc.Request("kept", []byte("x"), natstest.Patience); err != nil || string(m.Data) != "x" {
		t.Errorf("%v", err)
	}
	if _, err := nc.Request("stopped", nil, natstest.Patience); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("what was stopped meanwhile: %v", err)
	}
}
