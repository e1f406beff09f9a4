package present

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// replay has a recorded session happen: what carries an ActionID are the parts of
// lists, each begun where its first part comes, for Asterisk had told by then all
// that was before.
func (w *world) replay(all []*frames.Frame) (applied map[List]int) {
	applied = map[List]int{}
	runs := map[string]*Run{}
	for _, f := range all {
		w.now = w.now.Add(time.Millisecond)
		id := string(f.Get("ActionID"))
		if f.Kind() != frames.KindEvent {
			continue
		}
		if id == "" || strings.EqualFold(string(f.Name()), "OriginateResponse") {
			w.p.Reduce(f, w.now)
			continue
		}
		l, ok := listOfEvent(string(f.Name()))
		if !ok {
			continue
		}
		r := runs[id]
		if r == nil {
			ask := Ask{List: l}
			if l == Participants {
				ask.Scope = string(f.Get("Conference"))
			}
			r = w.p.Begin(ask, w.now)
			runs[id] = r
		}
		if r.Part(asJSON(f, frames.UTF8), w.now); r.complete {
			if w.p.Apply(r, w.now) {
				applied[l]++
			}
		}
	}
	return applied
}

func listOfEvent(name string) (List, bool) {
	for l := range Lists {
		if lists[l].complete == name {
			return l, true
		}
		for _, i := range lists[l].items {
			if i.event == name {
				return l, true
			}
		}
	}
	return 0, false
}

// What real Asterisks told of some sixty Actions and the calls between: lists find
// nothing to correct that events could have told, and what is up at the end is what
// is configured.
func TestCapture_ListsAndEventsAgree(t *testing.T) {
	for _, version := range []string{"16", "22"} {
		t.Run(version, func(t *testing.T) {
			w := newWorld(t, Options{Keep: AllKinds})
			applied := w.replay(capture(t, "testdata/asterisk-"+version+".ami.gz"))
			for _, l := range []List{Channels, Bridges, Queues, ParkedCalls, Conferences, Participants, Presences, Agents, Devices} {
				if applied[l] == 0 {
					t.Errorf("the capture has no list %s that was applied", lists[l].action)
				}
			}
			got := w.drain()
			members, queues := 0, 0
			for key, value := range got {
				_, kind, _, _ := ParseKey(key)
				switch kind {
				case Member:
					members++
				case Queue:
					queues++
				case Device, Extension:
				default:
					t.Errorf("%s is up at the end: %v", key, value)
				}
				if strings.Contains(fmt.Sprint(value), "alicepw") {
					t.Errorf("%s has a password", key)
				}
			}
			if members != 2 || queues != 2 {
				t.Errorf("%d members of %d queues", members, queues)
			}
		})
	}
}

// In the middle of that session a call, a conference and its bridge are up: the list
// that was asked for then changes none of it.
func TestCapture_ListInTheMiddleChangesNothing(t *testing.T) {
	for _, version := range []string{"16", "22"} {
		t.Run(version, func(t *testing.T) {
			all := capture(t, "testdata/asterisk-"+version+".ami.gz")
			w := newWorld(t, Options{}).skipFirst()
			var upto int
			for i, f := range all {
				if string(f.Name()) == "ConfbridgeList" {
					upto = i
					break
				}
			}
			w.replay(all[:upto])
			before := maps.Clone(w.drain())
			if len(before) < 5 {
				t.Fatalf("up in the middle: %q", keysOf(before))
			}
			writes := w.writes
			var end int
			for i, f := range all {
				if string(f.Name()) == "BridgeListComplete" && i > upto {
					end = i + 1
					break
				}
			}
			w.now = w.now.Add(time.Second)
			w.replay(all[upto:end])
			// One session had both, so the list is ahead of the events that waited
			// behind it: who joined the bridge and the conference.
			ahead := func(key string, _ map[string]string) bool {
				return strings.HasPrefix(key, "pbx1.bridge.") || strings.HasPrefix(key, "pbx1.participant.")
			}
			after := maps.Clone(w.drain())
			maps.DeleteFunc(before, ahead)
			maps.DeleteFunc(after, ahead)
			if d := cmp.Diff(before, after); d != "" || w.writes != writes+2 {
				t.Errorf("%d writes (-before +after):\n%s", w.writes-writes, d)
			}
		})
	}
}

// Under load events about a channel follow its Hangup: that only Newchannel begins
// one keeps the state free of ghosts. The capture begins in the middle and is cut at
// its end; what began in it and ended is gone.
func TestCapture_BusyLeavesNoGhosts(t *testing.T) {
	w := newWorld(t, Options{}).skipFirst()
	up := map[string]bool{}
	late := 0
	for _, f := range busy(t) {
		w.now = w.now.Add(time.Millisecond)
		w.p.Reduce(f, w.now)
		id := string(f.Get("Uniqueid"))
		switch string(f.Name()) {
		case "Newchannel":
			up[id] = true
		case "Hangup":
			delete(up, id)
		default:
			if f.Get("ChannelState") != nil && !up[id] {
				late++
			}
		}
	}
	for key := range w.drain() {
		if _, kind, ids, _ := ParseKey(key); kind == Channel && !up[ids[0]] {
			t.Errorf("%s is a ghost", key)
		}
	}
	if got := w.p.Counts().Objects[Channel]; got != len(up) || late == 0 {
		t.Errorf("%d channels are held, %d are up; %d events came late", got, len(up), late)
	}
}
