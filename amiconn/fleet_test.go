package amiconn

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/fairness"
)

// Five hundred servers drop at once. Through one gate they come back at its rate
// and no faster, and the last of them no later than that takes.
func TestLink_FiveHundredComeBackWithoutAStorm(t *testing.T) {
	const servers, concurrency, rate = 500, 5, 50
	synctest.Test(t, func(t *testing.T) {
		var connects dials
		network, gate := amisim.NewNetwork(), fairness.NewGate(concurrency, rate)
		sim := amisim.New(amisim.Config{NotBooted: true, Users: map[string]string{"bridge": testSecret}})
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		var links []*Link
		for i := range servers {
			cfg := DefaultConfig()
			cfg.Name, cfg.Addr = fmt.Sprint("pbx", i), fmt.Sprintf("pbx%d:5038", i)
			cfg.Username, cfg.Secret, cfg.Auth = "bridge", testSecret, AuthPlain
			listener, err := network.Listen(cfg.Addr)
			if err != nil {
				t.Fatal(err)
			}
			deps := Deps{Node: "b1", ReplyBytes: 1 << 20, HeldBytes: 1 << 20, Dial: network.DialContext, Gate: gate.Acquire}
			connects.count(&deps)
			link := NewLink(cfg, deps)
			links = append(links, link)
			group.Go(func() { _ = sim.Serve(ctx, listener) })
			group.Go(func() { _ = link.Run(ctx) })
		}
		ready := func() (n int) {
			for _, link := range links {
				if link.Ready() {
					n++
				}
			}
			return n
		}
		comeUp := func() time.Duration {
			began := time.Now()
			for ready() < servers && time.Since(began) < 5*time.Minute {
				time.Sleep(100 * time.Millisecond)
			}
			return time.Since(began)
		}
		comeUp()
		dropped := time.Now()
		sim.Kick()
		synctest.Wait()
		if n := ready(); n != 0 {
			t.Fatalf("%d links are up after the drop", n)
		}
		// Two sessions each, and the backoff before the first tries.
		if took := comeUp(); took < 19*time.Second || took > 25*time.Second {
			t.Errorf("%d of %d are back after %v, want all after some %d s", ready(), servers, took, 2*servers/rate)
		}
		if n, worst := connects.since(dropped), connects.worstSecond(dropped); n != 2*servers || worst > rate+1 {
			t.Errorf("%d connects for %d sessions, %d in the worst second of at most %d", n, 2*servers, worst, rate)
		}
		cancel()
		group.Wait()
	})
}

// worstSecond returns the most connects within any second after t.
func (n *dials) worstSecond(t time.Time) (most int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var within []time.Time
	for _, at := range n.at {
		if !at.After(t) {
			continue
		}
		within = append(within, at)
		for at.Sub(within[0]) >= time.Second {
			within = within[1:]
		}
		most = max(most, len(within))
	}
	return most
}
