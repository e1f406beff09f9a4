package present

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

const interval = 200 * time.Millisecond

// A key is written at most once an interval, as it is by then, and its end at once;
// what never reached the bucket has none.
func TestWrites_OnceAnIntervalAndAnEndAtOnce(t *testing.T) {
	w := newWorld(t, Options{Interval: interval}).skipFirst()
	w.event("Event: Newchannel", block("1.1", "0"))
	w.event("Event: Newchannel", block("1.2", "0"))
	w.event("Event: Hangup", block("1.2", "0"))
	if got := w.drain(); len(got) != 0 {
		t.Errorf("written before the interval is over: %v", got)
	}
	wait, any := w.p.Next(w.now)
	if !any || wait <= 0 || wait > interval {
		t.Errorf("the next is due in %v, %v", wait, any)
	}
	for range 5 {
		w.event("Event: Newstate", block("1.1", "6"))
	}
	w.now = w.now.Add(wait)
	w.want(t, "channel.1=2E1", map[string]string{"ChannelState": "6"})
	if w.writes != 1 {
		t.Errorf("%d writes of one key, and of one that ended before", w.writes)
	}
	w.event("Event: Newstate", block("1.1", "4"))
	w.want(t, "channel.1=2E1", map[string]string{"ChannelState": "6"})
	w.event("Event: Hangup", block("1.1", "4"))
	w.want(t, "channel.1=2E1", nil)
	if _, any := w.p.Next(w.now); any || w.writes != 2 {
		t.Errorf("%d writes, more due: %v", w.writes, any)
	}
}

// While a write is on its way its key is not taken; what failed is written again as
// it is by then, after the interval.
func TestWrites_OneInFlightAndAgainOnFailure(t *testing.T) {
	w := newWorld(t, Options{Interval: interval}).skipFirst()
	var one, other Write
	take := func(want bool) {
		t.Helper()
		if got := w.p.Take(&one, w.now); got != want {
			t.Fatalf("taken: %v, want %v", got, want)
		}
	}
	w.event("Event: Newchannel", block("1.1", "0"))
	w.now = w.now.Add(interval)
	take(true)
	w.event("Event: Newstate", block("1.1", "6"))
	w.now = w.now.Add(interval)
	if w.p.Take(&other, w.now) {
		t.Fatalf("%s is in flight and was taken", other.Key)
	}
	w.p.Done(&one, false, w.now)
	take(false) // not at once: NATS may be away
	w.now = w.now.Add(interval)
	take(true)
	if !strings.Contains(string(one.Value), `"ChannelState":"6"`) {
		t.Errorf("written as it was: %s", one.Value)
	}
	w.event("Event: Hangup", block("1.1", "6"))
	take(false)
	w.p.Done(&one, false, w.now) // the bucket may have it
	take(false)
	w.now = w.now.Add(interval)
	take(true)
	if !one.End {
		t.Errorf("%s has ended", one.Key)
	}
	w.event("Event: Newchannel", block("1.1", "1")) // the same again, by ChannelId
	w.p.Done(&one, true, w.now)
	w.now = w.now.Add(interval)
	w.want(t, "channel.1=2E1", map[string]string{"ChannelState": "1"})
	w.p.Done(&one, true, w.now) // told twice: nothing
	w.event("Event: Hangup", block("1.1", "1"))
	w.want(t, "channel.1=2E1", nil)
	w.now = w.now.Add(tombstoneAge)
	w.event("Event: X")
	if c := w.p.Counts(); c.Held != 0 || c.Bytes != 0 {
		t.Errorf("nothing is up, and %d objects of %d bytes are held", c.Held, c.Bytes)
	}
}

// NATS away costs no memory beyond the objects, however much happens.
func TestWrites_NATSAwayCostsNothing(t *testing.T) {
	w := newWorld(t, Options{Interval: interval, MaxObjects: 1000, MaxBytes: 1 << 20}).skipFirst()
	w.event("Event: Newchannel", block("0.0", "0"))
	w.now = w.now.Add(interval)
	w.drain()
	for i := range 20_000 {
		id := fmt.Sprintf("1.%d", i)
		w.now = w.now.Add(10 * time.Millisecond)
		w.event("Event: Newchannel", block(id, "0"))
		w.event("Event: Hangup", block(id, "0"))
	}
	w.event("Event: Hangup", block("0.0", "0"))
	w.now = w.now.Add(tombstoneAge)
	w.event("Event: X")
	before := w.writes
	if w.drain(); w.writes != before+1 || len(w.bucket) != 0 {
		t.Errorf("%d writes, the bucket has %v: one key was in it", w.writes-before, w.bucket)
	}
	for range 400 { // a few tombstones each
		w.event("Event: X")
	}
	if c := w.p.Counts(); c.Held != 0 || c.Refused[Channel] != 0 {
		t.Errorf("%d held, %d refused", c.Held, c.Refused[Channel])
	}
}

