package present

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/catalog"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// The tables name Actions and events that there are.
func TestTables_NameWhatThereIs(t *testing.T) {
	for l := range Lists {
		if !catalog.Read(lists[l].action) {
			t.Errorf("%s is no Action that only asks", lists[l].action)
		}
	}
	for name := range touches {
		if !slices.ContainsFunc(catalog.Events(), func(e catalog.Event) bool { return e.Name == name }) {
			t.Errorf("%s is no event", name)
		}
	}
	for k := range Kinds {
		if kinds[k].name == "" || len(kinds[k].fields) > 32 || listsOf[k] == Lists {
			t.Errorf("kind %d: %+v", k, kinds[k])
		}
	}
}

// How Asterisk joins two ends changes behind the event of the second (bridge.c
// smart_bridge_operation): a list that has it otherwise finds nothing to correct.
func TestList_WhatNoEventTellsIsNoDrift(t *testing.T) {
	w := newWorld(t, Options{}).skipFirst()
	at := "BridgeUniqueid: b\nBridgeType: basic\nBridgeName: <unknown>\nBridgeTechnology: "
	w.event("Event: BridgeCreate", at+"simple_bridge\nBridgeNumChannels: 0")
	w.event("Event: BridgeEnter", at+"simple_bridge\nBridgeNumChannels: 2", block("1.1", "6"))
	rest := w.drain()
	w.list(Bridges, "Event: BridgeListItem\n"+at+"native_rtp\nBridgeNumChannels: 2")
	if diff := cmp.Diff(rest, w.drain()); diff != "" || w.p.Counts().Corrections[Bridge] != [Corrections]uint64{} {
		t.Errorf("corrected %v times (-before +after):\n%s", w.p.Counts().Corrections[Bridge], diff)
	}
}

// No event begins a queue or a device, so a list that has a new one corrects nothing.
func TestList_WhatOnlyAListBeginsIsNoDrift(t *testing.T) {
	byEvents := Set(0)
	for _, all := range touches {
		for _, one := range all {
			if one.effect == begins {
				byEvents |= SetOf(one.kind)
			}
		}
	}
	if onlyListed != AllKinds&^byEvents {
		t.Errorf("%b begin by a list only, want %b", onlyListed, AllKinds&^byEvents)
	}
	w := newWorld(t, Options{Keep: AllKinds}).skipFirst()
	w.list(Devices, "Event: DeviceStateChange\nDevice: PJSIP/alice\nState: INUSE")
	w.want(t, "device.PJSIP=2Falice", map[string]string{"State": "INUSE"})
	w.list(Conferences, "Event: ConfbridgeListRooms\nConference: a\nLocked: No\nMuted: No")
	if c := w.p.Counts().Corrections; c[Device][Begun] != 0 || c[Conference][Begun] != 1 {
		t.Errorf("corrected: %v", c)
	}
}

// A list that fails, is denied or comes short ends nothing, and the server's value
// names what is not kept and why.
func TestList_ThatIsNoneEndsNothing(t *testing.T) {
	for why, give := range map[string]func(w *world, r *Run){
		"denied":             func(w *world, r *Run) { w.p.Fail(r, "Permission denied", w.now) },
		"timeout":            func(w *world, r *Run) { w.p.Fail(r, "timeout", w.now) },
		"cut: it has no end": func(w *world, r *Run) { w.p.Apply(r, w.now) },
		"cut: 1 of 2 came": func(w *world, r *Run) {
			r.Part(asJSON(frame("Event: ConfbridgeListRooms\nConference: b\nLocked: No\nMuted: No"), 0), w.now)
			r.Part(asJSON(frame("Event: ConfbridgeListRoomsComplete\nListItems: 2"), 0), w.now)
			w.p.Apply(r, w.now)
		},
		"the list came incomplete": func(w *world, r *Run) {
			r.Part([]byte(`{"Event":"ConfbridgeListRooms","Conference":`), w.now)
			w.parts(r)
			w.p.Apply(r, w.now)
		},
	} {
		w := newWorld(t, Options{}).skipFirst()
		w.event("Event: ConfbridgeStart", "Conference: a")
		give(w, w.p.Begin(Ask{List: Conferences}, w.now))
		w.want(t, "conference.a", map[string]string{"Locked": "No"})
		w.want(t, "conference.b", nil)
		var server struct{ NotKept map[string]string }
		decodeServer(t, w, &server.NotKept)
		if server.NotKept["conference"] != why {
			t.Errorf("%s: not kept: %q", why, server.NotKept)
		}
		if w.list(Conferences, "Event: ConfbridgeListRooms\nConference: a\nLocked: Yes\nMuted: No"); w.p.Counts().Corrections[Conference] != [3]uint64{0, 1, 0} {
			t.Errorf("%s: corrections %v", why, w.p.Counts().Corrections[Conference])
		}
		w.want(t, "conference.a", map[string]string{"Locked": "Yes", "Source": "list"})
	}
}

