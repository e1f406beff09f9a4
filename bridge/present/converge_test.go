package present

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// asterisk is a small Asterisk: what is up, what its event session has still to
// deliver, and the Actions that wait for it, one after another. Events and replies
// come at any pace; of a parked call that ends the event goes before the change, and
// events about a channel follow its Hangup.
type asterisk struct {
	channels map[string]int // state by Uniqueid
	bridges  map[string]string
	members  map[string]int // status by interface
	parked   map[string]bool
	leaving  map[string]bool // parked calls whose end is told and not done
	callers  []string
	next     int
	events   []string
	asked    *Run
	reply    []string // items that are on their way; nil: the Action has not run
	answered bool
}

func (a *asterisk) tell(lines string) { a.events = append(a.events, lines) }

func (a *asterisk) channel(id string) string {
	return block(id, fmt.Sprint(a.channels[id]))
}

func member(name string, status int) string {
	return fmt.Sprintf("Queue: q\nInterface: %s\nMemberName: %s\nStatus: %d\nPaused: 0", name, name, status)
}

// some draws one of m, if there is any.
func some[V any](t *rapid.T, m map[string]V) (string, bool) {
	if len(m) == 0 {
		return "", false
	}
	return rapid.SampledFrom(slices.Sorted(maps.Keys(m))).Draw(t, "which"), true
}

// act has something happen at Asterisk.
func (a *asterisk) act(t *rapid.T) {
	switch rapid.SampledFrom([]string{
		"new", "state", "bridge", "hangup", "after", "add", "status", "remove", "park", "unpark", "gone", "join", "leave",
	}).Draw(t, "act") {
	case "new":
		a.next++
		id := fmt.Sprintf("1.%d", a.next)
		a.channels[id] = 0
		a.tell("Event: Newchannel\n" + a.channel(id))
	case "state":
		if id, ok := some(t, a.channels); ok {
			a.channels[id]++
			a.tell("Event: Newstate\n" + a.channel(id))
		}
	case "bridge":
		if id, ok := some(t, a.channels); ok {
			a.bridges[id] = fmt.Sprintf("b%d", len(a.events))
			a.tell("Event: BridgeEnter\nBridgeUniqueid: " + a.bridges[id] + "\n" + a.channel(id))
			if i := slices.Index(a.callers, id); i >= 0 {
				a.callers = slices.Delete(a.callers, i, i+1)
			}
		}
	case "hangup":
		if id, ok := some(t, a.channels); ok {
			if i := slices.Index(a.callers, id); i >= 0 {
				a.leave(i)
			}
			last := a.channel(id)
			delete(a.channels, id)
			delete(a.bridges, id)
			delete(a.parked, id)
			a.tell("Event: Hangup\n" + last)
			a.tell("Event: VarSet\n" + last)
		}
	case "add", "status":
		name := rapid.SampledFrom([]string{"m1", "m2", "m3"}).Draw(t, "member")
		status, there := a.members[name]
		a.members[name] = status + 1
		if !there {
			a.members[name] = 1
			a.tell("Event: QueueMemberAdded\n" + member(name, 1))
			return
		}
		a.tell("Event: QueueMemberStatus\n" + member(name, status+1))
	case "remove":
		if name, ok := some(t, a.members); ok {
			last := member(name, a.members[name])
			delete(a.members, name)
			a.tell("Event: QueueMemberRemoved\n" + last)
		}
	default:
		a.actOfCalls(t)
	}
}

func (a *asterisk) actOfCalls(t *rapid.T) {
	id, ok := some(t, a.channels)
	if !ok {
		return
	}
	switch rapid.SampledFrom([]string{"park", "unpark", "gone", "join", "leave"}).Draw(t, "of calls") {
	case "park":
		if !a.parked[id] {
			a.parked[id] = true
			a.tell("Event: ParkedCall\n" + parkee(id, id))
		}
	case "unpark": // told of first, then done
		if a.parked[id] && !a.leaving[id] {
			a.leaving[id] = true
			a.tell("Event: ParkedCallGiveUp\n" + parkee(id, id))
		}
	case "gone":
		a.settle()
	case "join":
		if !slices.Contains(a.callers, id) {
			a.callers = append(a.callers, id)
			a.tell(fmt.Sprintf("Event: QueueCallerJoin\n%s\nQueue: q\nPosition: %d\nCount: %d", a.channel(id), len(a.callers), len(a.callers)))
		}
	case "leave":
		if i := slices.Index(a.callers, id); i >= 0 {
			a.leave(i)
		}
	}
}

// settle does what was told of.
func (a *asterisk) settle() {
	for id := range a.leaving {
		delete(a.parked, id)
	}
	clear(a.leaving)
}

func (a *asterisk) leave(i int) {
	id := a.callers[i]
	a.callers = slices.Delete(a.callers, i, i+1)
	a.tell(fmt.Sprintf("Event: QueueCallerLeave\n%s\nQueue: q\nPosition: %d\nCount: %d", a.channel(id), i+1, len(a.callers)))
}