// At the start what the bucket has and nobody vouches for is purged, what is up is
// written anew, and what begins meanwhile is not lost.
func TestWrites_PurgesWhatIsNotThere(t *testing.T) {
	w := newWorld(t, Options{Interval: interval})
	long := strings.Repeat("x/", 100)
	for _, key := range []string{
		Key("pbx1", Channel, "1.1"), Key("pbx1", Channel, "1.2"), Key("pbx1", Channel, "1.3"),
		Key("pbx1", Member, "q", "PJSIP/a"), Key("pbx1", Member, "q", long), Key("pbx1", Member, long, "m"),
	} {
		w.bucket[key] = map[string]string{"ChannelState": "old"}
		if !w.p.Found(key, 1, false, w.now) {
			t.Errorf("%s is no key", key)
		}
	}
	for _, key := range []string{"pbx1.server", "pbx2.channel.1=2E1", "pbx1.channel", "pbx1.channel.1=2e1", "pbx1.nothing.1", "pbx1.channel.1.2", "pbx1.channel."} {
		if w.p.Found(key, 1, false, w.now) {
			t.Errorf("%s is taken for a key of its objects", key)
		}
	}
	w.list(Channels, "Event: CoreShowChannel\n"+block("1.1", "6")+"\nDuration: 00:01:00")
	w.list(Queues, "Event: QueueMember\nQueue: q\nLocation: "+long+"\nName: l")
	w.event("Event: Newchannel", block("1.2", "5"))
	if w.drain(); len(w.bucket) != 6 {
		t.Errorf("purged before it was told to: %v", w.bucket)
	}
	w.p.Purge(w.now)
	w.now = w.now.Add(interval)
	w.want(t, "channel.1=2E1", map[string]string{"ChannelState": "6", "Since": "2026-11-23T08:20:40.000000Z"})
	w.want(t, "channel.1=2E2", map[string]string{"ChannelState": "5"})
	w.want(t, "channel.1=2E3", nil)
	if w.bucket[Key("pbx1", Member, "q", long)]["Interface"] != long || len(w.bucket) != 3 {
		t.Errorf("the bucket has %q", keysOf(w.bucket))
	}
}

// What is left in the bucket takes no room from what is up.
func TestWrites_WhatIsLeftTakesNoRoom(t *testing.T) {
	w := newWorld(t, Options{MaxObjects: 10, MaxBytes: 1 << 20})
	for i := range 30 {
		key := Key("pbx1", Channel, fmt.Sprintf("1.%d", i))
		w.bucket[key] = map[string]string{}
		w.p.Found(key, 1, false, w.now)
	}
	var up []string
	for i := range 10 {
		up = append(up, "Event: CoreShowChannel\n"+block(fmt.Sprintf("1.%d", 25+i), "6")+"\nDuration: 00:01:00")
	}
	w.list(Channels, up...)
	w.p.Purge(w.now)
	w.drain()
	if c := w.p.Counts(); c.Objects[Channel] != 10 || c.Refused[Channel] != 0 || c.Held != 10 || len(w.bucket) != 10 {
		t.Errorf("%+v, %d in the bucket", c, len(w.bucket))
	}
}

// Who waits for something to write is told when nothing was.
func TestWrites_TellsThatSomethingIsDirty(t *testing.T) {
	told := 0
	w := newWorld(t, Options{Dirty: func() { told++ }}).skipFirst()
	for range 3 {
		w.event("Event: Newchannel", block("1.1", "0"))
		w.event("Event: Newchannel", block("1.2", "0"))
	}
	if told != 1 {
		t.Errorf("told %d times of one wait", told)
	}
	w.drain()
	w.event("Event: Hangup", block("1.1", "0"))
	if told != 2 {
		t.Errorf("told %d times of two", told)
	}
}

// Who takes a server over from another bridge writes all that is up.
func TestWrites_AllAnew(t *testing.T) {
	w := newWorld(t, Options{Interval: interval}).skipFirst()
	for i := range 3 * chunk {
		w.event("Event: Newchannel", block(fmt.Sprintf("1.%d", i), "0"))
	}
	w.now = w.now.Add(interval)
	w.drain()
	before := w.writes
	w.event("Event: Hangup", block("1.0", "0"))
	w.p.Rewrite(w.now)
	w.now = w.now.Add(interval)
	w.drain()
	if got := w.writes - before; got != 3*chunk {
		t.Errorf("%d writes of %d objects and an end", got, 3*chunk-1)
	}
}