func decodeServer(t *testing.T, w *world, notKept *map[string]string) map[string]any {
	t.Helper()
	value := w.p.AppendServer(nil, "node1", true, w.now)
	var all map[string]any
	if err := json.Unmarshal(value, &all); err != nil {
		t.Fatalf("%v: %s", err, value)
	}
	var some struct {
		NotKept map[string]string `json:"not_kept"`
	}
	if err := json.Unmarshal(value, &some); err != nil {
		t.Fatalf("%v: %s", err, value)
	}
	*notKept = some.NotKept
	return all
}

// Some lists say in an Error that they are empty: that ends what is gone.
func TestList_EmptyByAnError(t *testing.T) {
	w := newWorld(t, Options{}).skipFirst()
	fail := func(ask Ask, message string) { w.p.Fail(w.p.Begin(ask, w.now), message, w.now) }
	w.event("Event: ConfbridgeStart", "Conference: a")
	w.event("Event: ConfbridgeJoin", "Conference: a", block("1.1", "6"), "Admin: No\nMuted: No")
	w.event("Event: ExtensionStatus", "Exten: 10\nContext: h\nHint: PJSIP/a\nStatus: 1\nStatusText: InUse")
	w.event("Event: ContactStatus", "URI: sip:a@1\nContactStatus: Reachable\nAOR: alice\nEndpointName: alice")
	fail(Ask{Participants, "b"}, "No Conference by that name found.")
	w.want(t, "participant.a.1=2E1", map[string]string{"Admin": "No"})
	fail(Ask{Participants, "a"}, "No Conference by that name found.")
	w.want(t, "participant.a.1=2E1", nil)
	w.event("Event: ConfbridgeJoin", "Conference: a", block("1.2", "6"), "Admin: No\nMuted: No")
	fail(Ask{List: Conferences}, "No active conferences.")
	w.want(t, "conference.a", nil)
	w.want(t, "participant.a.1=2E2", nil)
	fail(Ask{List: Contacts}, "No Contacts found\n")
	w.want(t, "contact.alice.sip=3Aa=401", nil)
	fail(Ask{List: Extensions}, "No Contacts found")
	w.want(t, "extension.h.10", map[string]string{"Status": "1"})
	fail(Ask{List: Extensions}, "No dialplan hints are available")
	w.want(t, "extension.h.10", nil)
}

// Of one queue a list says nothing of another.
func TestList_OfOneQueue(t *testing.T) {
	w := newWorld(t, Options{}).skipFirst()
	w.event(join("q", "1.1", 1, 1)...)
	w.event(join("other", "1.2", 1, 1)...)
	w.p.Apply(w.listing(Ask{Queues, "q"}), w.now)
	w.want(t, "caller.q.1=2E1", nil)
	w.want(t, "caller.other.1=2E2", map[string]string{"Position": "1"})
	ask := Ask{Queues, "q"}
	if name, value, err := ask.Header(frames.UTF8); ask.Action() != "QueueStatus" || name != "Queue" || string(value) != "q" || err != nil {
		t.Errorf("asks %s %s: %s", ask.Action(), name, value)
	}
}

