package present

import "testing"

// What the bucket has last of a key, and is not what was written last, came late from another
// bridge: a value of what is not up is purged, and what is up is written anew. What was
// written since is left alone, and so is what is on its way.
func TestWrites_WhatCameLate(t *testing.T) {
	w := newWorld(t, Options{}).skipFirst()
	for _, id := range []string{"1.1", "1.2", "1.3", "1.4"} {
		w.event("Event: Newchannel", block(id, "6"))
	}
	w.drain()
	key := func(id string) string { return Key("pbx1", Channel, id) }
	w.event("Event: Hangup", block("1.4", "6"))
	var one Write
	if !w.p.Take(&one, w.now) || !one.End {
		t.Fatalf("not the end: %+v", one)
	}
	late := uint64(w.writes) + 10
	w.bucket[key("1.1")] = map[string]string{"ChannelState": "4"}
	w.p.Found(key("1.1"), late, false, w.now)
	delete(w.bucket, key("1.2"))
	w.p.Found(key("1.2"), late+1, true, w.now)
	w.p.Found(key("1.3"), 3, false, w.now) // its own
	w.p.Found(key("1.4"), 4, false, w.now) // its end is on its way
	w.bucket[key("1.9")] = map[string]string{"ChannelState": "4"}
	w.p.Found(key("1.9"), late+2, false, w.now) // was up, and is forgotten
	w.p.Found(key("1.8"), late+3, true, w.now)
	delete(w.bucket, key("1.4"))
	one.Revision = late + 4
	w.p.Done(&one, true, w.now)
	w.p.Purge(w.now)
	before := w.writes
	w.want(t, "channel.1=2E1", map[string]string{"ChannelState": "6"})
	w.want(t, "channel.1=2E2", map[string]string{"ChannelState": "6"})
	w.want(t, "channel.1=2E9", nil)
	if n := w.writes - before; n != 3 || len(w.bucket) != 3 {
		t.Errorf("%d writes, the bucket has %q", n, keysOf(w.bucket))
	}
}

// Who begins to write again asks for each list, and is syncing meanwhile: what it brings right
// is no drift.
func TestWrites_WhoWritesAgainAsksForLists(t *testing.T) {
	w := newWorld(t, Options{Keep: SetOf(Channel)}).skipFirst()
	w.event("Event: Newchannel", block("1.1", "6"))
	if c := w.p.Counts(); c.State != Live {
		t.Fatalf("it is %v", c.State)
	}
	w.p.Again(w.now)
	if ask, due := w.p.Due(w.now); !due || ask.List != Channels || w.p.Counts().State != Syncing {
		t.Errorf("due: %v %v, it is %v", due, ask, w.p.Counts().State)
	}
	w.list(Channels, "Event: CoreShowChannel\n"+block("1.2", "6")+"\nDuration: 00:00:01")
	w.want(t, "channel.1=2E1", nil)
	w.want(t, "channel.1=2E2", map[string]string{"ChannelState": "6"})
	if c := w.p.Counts(); c.State != Live || c.Corrections[Channel] != [Corrections]uint64{} {
		t.Errorf("%v, corrected: %v", c.State, c.Corrections[Channel])
	}
	w.p.Lost(w.now)
	if w.p.Again(w.now); w.p.Counts().State != Stale {
		t.Error("without a session nothing can be asked for")
	}
}
