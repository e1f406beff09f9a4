//go:build unix

package faults

import (
	"slices"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// oldRelease is of nats-server, the first of its line: it answers for a leader
// that is none any more without an error's number.
const oldRelease = "2.12.0"

// leadersChanged: the leader steps down so many times.
func leadersChanged(times int) func(r *rig) {
	return func(r *rig) {
		if !*full {
			times = 5
		}
		r.under(func() {
			for range times {
				r.stepDown()
				pause(r.t, r.length/time.Duration(times))
			}
		})
	}
}

// upgraded: one node after another is stopped in order and started as the release
// that the module has, each once the one before it is up to date.
func upgraded(r *rig) {
	program := buildNATS(r.t)
	r.under(func() {
		for i, n := range r.nodes {
			_ = n.Stop() // it ends with 1
			n.Program = program
			n.start()
			r.awaitReplicas(n.name)
			r.t.Logf("node %d of %d is upgraded", i+1, len(r.nodes))
			pause(r.t, r.length/time.Duration(len(r.nodes)))
		}
	})
}

// awaitReplicas waits until the node called name has the stream as it is, and so
// have the others.
func (r *rig) awaitReplicas(name string) {
	r.t.Helper()
	harness.Eventually(r.t, name+" has the stream", func() bool {
		stream, err := r.js.Stream(r.t.Context(), streams.EventStream)
		if err != nil || stream.CachedInfo().Cluster == nil {
			return false
		}
		c := stream.CachedInfo().Cluster
		names := []string{c.Leader}
		for _, peer := range c.Replicas {
			if peer.Current && !peer.Offline {
				names = append(names, peer.Name)
			}
		}
		return len(names) == len(r.nodes) && slices.Contains(names, name)
	})
}

// oneDenied: the bridge may not publish the events of one name of one server. What
// the server says is a little late, so that others are stored behind the first
// that is denied before the bridge hears of it.
func oneDenied(r *rig) {
	r.way.set(func(p *proxy) { p.delay = 100 * time.Millisecond })
	r.under(func() {
		r.nodes[0].rights = `permissions: { publish: { allow: [">"], deny: ["ami.events.pbx2.Hangup"] } }`
		r.nodes[0].reload()
		pause(r.t, r.length)
		r.nodes[0].rights = ""
		r.nodes[0].reload()
	})
}
