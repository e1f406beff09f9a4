//go:build unix

package ha

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// fault is what happens while the Asterisk goes on.
type fault struct {
	id, name string
	// happen has it happen to b, which leads, or to the other one. What it returns
	// undoes it.
	happen func(f *fleet, b *node) (undo func())
	lasts  time.Duration // at least; 0: a second and a half
	// stays: the bridge stands by or leads all the while, and is waited for.
	stays bool
	nodes int // it is tried with so many nats-servers; 0: with any
	// leads: it happens to the leader alone.
	leads bool
	// taken: while it lasts another leads.
	taken bool
	once  bool
}

// legs are ways on which nothing passes, and those that are closed.
func closed(way func(b *node) *way, leg string) func(*fleet, *node) func() {
	return func(_ *fleet, b *node) func() { return way(b).close(leg) }
}

func silent(way func(b *node) *way, leg string, upward bool) func(*fleet, *node) func() {
	return func(_ *fleet, b *node) func() { return way(b).silence(leg, upward) }
}

func toNATS(b *node) *way { return b.toNATS }
func toPBX(b *node) *way  { return b.toPBX }

// faults are all of them, in the order of the table of docs/outages.md.
var faults = []fault{
	{id: "kill", taken: true, name: "a bridge is killed (SIGKILL)", happen: killed},
	{id: "freeze", taken: true, name: "a bridge is frozen for 1.5 to 3.5 s (SIGSTOP)", happen: frozen},
	{id: "freeze-long", taken: true, name: "a bridge is frozen for 11 s, longer than a batch lives", happen: frozen, lasts: 11 * time.Second},
	{id: "upgrade", name: "both bridges are ended and started anew in turn (SIGTERM)", happen: upgraded, stays: true},
	{id: "cut-off", taken: true, name: "a bridge is cut off from everything", happen: func(_ *fleet, b *node) func() {
		nats, pbx := b.toNATS.close(everyLeg), b.toPBX.close(everyLeg)
		return func() { nats(); pbx() }
	}},
	{id: "nats-closed", taken: true, name: "a bridge is cut off from NATS", happen: closed(toNATS, everyLeg)},
	{id: "nats-silent", taken: true, name: "nothing passes between a bridge and NATS", happen: silent(toNATS, everyLeg, false)},
	{id: "pbx-closed", taken: true, name: "a bridge is cut off from the PBX", happen: closed(toPBX, everyLeg)},
	{id: "pbx-silent", taken: true, name: "nothing passes between a bridge and the PBX", happen: silent(toPBX, everyLeg, false)},
	{id: "session", name: "a bridge's sessions are dropped", happen: func(_ *fleet, b *node) func() {
		b.toPBX.cut(everyLeg)
		return func() {}
	}, stays: true},
	{id: "events-closed", taken: true, name: "the connection for events is cut, that for control is not", happen: closed(toNATS, eventsLeg)},
	{id: "events-silent", taken: true, name: "nothing passes on the connection for events", happen: silent(toNATS, eventsLeg, false)},
	{id: "control-closed", taken: true, name: "the connection for control is cut, that for events is not", happen: closed(toNATS, controlLeg)},
	{id: "control-silent", taken: true, name: "nothing passes on the connection for control", happen: silent(toNATS, controlLeg, false)},
	{id: "actions-closed", taken: true, name: "the session for Actions is cut, that for events is not", happen: closed(toPBX, actionsLeg), stays: true},
	{id: "apart", taken: true, name: "the bridges do not hear one another", happen: apart, leads: true},
	{id: "buffers", taken: true, name: "what a leader has sent arrives after the take-over", happen: silent(toNATS, everyLeg, true), leads: true},
	{id: "rights", taken: true, name: "the leader may not publish events any more", happen: unprivileged, leads: true},
	{id: "anew", name: "the stream of events is deleted, and made anew", happen: madeAnew, stays: true},
	{id: "purged", name: "the record of the term is purged", happen: purged, stays: true},
	{id: "nonsense", name: "somebody writes nonsense in place of the record of the term", happen: nonsense, stays: true},
	{id: "fences", name: "the stream refuses fences for a while (10164)", happen: contended, nodes: 3, stays: true},
	{id: "nats-killed", name: "nats-server is killed; of three, the stream's leader", happen: natsKilled, stays: true},
	{id: "nats-all", name: "all three nats-servers are killed", happen: allKilled, nodes: 3, stays: true},
	{id: "stepdown", name: "the stream's leader steps down", nodes: 3, stays: true, happen: func(f *fleet, _ *node) func() {
		f.under(f.stepDown)
		return func() {}
	}},
	{id: "stepdown-freeze", taken: true, name: "the stream's leader steps down while a bridge is frozen", nodes: 3, happen: func(f *fleet, b *node) func() {
		b.Freeze()
		f.emitFor(time.Duration(rand.IntN(2000)) * time.Millisecond)
		f.under(f.stepDown)
		return b.Thaw
	}},
	{id: "stepdown-kill", taken: true, name: "the stream's leader steps down as a bridge is killed", nodes: 3, happen: func(f *fleet, b *node) func() {
		b.Kill()
		f.emitFor(time.Duration(rand.IntN(1500)) * time.Millisecond)
		f.under(f.stepDown)
		return func() { f.start(b.name) }
	}},
	{id: "outage", name: "NATS is away for five minutes, then the leader is killed", happen: outage(5 * time.Minute), once: true, leads: true},
	{id: "outage-short", name: "NATS is away for 20 s, then the leader is killed", happen: outage(20 * time.Second), leads: true},
}

func killed(f *fleet, b *node) func() {
	b.Kill()
	return func() { f.start(b.name) }
}

