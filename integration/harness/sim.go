package harness

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
)

// Sim runs a simulated Asterisk on loopback until the test ends. It waits
// longer than Asterisk's 100 ms for a client that it floods: a loopback socket,
// whose buffer grows to megabytes, only takes more when a third of that is free,
// and a bridge under the race detector is not that fast.
func Sim(t testing.TB, cfg amisim.Config) (*amisim.Server, string) {
	t.Helper()
	return SimBehind(t, cfg, func(l net.Listener) net.Listener { return l })
}

// SimBehind is Sim behind another listener.
func SimBehind(t testing.TB, cfg amisim.Config, behind func(net.Listener) net.Listener) (*amisim.Server, string) {
	t.Helper()
	if cfg.Users == nil {
		cfg.Users = map[string]string{"bridge": "s3cret"}
	}
	cfg.WriteTimeout = cmp.Or(cfg.WriteTimeout, Patience)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sim := amisim.New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { _ = sim.Serve(ctx, behind(listener)) })
	t.Cleanup(func() { cancel(); group.Wait() })
	return sim, listener.Addr().String()
}

// Flood has sim send n events as fast as they are read.
func Flood(t *testing.T, sim *amisim.Server, n int) {
	t.Helper()
	if err := sim.Flood(t.Context(), n, amisim.Traffic{Seed: 1}); err != nil {
		t.Error(err)
	}
}

// Echo answers an action with its own Variable.
func Echo(a *amisim.Action) string {
	return "Response: Success\r\nActionID: " + a.ActionID + "\r\nValue: " + a.Get("Variable") + "\r\n\r\n"
}

// Held is an action that the server keeps back.
type Held struct {
	ID      string
	Release chan string // takes what is written before the answer
}

// Hold keeps the next action of that name back, and with it its session.
func Hold(t *testing.T, sim *amisim.Server, action string) <-chan Held {
	held := make(chan Held, 1)
	sim.Next(action, func(s *amisim.Session, a *amisim.Action) {
		h := Held{a.ActionID, make(chan string, 1)}
		held <- h
		select {
		case before := <-h.Release:
			s.Write([]byte(before))
			s.Serve(a)
		case <-t.Context().Done():
		}
	})
	return held
}

// Members is a queue of n members.
func Members(n int) []amisim.Queue {
	q := amisim.Queue{Name: "large"}
	for i := range n {
		q.Members = append(q.Members, amisim.Member{Name: fmt.Sprintf("Agent %05d", i), Interface: fmt.Sprintf("PJSIP/%05d", i)})
	}
	return []amisim.Queue{q}
}

// Down takes a server away and waits until the bridge knows it.
func Down(r *Running, sim *amisim.Server, name string) {
	r.T.Helper()
	states := r.Subscribe("ami.status." + name + ".connection")
	sim.Always(amisim.Accept, amisim.Refuse)
	sim.Kick()
	r.Await(states, 2, SessionLost)
}
