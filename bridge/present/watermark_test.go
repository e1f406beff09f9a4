package present

import (
	"testing"
	"time"
)

// The cases of the rule, one by one: TestWatermark_ConvergesAtAnyLag finds them by
// chance.
func TestWatermark_Cases(t *testing.T) {
	ofChannel := func(id, state, more string) string {
		return "Event: CoreShowChannel\n" + block(id, state) + "\nDuration: 00:00:09" + more
	}
	parked := func(id string) string { return "Event: ParkedCall\n" + parkee(id, "PJSIP/"+id) }
	entry := "Event: QueueEntry\nQueue: q\nPosition: 1\nChannel: PJSIP/1.1\nUniqueid: 1.1\nWait: 0"
	for name, c := range map[string]struct {
		ask    Ask
		before []string // events before the watermark is taken
		during []string // events that come before the list does
		items  []string
		key    string
		want   map[string]string
		again  bool // the list is due again at once
	}{
		"an event behind the watermark stands": {
			Ask{List: Channels}, []string{"Event: Newchannel\n" + block("1.1", "0")}, []string{"Event: Newstate\n" + block("1.1", "6")},
			[]string{ofChannel("1.1", "4", "")}, "channel.1=2E1", map[string]string{"ChannelState": "6", "Source": "event"}, false,
		},
		"but the fields that it does not tell are the list's": {
			Ask{List: Channels}, []string{"Event: Newchannel\n" + block("1.1", "0")}, []string{"Event: Newstate\n" + block("1.1", "6")},
			[]string{ofChannel("1.1", "4", "\nBridgeId: b1")}, "channel.1=2E1", map[string]string{"ChannelState": "6", "BridgeId": "b1"}, false,
		},
		"an event before it does not": {
			Ask{List: Channels}, []string{"Event: Newchannel\n" + block("1.1", "0")}, nil,
			[]string{ofChannel("1.1", "4", "")}, "channel.1=2E1", map[string]string{"ChannelState": "4", "Source": "list"}, false,
		},
		"what begins behind it is not ended": {
			Ask{List: Channels}, nil, []string{"Event: Newchannel\n" + block("1.1", "0")}, nil,
			"channel.1=2E1", map[string]string{"ChannelState": "0"}, false,
		},
		"what was told before it and is not listed is": {
			Ask{List: Channels}, []string{"Event: Newchannel\n" + block("1.1", "0")}, nil, nil, "channel.1=2E1", nil, false,
		},
		"what ends behind it is not begun again": {
			Ask{List: Channels}, nil, []string{"Event: Hangup\n" + block("1.1", "6")}, []string{ofChannel("1.1", "6", "")}, "channel.1=2E1", nil, false,
		},
		"nor is a member, of which nothing is remembered but that": {
			Ask{List: Queues}, nil, []string{"Event: QueueMemberRemoved\nQueue: q\nInterface: m"},
			[]string{"Event: QueueMember\nQueue: q\nLocation: m\nStatus: 1"}, "member.q.m", nil, false,
		},
		"what an event told of one that only the list begins stands": {
			Ask{List: Channels}, nil, []string{"Event: Newstate\n" + block("1.1", "6")}, []string{ofChannel("1.1", "4", "\nBridgeId: b1")},
			"channel.1=2E1", map[string]string{"ChannelState": "6", "BridgeId": "b1"}, false,
		},
		"and begins nothing without the list": {
			Ask{List: Channels}, nil, []string{"Event: Newstate\n" + block("1.1", "6")}, nil, "channel.1=2E1", nil, false,
		},
		"a caller whom a bridge took meanwhile does not wait": {
			Ask{List: Queues}, nil, []string{"Event: BridgeEnter\nBridgeUniqueid: b\n" + block("1.1", "6")}, []string{entry}, "caller.q.1=2E1", nil, false,
		},
		"one whom a bridge had before does": {
			Ask{List: Queues}, []string{"Event: BridgeEnter\nBridgeUniqueid: b\n" + block("1.1", "6")}, nil, []string{entry},
			"caller.q.1=2E1", map[string]string{"Position": "1"}, false,
		},
		"a parked call whose place another took meanwhile is asked for again": {
			Ask{List: ParkedCalls}, nil, []string{"Event: BridgeEnter\nBridgeUniqueid: b\n" + block("1.9", "6") + "\nSwapUniqueid: 1.1"},
			[]string{parked("1.1")}, "parked.default.1=2E1", nil, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, Options{}).skipFirst()
			for _, e := range c.before {
				w.event(e)
			}
			r := w.p.Begin(c.ask, w.now)
			for _, e := range c.during {
				w.event(e)
			}
			w.parts(r, c.items...)
			w.p.Apply(r, w.now)
			w.want(t, c.key, c.want)
			if ask, due := w.p.Due(w.now); due != c.again {
				t.Errorf("due again: %v, %v", due, ask)
			}
			w.now = w.now.Add(2 * tombstoneAge)
			if ask, due := w.p.Due(w.now); due {
				t.Errorf("due later: %v", ask)
			}
		})
	}
}

// A list that was asked for after what an event told of an unknown object is newer.
func TestWatermark_TwoListsAtOnce(t *testing.T) {
	w := newWorld(t, Options{}).skipFirst()
	first := w.p.Begin(Ask{List: Channels}, w.now)
	w.event("Event: Newstate", block("1.1", "4"))
	second := w.listing(Ask{List: Channels}, "Event: CoreShowChannel\n"+block("1.1", "6")+"\nDuration: 00:00:01")
	w.p.Apply(second, w.now)
	w.want(t, "channel.1=2E1", map[string]string{"ChannelState": "6"})
	w.p.Fail(first, "timeout", w.now)
	w.want(t, "channel.1=2E1", map[string]string{"ChannelState": "6"})
}

// A list may take longer than a tombstone lives.
func TestWatermark_ListThatTakesLong(t *testing.T) {
	w := newWorld(t, Options{}).skipFirst()
	w.event("Event: ParkedCall", parkee("1.1", "PJSIP/a"))
	w.event("Event: ParkedCallTimeOut", parkee("1.1", "PJSIP/a"))
	r := w.listing(Ask{List: ParkedCalls}, "Event: ParkedCall\n"+parkee("1.1", "PJSIP/a"))
	w.now = w.now.Add(2 * tombstoneAge)
	w.event("Event: X")
	w.p.Apply(r, w.now)
	w.want(t, "parked.default.1=2E1", nil)
	w.now = w.now.Add(time.Second)
	w.event("Event: X")
	if c := w.p.Counts(); c.Held != 0 {
		t.Errorf("%d held", c.Held)
	}
}
