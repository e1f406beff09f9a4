package present

import (
	"strings"
	"testing"
	"time"
)

// Up to 11 a queue's and an agent's events are called otherwise.
func TestOld_QueuesAndAgents(t *testing.T) {
	w := newWorld(t, Options{Keep: AllKinds}).skipFirst()
	w.list(Queues, "Event: QueueParams\nQueue: sales\nStrategy: ringall\nCalls: 0")
	joined := func(id, place string) {
		w.event("Event: Join\nChannel: SIP/" + id + "\nCallerIDNum: 100\nCallerIDName: Ann\nConnectedLineNum: unknown\nConnectedLineName: unknown\n" +
			"Queue: sales\nPosition: " + place + "\nCount: " + place + "\nUniqueid: " + id)
	}
	joined("1.1", "1")
	joined("1.2", "2")
	w.event("Event: Agentlogin\nAgent: 1001\nChannel: SIP/a\nUniqueid: 1.9")
	w.now = w.now.Add(time.Second)
	w.want(t, "caller.sales.1=2E2", map[string]string{"Position": "2", "CallerIDNum": "100", "Source": "event"})
	w.want(t, "queue.sales", map[string]string{"Calls": "2"})
	w.want(t, "agent.1001", map[string]string{"Status": "AGENT_IDLE", "Channel": "SIP/a"})
	w.event("Event: Leave\nChannel: SIP/1.1\nQueue: sales\nCount: 1\nPosition: 1\nUniqueid: 1.1")
	w.event("Event: Agentlogoff\nAgent: 1001\nLogintime: 3\nUniqueid: 1.9")
	w.now = w.now.Add(time.Second)
	w.want(t, "caller.sales.1=2E1", nil)
	w.want(t, "caller.sales.1=2E2", map[string]string{"Position": "1"})
	w.want(t, "queue.sales", map[string]string{"Calls": "1"})
	w.want(t, "agent.1001", map[string]string{"Status": "AGENT_LOGGEDOFF", "Channel": ""})
}

// Up to 11 few events have a channel's block, and the list calls Exten otherwise.
func TestOld_Channels(t *testing.T) {
	w := newWorld(t, Options{}).skipFirst()
	w.event("Event: Newchannel\nChannel: SIP/a\nChannelState: 0\nChannelStateDesc: Down\nCallerIDNum: 100\nCallerIDName: Ann\nAccountCode: \nExten: 200\nContext: in\nUniqueid: 1.1")
	w.event("Event: Newexten\nChannel: SIP/a\nContext: out\nExtension: 300\nPriority: 1\nApplication: Dial\nAppData: SIP/b\nUniqueid: 1.1")
	w.event("Event: NewAccountCode\nChannel: SIP/a\nUniqueid: 1.1\nAccountCode: acme\nOldAccountCode: ")
	w.now = w.now.Add(time.Second)
	w.want(t, "channel.1=2E1", map[string]string{"Context": "out", "Exten": "300", "AccountCode": "acme"})
	w.list(Channels, "Event: CoreShowChannel\nChannel: SIP/a\nUniqueID: 1.1\nContext: out\nExtension: 400\nPriority: 1\nChannelState: 6\nChannelStateDesc: Up\n"+
		"CallerIDnum: 100\nCallerIDname: Ann\nDuration: 00:00:01\nAccountCode: acme\nBridgedChannel: \nBridgedUniqueID: ")
	w.now = w.now.Add(time.Second)
	w.want(t, "channel.1=2E1", map[string]string{"Exten": "400", "ChannelState": "6", "CallerIDName": "Ann"})
}

// What does not say which object it is about, as up to 11 of a parked call and of who takes part
// in a conference, ends nothing, and the kind is not called kept.
func TestOld_WhatNamesNoObject(t *testing.T) {
	w := newWorld(t, Options{}).skipFirst()
	kept := func(k Kind) string { return w.p.notKept(k) }
	if kept(Participant) != "" || kept(Parked) != "" {
		t.Fatalf("%q, %q", kept(Participant), kept(Parked))
	}
	w.event("Event: ConfbridgeStart\nConference: a")
	w.event("Event: ConfbridgeJoin\nChannel: SIP/a\nUniqueid: 1.1\nConference: a\nCallerIDnum: 100\nCallerIDname: Ann")
	r := w.listing(Ask{Participants, "a"}, "Event: ConfbridgeList\nConference: a\nCallerIDNum: 100\nCallerIDName: Ann\nChannel: SIP/a\nAdmin: No\nMarkedUser: No")
	if w.p.Apply(r, w.now) || kept(Participant) != "cut: items without Uniqueid" {
		t.Errorf("participants are kept: %q", kept(Participant))
	}
	w.now = w.now.Add(time.Second)
	w.want(t, "participant.a.1=2E1", map[string]string{"Channel": "SIP/a", "CallerIDNum": "100"})
	w.event("Event: ParkedCall\nExten: 701\nChannel: SIP/a\nParkinglot: default\nFrom: SIP/b\nTimeout: 45\nCallerIDNum: 100\nUniqueid: 1.1")
	if kept(Parked) != "events without ParkeeUniqueid" {
		t.Errorf("parked calls are kept: %q", kept(Parked))
	}
	w.list(ParkedCalls)
	if kept(Parked) == "" {
		t.Error("an empty list has them kept")
	}
	w.event("Event: QueueMemberAdded\nQueue: sales\nInterface: " + strings.Repeat("x", maxField+1))
	if kept(Member) != "" {
		t.Errorf("one name that is too long: %q", kept(Member))
	}
	w.p.Login("s2", w.now)
	w.p.Booted(w.now)
	w.skipFirst()
	if kept(Parked) != "" {
		t.Errorf("another Asterisk: %q", kept(Parked))
	}
}
