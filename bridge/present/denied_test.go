package present

import "testing"

// What is left from before the login, of which no event has told since, ends with a list that
// Asterisk does not give in this session: for want of a right, or of the module.
func TestList_ThatIsNotGivenVouchesForNothingOfBefore(t *testing.T) {
	for _, why := range []string{"Permission denied", "Invalid/unknown command: ConfbridgeListRooms. Use"} {
		w := newWorld(t, Options{}).skipFirst()
		for _, c := range []string{"a", "b"} {
			w.event("Event: ConfbridgeStart", "Conference: "+c)
			w.event("Event: ConfbridgeJoin", "Conference: "+c, block("1."+c, "6"), "Admin: No\nMuted: No")
		}
		w.p.Lost(w.now)
		w.p.Login("s2", w.now)
		w.p.Booted(w.now)
		w.event("Event: ConfbridgeStart", "Conference: b")
		w.event("Event: ConfbridgeMute", "Conference: b", block("1.b", "6"))
		if w.p.Fail(w.p.Begin(Ask{List: Conferences}, w.now), why, w.now) {
			t.Errorf("%s: taken for an empty list", why)
		}
		w.want(t, "conference.a", nil)
		w.want(t, "participant.a.1=2Ea", nil)
		w.want(t, "conference.b", map[string]string{"Locked": "No"})
		w.want(t, "participant.b.1=2Eb", map[string]string{"Muted": "Yes"})
		var notKept map[string]string
		if decodeServer(t, w, &notKept); notKept["conference"] == "" || notKept["participant"] == "" {
			t.Errorf("%s: not kept %q", why, notKept)
		}
	}
}

// A module that is unloaded, whose list came before in this session, takes all with it.
func TestList_OfAModuleThatIsUnloaded(t *testing.T) {
	w := newWorld(t, Options{}).skipFirst()
	w.list(Queues, "Event: QueueParams\nQueue: q", "Event: QueueMember\nQueue: q\nLocation: Local/1")
	w.event("Event: QueueMemberStatus", "Queue: q\nInterface: Local/1\nStatus: 2")
	w.event("Event: Unload", "Module: app_queue.so\nStatus: Success")
	ask, due := w.p.Due(w.now)
	for ; due && ask.List != Queues; ask, due = w.p.Due(w.now) {
	}
	if !due {
		t.Fatal("no list is due")
	}
	w.p.Fail(w.p.Begin(ask, w.now), "Invalid/unknown command: QueueStatus. Use", w.now)
	w.want(t, "queue.q", nil)
	w.want(t, "member.q.Local=2F1", nil)
}

// The contacts of a chan_sip that an Asterisk has no more, as behind an upgrade, end though
// PJSIP's are kept.
func TestList_ContactsOfWhatIsNoMore(t *testing.T) {
	w := newWorld(t, Options{}).skipFirst()
	w.list(SIPPeers, "Event: PeerEntry\nObjectName: carol\nIPaddress: 10.0.0.1\nStatus: OK (1 ms)")
	w.want(t, "contact.carol.SIP=2Fcarol", map[string]string{"Status": "Reachable"})
	w.p.Lost(w.now)
	w.p.Login("s2", w.now)
	w.p.Booted(w.now)
	w.list(Contacts)
	w.p.Fail(w.p.Begin(Ask{List: SIPPeers}, w.now), "Invalid/unknown command: SIPpeers. Use", w.now)
	w.want(t, "contact.carol.SIP=2Fcarol", nil)
	var notKept map[string]string
	if decodeServer(t, w, &notKept); notKept["contact"] != "" {
		t.Errorf("not kept: %q", notKept["contact"])
	}
}

// Where somebody was let in before others, the queue is listed alone; one whose list is not given is not asked
// for again and again.
func TestList_ThatIsNotGivenIsNotAskedForAtOnce(t *testing.T) {
	w := newWorld(t, Options{}).skipFirst()
	w.list(Queues, "Event: QueueParams\nQueue: q")
	w.p.Lost(w.now)
	w.p.Login("s2", w.now)
	w.p.Booted(w.now)
	for _, due := w.p.Due(w.now); due; _, due = w.p.Due(w.now) {
	}
	w.event(join("q", "1.1", 1, 2)...)
	w.p.Fail(w.p.Begin(Ask{List: Queues}, w.now), "Permission denied", w.now)
	if ask, due := w.p.Due(w.now); due {
		t.Errorf("%+v is due at once", ask)
	}
	w.want(t, "caller.q.1=2E1", map[string]string{"Position": "1"})
}

// A parked call whose list is denied is up for as long as its channel, of which a list tells.
func TestList_ThatIsNotGivenLeavesWhatAChannelVouchesFor(t *testing.T) {
	w := newWorld(t, Options{}).skipFirst()
	for _, id := range []string{"1.1", "1.2"} {
		w.event("Event: Newchannel", block(id, "6"))
		w.event("Event: ParkedCall", parkee(id, "PJSIP/"+id))
	}
	w.p.Lost(w.now)
	w.p.Login("s2", w.now)
	w.p.Booted(w.now)
	w.list(Channels, "Event: CoreShowChannel\n"+block("1.1", "6"))
	w.p.Fail(w.p.Begin(Ask{List: ParkedCalls}, w.now), "Permission denied", w.now)
	w.want(t, "parked.default.1=2E1", map[string]string{"ParkingSpace": "701"})
	w.want(t, "parked.default.1=2E2", nil)
	w.event("Event: Hangup", block("1.1", "6"))
	w.want(t, "parked.default.1=2E1", nil)
}