// Lists are due once Asterisk has booted, in order; again after what no event tells
// of; and none without a session. A list of another session is not applied.
func TestList_Due(t *testing.T) {
	w := &world{t: t, p: newPresent(Options{}), now: start, bucket: map[string]map[string]string{}}
	due := func() (all []string) {
		for {
			ask, ok := w.p.Due(w.now)
			if !ok {
				return all
			}
			all = append(all, ask.Action()+ask.Scope)
		}
	}
	w.p.Login("s1", w.now)
	if got := due(); got != nil {
		t.Errorf("due before it has booted: %q", got)
	}
	first := []string{
		"CoreShowChannels", "BridgeList", "QueueStatus", "ParkedCalls", "ConfbridgeListRooms", "Agents", "ExtensionStateList",
		"PresenceStateList", "PJSIPShowContacts", "PJSIPShowRegistrationsOutbound", "SIPpeers", "SIPshowregistry",
	}
	w.event("Event: FullyBooted")
	if d := cmp.Diff(first, due()); d != "" {
		t.Error(d)
	}
	w.event("Event: FullyBooted")
	for action, want := range map[string][]string{
		"QueueReload": {"QueueStatus"}, "confbridgelock": {"ConfbridgeListRooms"}, "ConfbridgeUnlock": {"ConfbridgeListRooms"}, "Ping": nil, "Reload": first,
	} {
		if w.p.Acted(action, w.now); !cmp.Equal(want, due()) {
			t.Errorf("after %s not %q", action, want)
		}
	}
	w.event("Event: Reload", "Module: app_queue\nStatus: 0")
	if d := cmp.Diff(first, due()); d != "" {
		t.Error(d)
	}
	w.list(Conferences, "Event: ConfbridgeListRooms\nConference: a\nLocked: No\nMuted: No")
	if d := cmp.Diff([]string{"ConfbridgeLista"}, due()); d != "" {
		t.Error(d)
	}
	w.list(Queues)
	for i := range 2 * maxDue {
		w.event(join(fmt.Sprint("q", i), fmt.Sprintf("1.%d", i), 1, 2)...)
	}
	if got := due(); len(got) > maxDue+1 || got[0] != "QueueStatus" {
		t.Errorf("%d queues are asked for one by one", len(got))
	}
	r := w.listing(Ask{List: Channels}, "Event: CoreShowChannel\n"+block("1.1", "6"))
	w.p.Lost(w.now)
	w.p.Resync(w.now)
	if w.p.Apply(r, w.now) || due() != nil {
		t.Error("without a session a list is due, or applied")
	}
	w.want(t, "channel.1=2E1", nil)
}

// The server's value says how far the state is to be believed.
func TestServer_Value(t *testing.T) {
	w := newWorld(t, Options{})
	var notKept map[string]string
	if v := decodeServer(t, w, &notKept); v["state"] != "syncing" || v["session"] != "s1" || v["node"] != "node1" || notKept["channel"] != "not listed yet" || notKept["device"] != "off" {
		t.Errorf("%v", v)
	}
	w.now = w.now.Add(time.Second)
	for l := range Lists {
		switch {
		case l == Devices, l == Participants:
		case l == SIPRegistrations:
			w.p.Fail(w.p.Begin(Ask{List: l}, w.now), "Invalid/unknown command: SIPshowregistry. Use", w.now)
		case l == Agents:
			w.p.Fail(w.p.Begin(Ask{List: l}, w.now), "Permission denied", w.now)
		default:
			if v := decodeServer(t, w, &notKept); v["state"] != "syncing" {
				t.Errorf("live before the list %v", l)
			}
			w.list(l)
		}
	}
	v := decodeServer(t, w, &notKept)
	if d := cmp.Diff(map[string]string{"agent": "denied", "device": "off"}, notKept); d != "" {
		t.Error(d)
	}
	if v["state"] != "live" || v["since"] != "2026-11-23T08:21:41.000000Z" || v["synced_at"] != v["since"] || len(v["kinds"].([]any)) != int(Kinds)-2 {
		t.Errorf("%v", v)
	}
	w.now = w.now.Add(time.Second)
	w.p.Lost(w.now)
	w.p.Lost(w.now.Add(time.Second))
	if v := decodeServer(t, w, &notKept); v["state"] != "stale" || v["since"] != "2026-11-23T08:21:42.000000Z" || v["synced_at"] != "2026-11-23T08:21:41.000000Z" {
		t.Errorf("%v", v)
	}
}

// What an unapplied list would have led to is not kept either, and no list is taken
// for the present without an event session.
func TestServer_NotKept(t *testing.T) {
	w := newWorld(t, Options{})
	w.p.Fail(w.p.Begin(Ask{List: Conferences}, w.now), "Permission denied", w.now)
	var notKept map[string]string
	if decodeServer(t, w, &notKept); notKept["participant"] != "denied" {
		t.Errorf("participants, whose conferences are denied: %q", notKept["participant"])
	}
	w.p.Lost(w.now)
	if w.p.Apply(w.listing(Ask{List: Channels}, "Event: CoreShowChannel\n"+block("1.1", "6")), w.now) || len(w.drain()) != 0 {
		t.Errorf("a list without an event session was applied: %v", w.bucket)
	}
}

