//go:build unix

package faults

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// The faults of three nats-servers that replicate the stream.

// join makes a cluster of the nodes.
func (r *rig) join() {
	ports := make([]int, len(r.nodes))
	for i := range ports {
		ports[i] = harness.Port(r.t)
	}
	for i, n := range r.nodes {
		var routes []string
		for j := range r.nodes {
			if i != j {
				routes = append(routes, fmt.Sprintf(`"nats://127.0.0.1:%d"`, ports[j]))
			}
		}
		n.cluster = fmt.Sprintf("cluster { name: faults, listen: \"127.0.0.1:%d\", routes: [%s] }", ports[i], strings.Join(routes, ", "))
	}
}

// throughLinks has the nodes reach one another through proxies alone: where a
// node says that it listens, nobody does.
func throughLinks(r *rig) {
	r.links = map[[2]int]*proxy{}
	ports := make([]int, len(r.nodes))
	for i := range ports {
		ports[i] = harness.Port(r.t)
	}
	nowhere := harness.Port(r.t)
	for i, n := range r.nodes {
		var routes []string
		for j := range r.nodes {
			if i != j {
				p := startProxy(r.t, fmt.Sprintf("127.0.0.1:%d", ports[j]))
				r.links[[2]int{i, j}] = p
				routes = append(routes, fmt.Sprintf("%q", "nats://"+p.addr))
			}
		}
		n.cluster = fmt.Sprintf("cluster { name: faults, listen: \"127.0.0.1:%d\", advertise: \"127.0.0.1:%d\", routes: [%s] }",
			ports[i], nowhere, strings.Join(routes, ", "))
	}
}

// leader is the number of the node that leads the stream of events.
func (r *rig) leader() (leader int) {
	r.t.Helper()
	harness.Eventually(r.t, "the stream has a leader", func() bool {
		stream, err := r.js.Stream(r.t.Context(), streams.EventStream)
		if err != nil || stream.CachedInfo().Cluster == nil {
			return false
		}
		leader = slices.IndexFunc(r.nodes, func(n *node) bool { return n.name == stream.CachedInfo().Cluster.Leader })
		return leader >= 0
	})
	return leader
}

// stepDown has the leader step down and waits for another.
func (r *rig) stepDown() {
	r.t.Helper()
	before := r.leader()
	harness.Eventually(r.t, "another leader", func() bool {
		if r.leader() != before {
			return true
		}
		msg, err := r.nc.Request("$JS.API.STREAM.LEADER.STEPDOWN."+streams.EventStream, nil, 5*time.Second)
		if err != nil {
			return false
		}
		var answer struct{ Success bool }
		return json.Unmarshal(msg.Data, &answer) == nil && answer.Success && r.leader() != before
	})
}

// lead has the bridge's own server lead the stream, or another.
func (r *rig) lead(own bool) {
	r.t.Helper()
	for (r.leader() == 0) != own {
		r.stepDown()
	}
}

func steppedDown(r *rig) {
	r.under(func() {
		for range 5 {
			r.stepDown()
			pause(r.t, r.length/5)
		}
	})
}

func rescaled(r *rig) {
	r.under(func() {
		for _, n := range []int{1, 3, 1, 3} {
			r.edit(func(c *jetstream.StreamConfig) { c.Replicas = n })
			pause(r.t, r.length/4)
		}
	})
}

// tagged gives each node a tag of its own, by which a stream is placed.
func tagged(r *rig) {
	for _, n := range r.nodes {
		n.cluster += fmt.Sprintf("\nserver_tags: [%q]", "at:"+n.name)
	}
}

func oneCopy(c *config.Config) { c.Stream.Replicas = 1 }

func moved(r *rig) {
	r.under(func() {
		for range 4 {
			to := (r.leader() + 1) % len(r.nodes)
			r.edit(func(c *jetstream.StreamConfig) {
				c.Placement = &jetstream.Placement{Tags: []string{"at:" + r.nodes[to].name}}
			})
			harness.Eventually(r.t, "it is moved", func() bool { return r.leader() == to })
			pause(r.t, r.length/4)
		}
	})
}

// edit changes the stream of events by hand.
func (r *rig) edit(change func(*jetstream.StreamConfig)) {
	r.t.Helper()
	harness.Eventually(r.t, "it is changed", func() bool {
		cfg := r.stream().CachedInfo().Config
		change(&cfg)
		_, err := r.js.UpdateStream(r.t.Context(), cfg)
		if err != nil {
			r.t.Log(err)
		}
		return err == nil
	})
}

func leaderKilled(r *rig) {
	r.lead(false)
	r.under(func() { r.killFor(r.leader()) })
}

func ownServerKilled(r *rig) {
	r.lead(false)
	r.under(func() { r.killFor(0) })
}

func (r *rig) killFor(i int) {
	r.nodes[i].Kill()
	pause(r.t, r.length)
	r.nodes[i].start()
}

func allKilled(r *rig) {
	r.under(func() {
		for _, n := range r.nodes {
			n.Kill()
		}
		pause(r.t, r.length)
		for _, n := range r.nodes {
			n.start()
		}
	})
}

func leaderAlone(r *rig) {
	r.lead(false)
	r.under(func() { r.isolate(r.leader()) })
}

func ownServerAlone(r *rig) {
	r.lead(true)
	r.under(func() { r.isolate(0) })
}

// isolate cuts a node off from the others.
func (r *rig) isolate(i int) {
	block := func(on bool) {
		for pair, p := range r.links {
			if pair[0] == i || pair[1] == i {
				p.block(on)
			}
		}
	}
	block(true)
	pause(r.t, r.length)
	block(false)
}
