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

// fleet is a gate and who connects through it, in a bubble.
type fleet struct {
	t       *testing.T
	network *amisim.Network
	sim     *amisim.Server
	gate    *fairness.Gate
	ctx     context.Context
	group   sync.WaitGroup
}

func inFleet(t *testing.T, concurrency int, rate float64, test func(*fleet)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		f := &fleet{
			t: t, network: amisim.NewNetwork(), gate: fairness.NewGate(concurrency, rate), ctx: ctx,
			sim: amisim.New(amisim.Config{NotBooted: true, Users: map[string]string{"bridge": testSecret}}),
		}
		test(f)
		cancel()
		f.group.Wait()
	})
}

// link runs a Link to addr, its dials changed as the caller likes.
func (f *fleet) link(addr string, change func(*Deps)) *Link {
	cfg := DefaultConfig()
	cfg.Name, cfg.Addr, cfg.Username, cfg.Secret = "pbx", addr, "bridge", testSecret
	deps := Deps{Node: "b1", ReplyBytes: 1 << 20, HeldBytes: 1 << 20, Dial: f.network.DialContext, Gate: f.gate.Acquire}
	change(&deps)
	link := NewLink(cfg, deps)
	f.group.Go(func() { _ = link.Run(f.ctx) })
	return link
}

// serve has the simulated Asterisk listen on addr until the function that it
// returns is called.
func (f *fleet) serve(addr string) (stop func()) {
	listener, err := f.network.Listen(addr)
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(f.ctx)
	f.group.Go(func() { _ = f.sim.Serve(ctx, listener) })
	return stop
}

// ready returns how long it takes until link is.
func (f *fleet) ready(link *Link) time.Duration {
	began := time.Now()
	for !link.Ready() && time.Since(began) < time.Hour {
		time.Sleep(time.Millisecond)
	}
	return time.Since(began)
}

// While more servers are down than the gate lets in, one that was up a moment
// ago goes first, also before those that were up longer ago: it is served within
// a second of its greeting, and a minute later within three.
func TestFleet_WhoWasUpLastComesBackFirst(t *testing.T) {
	inFleet(t, 5, 50, func(f *fleet) {
		for i := range 300 { // which never were
			f.link(fmt.Sprint("nobody", i, ":5038"), func(*Deps) {})
		}
		away := outage{}
		for i := range 200 {
			addr := fmt.Sprint("away", i, ":5038")
			f.serve(addr)
			f.link(addr, away.put)
		}
		time.Sleep(5 * time.Minute)
		stop := f.serve("pbx:5038")
		restarts := f.link("pbx:5038", func(*Deps) {})
		f.ready(restarts)
		time.Sleep(11 * time.Second)
		away.away.Store(true)
		f.sim.Kick()
		time.Sleep(10 * time.Second) // two hundred want more than 50 a second, in vain
		if took := f.ready(restarts); took != 0 {
			t.Fatalf("the one that is there came back after %v", 10*time.Second+took)
		}
		for _, test := range []struct{ down, most time.Duration }{{1800 * time.Millisecond, time.Second}, {time.Minute, 3 * time.Second}} {
			stop()
			synctest.Wait()
			time.Sleep(test.down)
			stop = f.serve("pbx:5038")
			if took := f.ready(restarts); took > test.most {
				t.Errorf("served %v after the greeting of a restart of %v", took, test.down)
			}
		}
	})
}

// Servers that swallow packets hold the gate for a second each, and a fifth of it
// once that is known: they do not keep the others out.
func TestFleet_PeersThatHangDoNotFillTheGate(t *testing.T) {
	inFleet(t, 1, 1000, func(f *fleet) {
		for i := range 10 {
			addr := fmt.Sprint("hangs", i, ":5038")
			if err := f.network.Blackhole(addr); err != nil {
				t.Fatal(err)
			}
			f.link(addr, func(*Deps) {})
		}
		synctest.Wait()
		f.serve("pbx:5038")
		link := f.link("pbx:5038", func(*Deps) {})
		if took := f.ready(link); took > 12*time.Second {
			t.Errorf("it came up after %v, behind ten that hang for 10 s each", took)
		}
		for range 10 {
			time.Sleep(11 * time.Second)
			f.sim.Kick()
			synctest.Wait()
			if took := f.ready(link); took > 700*time.Millisecond {
				t.Errorf("it came back after %v", took)
			}
		}
	})
}