// When it is full nothing begins or grows; what is there goes on, and a list that
// fits makes it whole again.
func TestBounds_WhenFull(t *testing.T) {
	w := newWorld(t, Options{MaxObjects: 10, MaxBytes: 1 << 20}).skipFirst()
	for i := range 12 {
		w.event("Event: Newchannel", block(fmt.Sprintf("1.%d", i), "0"))
	}
	var notKept map[string]string
	decodeServer(t, w, &notKept)
	if c := w.p.Counts(); c.Objects[Channel] != 10 || c.Refused[Channel] != 2 || notKept["channel"] != "full" || notKept["caller"] != "" {
		t.Errorf("%+v; not kept %q", c, notKept)
	}
	w.event("Event: Newstate", block("1.3", "6"))
	w.want(t, "channel.1=2E3", map[string]string{"ChannelState": "6"})
	var up []string
	for i := range 12 {
		if i != 5 && i != 6 {
			up = append(up, "Event: CoreShowChannel\n"+block(fmt.Sprintf("1.%d", i), "6"))
		} else {
			w.event("Event: Hangup", block(fmt.Sprintf("1.%d", i), "6"))
		}
	}
	w.drain() // tombstones give way to what begins
	w.list(Channels, up...)
	decodeServer(t, w, &notKept)
	if c := w.p.Counts(); c.Objects[Channel] != 10 || notKept["channel"] != "" {
		t.Errorf("%+v; not kept %q", c, notKept)
	}
	w.want(t, "channel.1=2E11", map[string]string{"Source": "list"})
}

func TestBounds_OfBytes(t *testing.T) {
	w := newWorld(t, Options{MaxObjects: 1000, MaxBytes: 20_000}).skipFirst()
	for i := range 100 {
		w.event("Event: PresenceStateChange", fmt.Sprintf("Presentity: p%d\nStatus: away\nMessage: %s", i, strings.Repeat("é", 700)))
	}
	c := w.p.Counts()
	if c.Bytes > 20_000 || c.Refused[Presence] == 0 || c.Objects[Presence] < 10 {
		t.Errorf("%+v", c)
	}
	if v := w.drain()["pbx1.presence.p0"]; v["Message"] != strings.Repeat("é", maxField/2) {
		t.Errorf("a long field has %d bytes: %q", len(v["Message"]), v["Message"])
	}
	w.event("Event: PresenceStateChange", "Presentity: "+strings.Repeat("p", maxField+1)+"\nStatus: away")
	if w.p.Counts().Objects[Presence] != c.Objects[Presence] {
		t.Error("an id of over 1 KiB begins an object")
	}
}

// A list whose Action never went out ends nothing, is no answer, and is asked for again.
func TestLists_AreAskedForAgain(t *testing.T) {
	w := newWorld(t, Options{}).skipFirst()
	w.event("Event: Newchannel", block("1.1", "0"))
	var before, after map[string]string
	decodeServer(t, w, &before)
	w.p.Retry(w.p.Begin(Ask{List: Channels}, w.now), w.now.Add(time.Second), w.now)
	decodeServer(t, w, &after)
	if before["channel"] != after["channel"] {
		t.Errorf("a channel was %q, and is %q", before["channel"], after["channel"])
	}
	if ask, due := w.p.Due(w.now); due && ask.List == Channels {
		t.Error("it is asked for at once")
	}
	w.now = w.now.Add(time.Second)
	if ask, due := w.p.Due(w.now); !due || ask.List != Channels {
		t.Errorf("due is %v, %v", ask, due)
	}
	w.want(t, "channel.1=2E1", map[string]string{"ChannelState": "0"})
	old := w.p.Begin(Ask{List: Channels}, w.now)
	w.p.Lost(w.now)
	w.p.Retry(old, w.now, w.now)
	w.p.Login("s2", w.now)
	if ask, due := w.p.Due(w.now); due {
		t.Errorf("of a session that was lost %v is due", ask)
	}
}

// What is not to be kept is not listed, not held and named as off; what depends on it
// goes on.
func TestLists_OfWhatIsKeptAlone(t *testing.T) {
	w := newWorld(t, Options{Keep: SetOf(Queue, Member, Caller)})
	w.p.Booted(w.now)
	for {
		ask, due := w.p.Due(w.now)
		if !due {
			break
		}
		if ask.List != Queues {
			t.Errorf("%s is asked for", ask.Action())
		}
		w.list(ask.List, "Event: QueueParams\nActionID: 1\nQueue: q\nStrategy: ringall\nCalls: 0")
	}
	w.event("Event: Newchannel", block("1.1", "4"))
	w.event("Event: QueueCallerJoin", block("1.1", "4")+"\nQueue: q\nPosition: 1\nCount: 1")
	w.want(t, "channel.1=2E1", nil)
	w.want(t, "caller.q.1=2E1", map[string]string{"Position": "1"})
	w.event("Event: Hangup", block("1.1", "4"))
	w.want(t, "caller.q.1=2E1", nil)
	var notKept map[string]string
	if v := decodeServer(t, w, &notKept); v["state"] != "live" || notKept["channel"] != "off" || notKept["queue"] != "" {
		t.Errorf("%v", v)
	}
}