// items is what a list says now.
func (a *asterisk) items(ask Ask) (all []string) {
	switch ask.List {
	case Channels:
		for id := range a.channels {
			all = append(all, "Event: CoreShowChannel\n"+a.channel(id)+"\nBridgeId: "+a.bridges[id]+"\nDuration: 00:00:00")
		}
	case Queues:
		all = append(all, fmt.Sprintf("Event: QueueParams\nQueue: q\nStrategy: ringall\nCalls: %d", len(a.callers)))
		for _, name := range slices.Sorted(maps.Keys(a.members)) {
			status := a.members[name]
			all = append(all, fmt.Sprintf("Event: QueueMember\nQueue: q\nName: %s\nLocation: %s\nStatus: %d\nPaused: 0", name, name, status))
		}
		for i, id := range a.callers {
			all = append(all, fmt.Sprintf("Event: QueueEntry\nQueue: q\nPosition: %d\nChannel: PJSIP/%s\nUniqueid: %s\nCallerIDNum: 100\nWait: 0", i+1, id, id))
		}
	case ParkedCalls:
		for id := range a.parked {
			all = append(all, "Event: ParkedCall\n"+parkee(id, id))
		}
	}
	if ask.List != Queues { // whose callers stand in their order
		slices.Sort(all)
	}
	return all
}

// truth is what the state should say, of the fields that change here.
func (a *asterisk) truth() map[string]string {
	all := map[string]string{Key("pbx1", Queue, "q"): fmt.Sprint(len(a.callers))}
	for id, state := range a.channels {
		all[Key("pbx1", Channel, id)] = fmt.Sprint(state, a.bridges[id])
	}
	for name, status := range a.members {
		all[Key("pbx1", Member, "q", name)] = fmt.Sprint(status)
	}
	for id := range a.parked {
		all[Key("pbx1", Parked, "default", id)] = ""
	}
	for i, id := range a.callers {
		all[Key("pbx1", Caller, "q", id)] = fmt.Sprint(i + 1)
	}
	return all
}

func shown(bucket map[string]map[string]string) map[string]string {
	all := map[string]string{}
	for key, v := range bucket {
		_, kind, _, _ := ParseKey(key)
		switch kind {
		case Channel:
			all[key] = v["ChannelState"] + v["BridgeId"]
		case Member:
			all[key] = v["Status"]
		case Queue:
			all[key] = v["Calls"]
		case Caller:
			all[key] = v["Position"]
		default:
			all[key] = ""
		}
	}
	return all
}

// ask, run and deliver are the steps of a list: the watermark is taken and the Action
// queued; Asterisk runs it; its reply comes, a part at a time.
func (a *asterisk) ask(w *world) bool {
	if a.asked != nil {
		return false
	}
	ask, due := w.p.Due(w.now)
	if due {
		a.asked, a.answered = w.p.Begin(ask, w.now), false
	}
	return due
}

func (a *asterisk) run() {
	if a.asked != nil && !a.answered {
		a.reply, a.answered = append(a.items(a.asked.ask), "Event: "+lists[a.asked.ask.List].complete), true
	}
}

func (a *asterisk) deliver(w *world) {
	if a.asked == nil || !a.answered {
		return
	}
	a.asked.Part(asJSON(frame(a.reply[0]), 0), w.now)
	if a.reply = a.reply[1:]; len(a.reply) == 0 {
		w.p.Apply(a.asked, w.now)
		a.asked = nil
	}
}

func (a *asterisk) hear(w *world) {
	if len(a.events) > 0 {
		w.event(a.events[0])
		a.events = a.events[1:]
	}
}

// Whatever the lag of either session, whenever lists are asked for, and whatever a
// lost session kept from it: once all has come that was on its way, and the lists
// that are due then, the state is what is up. It fails with a watermark that is taken
// after the Action is queued, with lists applied whole, without tombstones, and with
// any event beginning what it names.
func TestWatermark_ConvergesAtAnyLag(t *testing.T) {
	for range 20 { // a hundred histories each
		rapid.Check(t, converges)
		if t.Failed() {
			return
		}
	}
}

func converges(t *rapid.T) {

	a := &asterisk{
		channels: map[string]int{}, bridges: map[string]string{}, members: map[string]int{}, parked: map[string]bool{}, leaving: map[string]bool{},
	}
	for range rapid.IntRange(0, 20).Draw(t, "before") {
		a.act(t)
	}
	a.events = nil
	a.settle() // else no event and no later list says it: the resync does
	w := newWorld(t, Options{})
	act := func(t *rapid.T) { a.act(t) }
	hear := func(*rapid.T) { a.hear(w) }
	list := func(*rapid.T) { a.ask(w); a.run() }
	deliver := func(*rapid.T) { a.deliver(w) }
	t.Repeat(map[string]func(*rapid.T){
		"act": act, "act again": act, "hear": hear, "hear again": hear,
		"ask": func(*rapid.T) { a.ask(w) }, "run": func(*rapid.T) { a.run() }, "ask and run": list,
		"deliver": deliver, "deliver again": deliver, "deliver a third time": deliver,
		"resync": func(*rapid.T) { w.p.Resync(w.now) },
		"wait":   func(*rapid.T) { a.settle(); w.now = w.now.Add(3 * time.Second) },
		"write":  func(*rapid.T) { w.drain() },
		"lose": func(*rapid.T) {
			if len(a.events) > 3 {
				w.p.Lost(w.now)
				a.events = nil
				a.settle()
				w.p.Login("again", w.now)
				w.p.Booted(w.now)
			}
		},
	})
	a.finish(w)
	if d := cmp.Diff(a.truth(), shown(w.drain())); d != "" {
		t.Fatalf("what is up, and the state (-want +got):\n%s", d)
	}
}

// finish has all come that is on its way, and what is due then.
func (a *asterisk) finish(w *world) {
	a.settle()
	for {
		for len(a.events) > 0 {
			a.hear(w)
		}
		for a.asked != nil {
			a.run()
			a.deliver(w)
		}
		if !a.ask(w) {
			w.now = w.now.Add(tombstoneAge + time.Second)
			if !a.ask(w) {
				return
			}
		}
	}
}