func frozen(_ *fleet, b *node) func() {
	b.Freeze()
	return b.Thaw
}

// upgraded has each bridge be ended, the leader first or last, and another take its place.
func upgraded(f *fleet, b *node) func() {
	for _, one := range []*node{b, f.other(b)} {
		f.becomes(one, one.Program)
	}
	return func() {}
}

// apart has what b says of itself be refused.
func apart(f *fleet, b *node) func() {
	f.deny(b.name, "ami.ha.>")
	return func() { f.deny("") }
}

func unprivileged(f *fleet, b *node) func() {
	f.deny(b.name, "ami.events.>")
	return func() { f.deny("") }
}

// deny has one bridge not publish there.
func (f *fleet) deny(name string, subjects ...string) {
	for i, s := range subjects {
		subjects[i] = strconv.Quote(s)
	}
	for _, n := range f.nats {
		n.Configure(rights(name, subjects...))
	}
}

// madeAnew deletes the stream when all is stored, for what it alone holds is lost with it.
func madeAnew(f *fleet, _ *node) func() {
	if got := f.verify(); !got.whole() {
		f.t.Errorf("before the stream is deleted: %v", got)
	}
	select {
	case <-time.After(time.Second): // till what the leader knows of it is heard
	case <-f.t.Context().Done():
	}
	js := harness.JetStream(f.t, f.nc)
	if err := js.DeleteStream(f.t.Context(), streams.EventStream); err != nil {
		f.t.Fatal(err)
	}
	f.read.next = 1
	return func() {}
}

func purged(f *fleet, _ *node) func() {
	stream, err := harness.JetStream(f.t, f.nc).Stream(f.t.Context(), streams.EventStream)
	if err == nil {
		f.under(func() { err = stream.Purge(f.t.Context(), jetstream.WithPurgeSubject("ami.terms."+server)) })
	}
	if err != nil {
		f.t.Error(err)
	}
	return func() {}
}

func nonsense(f *fleet, _ *node) func() {
	ctx, cancel := context.WithTimeout(f.t.Context(), harness.AnswerIn)
	defer cancel()
	js := harness.JetStream(f.t, f.nc)
	var err error
	f.under(func() { _, err = js.Publish(ctx, "ami.terms."+server, []byte("nonsense")) })
	if err != nil {
		f.t.Error(err)
	}
	return func() {}
}

// contended has others send behind the leader's fence, so that its own is refused while
// theirs are on their way to the replicas.
func contended(f *fleet, _ *node) func() {
	done := make(chan struct{})
	var group sync.WaitGroup
	js := harness.JetStream(f.t, f.nc)
	stream, err := js.Stream(f.t.Context(), streams.EventStream)
	if err != nil {
		f.t.Error(err)
		return func() {}
	}
	group.Go(func() {
		for {
			last, err := stream.GetLastMsgForSubject(f.t.Context(), "ami.terms."+server)
			for range 200 {
				m := nats.NewMsg("ami.events.other.Noise")
				m.Header.Set("Nats-Expected-Last-Subject-Sequence-Subject", "ami.terms."+server)
				if err == nil {
					m.Header.Set("Nats-Expected-Last-Subject-Sequence", strconv.FormatUint(last.Sequence, 10))
				}
				_ = f.nc.PublishMsg(m)
			}
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
	return func() { close(done); group.Wait() }
}

// streamLeader is the nats-server that leads the stream of events.
func (f *fleet) streamLeader() (leader int) {
	if len(f.nats) == 1 {
		return 0
	}
	js := harness.JetStream(f.t, f.nc)
	harness.Eventually(f.t, "the stream has a leader", func() bool {
		ctx, cancel := context.WithTimeout(f.t.Context(), time.Second) // who is asked may be none any more
		defer cancel()
		stream, err := js.Stream(ctx, streams.EventStream)
		if err != nil || stream.CachedInfo().Cluster == nil {
			return false
		}
		leader = 0
		if name := stream.CachedInfo().Cluster.Leader; len(name) == 2 { // n1 to n3
			leader = int(name[1] - '0')
		}
		return leader > 0
	})
	return leader - 1
}

// stepDown has another lead the stream.
func (f *fleet) stepDown() {
	before := f.streamLeader()
	harness.Eventually(f.t, "another leader", func() bool {
		if f.streamLeader() != before {
			return true
		}
		msg, err := f.nc.Request("$JS.API.STREAM.LEADER.STEPDOWN."+streams.EventStream, nil, time.Second)
		var answer struct{ Success bool }
		return err == nil && json.Unmarshal(msg.Data, &answer) == nil && answer.Success && f.streamLeader() != before
	})
}

func natsKilled(f *fleet, _ *node) func() {
	n := f.nats[f.streamLeader()]
	n.Kill()
	return n.Start
}

func allKilled(f *fleet, _ *node) func() {
	for _, n := range f.nats {
		n.Kill()
	}
	return f.natsBack
}

func (f *fleet) natsBack() { harness.StartAll(f.nats) }

// outage has NATS be away for so long, and kills the leader as soon as it is back.
func outage(lasts time.Duration) func(*fleet, *node) func() {
	return func(f *fleet, b *node) func() {
		for _, n := range f.nats {
			n.Kill()
		}
		f.emitAt(1, lasts)
		f.under(f.natsBack)
		f.emitFor(time.Duration(rand.IntN(500)) * time.Millisecond)
		b.Kill()
		b.away = true
		return func() { f.start(b.name) }
	}
}

// other is the bridge that b is not.
func (f *fleet) other(b *node) *node {
	for _, one := range f.bridges {
		if one != b {
			return one
		}
	}
	return nil
}
