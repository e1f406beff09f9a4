package amiconn

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
)

const (
	testAddr   = "pbx:5038"
	testSecret = "s3cret-canary"
)

// bench is a simulated Asterisk and a Link to it, in a synctest bubble.
type bench struct {
	t    *testing.T
	sim  *amisim.Server
	link *Link
	logs *observer.ObservedLogs

	start    func() // runs the Link; once
	stopLink func() // and joins it; once

	mu      sync.Mutex
	events  []string // "session-independent" names in order
	seqs    []uint64
	changes []Change
	breaker []BreakerChange
}

// inBubble runs test with a Link to a simulated Asterisk, each changed as the
// caller likes, and joins both. The Link runs from test's start or up on: what
// the simulated Asterisk is told before holds for the Link's first Action too,
// such as a late answer to its Ping.
func inBubble(t *testing.T, sim amisim.Config, change func(*Config, *Deps), test func(*bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		if sim.Users == nil {
			sim.Users = map[string]string{"bridge": testSecret}
		}
		network := amisim.NewNetwork()
		listener, err := network.Listen(testAddr)
		if err != nil {
			t.Fatal(err)
		}
		core, logs := observer.New(zapcore.DebugLevel)
		b := &bench{t: t, sim: amisim.New(sim), logs: logs}
		cfg := DefaultConfig()
		cfg.Name, cfg.Addr, cfg.Username, cfg.Secret = "pbx1", testAddr, "bridge", testSecret
		deps := Deps{
			Node: "b1", ReplyBytes: 1 << 20, HeldBytes: 8 << 20, Logger: zap.New(core), Dial: network.DialContext,
			Hooks: Hooks{Event: b.onEvent, State: b.onState, Breaker: b.onBreaker},
		}
		if change != nil {
			change(&cfg, &deps)
		}
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		b.link = NewLink(cfg, deps)
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() { _ = b.sim.Serve(ctx, listener) })
		linkCtx, stopLink := context.WithCancel(ctx)
		var linkGroup sync.WaitGroup
		b.start = sync.OnceFunc(func() { linkGroup.Go(func() { _ = b.link.Run(linkCtx) }) })
		b.stopLink = sync.OnceFunc(func() { stopLink(); linkGroup.Wait() })
		test(b)
		b.stopLink()
		cancel()
		group.Wait()
		for _, entry := range logs.All() {
			if text := fmt.Sprint(entry.Message, entry.ContextMap()); strings.Contains(text, testSecret) {
				t.Errorf("a log line holds the secret: %s", text)
			}
		}
	})
}

func (b *bench) onEvent(e Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, string(e.Frame.Name()))
	b.seqs = append(b.seqs, e.Seq)
}

func (b *bench) onState(c Change) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changes = append(b.changes, c)
}

func (b *bench) onBreaker(c BreakerChange) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.breaker = append(b.breaker, c)
}

// last returns the last change of role to state.
func (b *bench) last(role Role, to State) (c Change, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, change := range b.changes {
		if change.Role == role && change.To == to {
			c, n = change, n+1
		}
	}
	return c, n
}

// up starts the Link, unless it runs, and waits until it is ready.
func (b *bench) up() {
	b.t.Helper()
	b.start()
	for range 1000 {
		synctest.Wait() // it is ready before it has said so
		if b.link.Ready() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.t.Fatalf("the link is not up: %+v", b.link.Status())
}

// do sends an action and returns its result once the bubble is idle after d.
func (b *bench) do(a Action) *correlation.Result {
	b.t.Helper()
	results := make(chan *correlation.Result, 2)
	a.Done = func(r *correlation.Result) { results <- r }
	if _, err := b.link.Do(a); err != nil {
		b.t.Fatal(err)
	}
	r := <-results
	r.Release()
	return r
}
