package ha

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
)

// heardNode is a Node that was begun a while ago and hears itself, with what it heard of others.
func heardNode(t *testing.T, silence time.Duration, says ...*standby.Heartbeat) *Node {
	t.Helper()
	cfg := config.DefaultConfig()
	cfg.HASilence = silence
	n := &Node{o: Options{Config: &cfg}, began: time.Now().Add(-10 * silence)}
	n.lease = newLease(silence, n.began)
	n.lease.beats(1, time.Now())
	n.lease.returned(1, n.o.Config.HASilence, time.Now())
	for _, h := range says {
		n.others.observe(h, time.Now(), n.lately())
	}
	return n
}

func says(node, incarnation string, leads ...string) *standby.Heartbeat {
	h := &standby.Heartbeat{Node: node, Incarnation: incarnation}
	for _, s := range leads {
		h.Leads = append(h.Leads, standby.Leads{Server: s})
	}
	return h
}

// Who is heard is not gone, nor is anybody while this bridge itself cannot know.
func TestOthers_Gone(t *testing.T) {
	n := heardNode(t, time.Hour, says("b2", "two"), says("b3", "three"))
	for incarnation, want := range map[string]bool{"two": false, "three": false, "before": true} {
		if n.Gone(incarnation) != want {
			t.Errorf("%s is gone: %v", incarnation, !want)
		}
	}
	n.others.observe(says("b2", "again"), time.Now(), n.lately())
	if !n.Gone("two") || n.Gone("again") {
		t.Error("who was replaced is not gone")
	}
	n.others.observe(says("b3", "three"), time.Now().Add(-2*time.Hour), n.lately())
	if !n.Gone("three") {
		t.Error("who is silent is not gone")
	}
	n.lease.doubt(time.Now())
	if n.Gone("before") {
		t.Error("somebody is gone for one who has just woken")
	}
	fresh := heardNode(t, time.Hour)
	fresh.began = time.Now()
	fresh.lease.began = fresh.began
	if fresh.Gone("before") {
		t.Error("somebody is gone for one who has just begun")
	}
}

// A word that comes late, of a process that was replaced, or of one that has said more since,
// is none: else who is there would be gone for a moment, and what it is asked unknown at once.
func TestOthers_LateWords(t *testing.T) {
	n := heardNode(t, time.Hour)
	n.now.Store(new(servers))
	n.roster = standby.NewRoster("b1", "i1", 1, time.Hour)
	hear := func(seq uint64, h *standby.Heartbeat) {
		h.Seq, h.Weight = seq, 1
		for i := range h.Leads {
			h.Leads[i].Term, h.Leads[i].Epoch = 1, "e"
		}
		data, err := h.Encode()
		if err != nil {
			t.Fatal(err)
		}
		n.receive(data)
	}
	hear(7, says("b2", "old"))
	hear(1, says("b2", "new", "pbx1"))
	hear(2, says("b2", "new", "pbx2"))
	for _, late := range []func(){func() { hear(8, says("b2", "old")) }, func() { hear(1, says("b2", "new", "pbx1")) }} {
		late()
		if n.Gone("new") || !n.Gone("old") {
			t.Error("who was replaced is there, and who is there is gone")
		}
		if got := n.Elsewhere(); !slices.Equal(got, []string{"pbx2"}) {
			t.Errorf("it leads %v", got)
		}
	}
}

// What others lead is known while they are heard.
func TestOthers_WhatTheyLead(t *testing.T) {
	n := heardNode(t, time.Hour, says("b2", "two", "pbx3", "pbx1"), says("b3", "three", "pbx2", "pbx3"))
	n.others.observe(says("b4", "four", "pbx4"), time.Now().Add(-2*time.Hour), n.lately())
	if got := n.Elsewhere(); !slices.Equal(got, []string{"pbx1", "pbx2", "pbx3"}) {
		t.Errorf("others lead %v", got)
	}
	for i := range 1000 {
		n.others.observe(says(fmt.Sprint("old", i), "x"), time.Now().Add(-2*time.Hour), n.lately())
	}
	n.others.observe(says("b2", "two", "pbx3", "pbx1"), time.Now(), n.lately())
	if len(n.others.by) > maxOthers || len(n.Elsewhere()) != 3 {
		t.Errorf("%d are kept", len(n.others.by))
	}
}

// Of two that say so the one of the higher term leads, heard lately or not.
func TestOthers_LeaderOf(t *testing.T) {
	old, fresh := says("b2", "two", "pbx1", "pbx2"), says("b3", "three", "pbx1")
	old.Leads[0].Term, fresh.Leads[0].Term = 4, 5
	n := heardNode(t, time.Hour, old, fresh)
	for server, want := range map[string]string{"pbx1": "three", "pbx2": "two", "pbx3": ""} {
		if got := n.LeaderOf(server); got != want {
			t.Errorf("%s leads %s, want %s", got, server, want)
		}
	}
}
