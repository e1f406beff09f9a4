package present

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// block is a channel's block, as manager_channels.c writes it.
func block(id, state string) string {
	return "Channel: PJSIP/" + id + "\nChannelState: " + state + "\nChannelStateDesc: Up\nCallerIDNum: 100\nCallerIDName: Ann\n" +
		"ConnectedLineNum: <unknown>\nConnectedLineName: <unknown>\nLanguage: en\nAccountCode: \nContext: in\nExten: s\nPriority: 1\n" +
		"Uniqueid: " + id + "\nLinkedid: " + id
}

func join(queue, id string, position, count int) []string {
	return []string{
		"Event: QueueCallerJoin", block(id, "6"),
		fmt.Sprintf("Queue: %s\nPosition: %d\nCount: %d", queue, position, count),
	}
}

// A channel lives from Newchannel to Hangup; all that has its block changes it, and
// nothing else begins it.
func TestRules_Channel(t *testing.T) {
	w := newWorld(t, Options{}).skipFirst()
	w.event("Event: Newchannel", block("1.1", "0"))
	w.want(t, "channel.1=2E1", map[string]string{
		"Uniqueid": "1.1", "ChannelState": "0", "Source": "event", "Since": "2026-11-23T08:21:40.001000Z", "At": "2026-11-23T08:21:40.001000Z",
	})
	w.event("Event: Hold", block("1.1", "6"))
	w.want(t, "channel.1=2E1", map[string]string{
		"ChannelState": "6", "Language": "", "Since": "2026-11-23T08:21:40.001000Z", "At": "2026-11-23T08:21:40.002000Z",
	})
	w.event("Event: BridgeCreate", "BridgeUniqueid: b1\nBridgeType: basic\nBridgeNumChannels: 0")
	w.event("Event: BridgeEnter", "BridgeUniqueid: b1\nBridgeTechnology: simple_bridge\nBridgeNumChannels: 1", block("1.1", "6"))
	w.want(t, "channel.1=2E1", map[string]string{"BridgeId": "b1"})
	w.want(t, "bridge.b1", map[string]string{"BridgeNumChannels": "1", "BridgeType": "basic"})
	w.event("Event: BridgeLeave", "BridgeUniqueid: b0\nBridgeNumChannels: 0", block("1.1", "6"))
	w.want(t, "channel.1=2E1", map[string]string{"BridgeId": "b1"})
	w.event("Event: BridgeLeave", "BridgeUniqueid: b1\nBridgeNumChannels: 0", block("1.1", "6"))
	w.want(t, "channel.1=2E1", map[string]string{"BridgeId": ""})
	w.event("Event: Rename", "Channel: PJSIP/1.1\nNewname: PJSIP/2\nUniqueid: 1.1")
	w.want(t, "channel.1=2E1", map[string]string{"Channel": "PJSIP/2"})
	w.event("Event: Hangup", block("1.1", "6"), "Cause: 16")
	w.want(t, "channel.1=2E1", nil)
	w.event("Event: VarSet", block("1.1", "6"), "Variable: X\nValue: 1")
	w.event("Event: Newstate", block("1.2", "6"))
	w.event("Event: BridgeDestroy", "BridgeUniqueid: b1")
	if got := w.drain(); len(got) != 0 {
		t.Errorf("ghosts: %v", got)
	}
}

// What a user of AMI or a dialplan may write at will changes no object, and neither
// does the item of a list.
func TestRules_WhatIsNoEventOfAsterisks(t *testing.T) {
	w := newWorld(t, Options{Keep: AllKinds}).skipFirst()
	w.event("Event: Newchannel", block("1.1", "0"))
	w.event("Event: UserEvent", "UserEvent: X", block("1.1", "6"))
	w.event("Event: OriginateResponse", "ActionID: 1\nResponse: Failure\nChannel: X\nExten: 666\nUniqueid: 1.1")
	w.want(t, "channel.1=2E1", map[string]string{"ChannelState": "0", "Exten": "s"})
	w.event("Event: ParkedCall", "ActionID: other-1\nParkeeUniqueid: 1.1\nParkinglot: default")
	w.event("Event: ExtensionStatus", "ActionID: other-1\nExten: 1\nContext: c\nStatus: 0")
	w.event("Event: PresenceStateChange", "ActionID: other-1\nPresentity: p\nStatus: away")
	if got := w.drain(); len(got) != 1 {
		t.Errorf("another session's list has begun %v", got)
	}
}

// A caller ends with QueueCallerLeave, with its Hangup, or, taken by Action Bridge,
// with its own BridgeEnter; those behind it move up.
func TestRules_Caller(t *testing.T) {
	w := newWorld(t, Options{}).skipFirst()
	w.list(Queues, "Event: QueueParams\nQueue: q\nStrategy: ringall\nCalls: 0")
	w.event(join("q", "1.1", 1, 1)...)
	w.event(join("q", "1.2", 2, 2)...)
	w.event(join("q", "1.3", 1, 3)...)
	w.want(t, "queue.q", map[string]string{"Calls": "3", "Strategy": "ringall"})
	w.want(t, "caller.q.1=2E3", map[string]string{"Position": "1", "CallerIDName": "Ann", "Since": "2026-11-23T08:21:40.003000Z"})
	w.want(t, "caller.q.1=2E1", map[string]string{"Position": "2"})
	w.want(t, "caller.q.1=2E2", map[string]string{"Position": "3"})
	w.event("Event: BridgeEnter", "BridgeUniqueid: b1", block("1.3", "6"))
	w.want(t, "caller.q.1=2E3", nil)
	w.want(t, "caller.q.1=2E1", map[string]string{"Position": "1"})
	w.want(t, "queue.q", map[string]string{"Calls": "2"})
	w.event("Event: Hangup", block("1.1", "6"))
	w.want(t, "caller.q.1=2E1", nil)
	w.want(t, "caller.q.1=2E2", map[string]string{"Position": "1"})
	w.event("Event: QueueCallerLeave", block("1.2", "6"), "Queue: q\nPosition: 1\nCount: 0")
	w.want(t, "caller.q.1=2E2", nil)
	w.want(t, "queue.q", map[string]string{"Calls": "0"})
	if ask, due := w.p.Due(w.now); due {
		t.Errorf("%v is due, and all is well", ask)
	}
	w.event(join("q", "1.4", 1, 2)...)
	if ask, _ := w.p.Due(w.now); ask != (Ask{Queues, "q"}) {
		t.Errorf("Asterisk counts 2 callers, 1 is held, and %v is due", ask)
	}
}

// Who calls may change while he waits, is parked or confers: the lists say it then,
// and so does the event of his channel.
func TestRules_NewCallerid(t *testing.T) {
	w := newWorld(t, Options{}).skipFirst()
	w.event("Event: Newchannel", block("1.1", "6"))
	w.event(join("q", "1.1", 1, 1)...)
	w.event("Event: ConfbridgeJoin", "Conference: c", block("1.1", "6"), "Admin: No\nMuted: No")
	w.event("Event: ParkedCall", parkee("1.1", "PJSIP/1.1"))
	for _, event := range []string{"NewCallerid", "NewConnectedLine"} {
		w.event("Event: "+event, strings.Replace(block("1.1", "6"), "Ann", event, 1))
		w.want(t, "caller.q.1=2E1", map[string]string{"CallerIDName": event, "CallerIDNum": "100"})
		w.want(t, "participant.c.1=2E1", map[string]string{"CallerIDName": event})
		w.want(t, "parked.default.1=2E1", map[string]string{"ParkeeCallerIDName": event, "ParkeeChannel": "PJSIP/1.1"})
		w.want(t, "channel.1=2E1", map[string]string{"CallerIDName": event})
	}
}

// The list spells what the event has as <unknown> and escaped otherwise, and tells
// how long, not since when.
func TestRules_CallerAsTheListSpellsIt(t *testing.T) {
	w := newWorld(t, Options{}).skipFirst()
	w.event("Event: QueueCallerJoin", strings.ReplaceAll(block("1.1", "6"), "Ann", `\"Ann\" O\'Hara\?`), "Queue: q\nPosition: 1\nCount: 1")
	entry := "Event: QueueEntry\nQueue: q\nPosition: 1\nChannel: PJSIP/1.1\nUniqueid: 1.1\nCallerIDNum: 100\n" +
		"CallerIDName: \"Ann\" O'Hara?\nConnectedLineNum: unknown\nConnectedLineName: unknown\nWait: "
	w.list(Queues, "Event: QueueParams\nQueue: q\nStrategy: ringall\nCalls: 1", entry+"3")
	w.want(t, "caller.q.1=2E1", map[string]string{
		"CallerIDName": `\"Ann\" O\'Hara\?`, "ConnectedLineNum": "<unknown>", "Source": "event", "Since": "2026-11-23T08:21:40.001000Z",
	})
	w.now = w.now.Add(time.Minute)
	w.list(Queues, "Event: QueueParams\nQueue: q\nStrategy: ringall\nCalls: 1", entry+"63")
	if w.drain(); w.writes != 2 {
		t.Errorf("%d writes: growing older is no change", w.writes)
	}
	late := newWorld(t, Options{})
	late.list(Queues, entry+"63")
	late.want(t, "caller.q.1=2E1", map[string]string{
		"CallerIDName": `\"Ann\" O\'Hara\?`, "Source": "list", "Since": "2026-11-23T08:20:37.000000Z",
	})
}

// Event and list name a member's fields otherwise, and 22 differs after an unpause.
func TestRules_Member(t *testing.T) {
	w := newWorld(t, Options{}).skipFirst()
	const ev = "Queue: q\nMemberName: Zed\nInterface: Local/z@c\nStateInterface: x\nMembership: %s\nPenalty: 1\nCallsTaken: 0\n" +
		"LastCall: 0\nLastPause: 7\nLoginTime: 5\nInCall: 0\nStatus: %d\nPaused: %d\nPausedReason: %s\nRinginuse: 1\nWrapuptime: 0"
	const item = "Event: QueueMember\nQueue: q\nName: Zed\nLocation: Local/z@c\nStateInterface: x\nMembership: static\nPenalty: 1\nCallsTaken: 4\n" +
		"LastCall: 9\nLastPause: 7\nLoginTime: 5\nInCall: 0\nStatus: 2\nPaused: 0\nPausedReason: \nWrapuptime: 0"
	w.event("Event: QueueMemberStatus", fmt.Sprintf(ev, "realtime", 1, 0, ""))
	w.want(t, "member.q.Local=2Fz=40c", nil)
	w.event("Event: QueueMemberAdded", fmt.Sprintf(ev, "realtime", 1, 0, ""))
	w.event("Event: QueueMemberPause", fmt.Sprintf(ev, "realtime", 2, 1, "lunch"))
	w.want(t, "member.q.Local=2Fz=40c", map[string]string{"Paused": "1", "PausedReason": "lunch", "Status": "2"})
	w.event("Event: QueueMemberPause", fmt.Sprintf(ev, "realtime", 2, 0, "back"))
	w.drain()
	before := w.writes
	w.list(Queues, "Event: QueueParams\nQueue: q\nStrategy: ringall\nCalls: 0", item)
	w.want(t, "member.q.Local=2Fz=40c", map[string]string{
		"MemberName": "Zed", "Interface": "Local/z@c", "Membership": "realtime", "Ringinuse": "1", "PausedReason": "", "Source": "event",
		"CallsTaken": "", "LastCall": "", "InCall": "", "Name": "", "Location": "",
	})
	if w.writes != before+1 { // the queue
		t.Errorf("the list changed a member that it has as the events had it: %v", w.bucket)
	}
	w.event("Event: QueueMemberRemoved", fmt.Sprintf(ev, "realtime", 2, 0, ""))
	w.want(t, "member.q.Local=2Fz=40c", nil)
}

func parkee(id, name string) string {
	return "ParkeeChannel: " + name + "\nParkeeChannelState: 6\nParkeeCallerIDNum: 1\nParkeeCallerIDName: A\nParkeeUniqueid: " + id +
		"\nParkeeLinkedid: " + id + "\nParkerDialString: PJSIP/x\nParkinglot: default\nParkingSpace: 701\nParkingTimeout: 45\nParkingDuration: 0"
}

// A parked call ends with four events, moves with a channel that takes its place,
// and no list begins it again that is asked for just after.
func TestRules_Parked(t *testing.T) {
	for _, end := range []string{"UnParkedCall", "ParkedCallGiveUp", "ParkedCallTimeOut"} {
		w := newWorld(t, Options{}).skipFirst()
		w.event("Event: ParkedCall", parkee("1.1", "PJSIP/a"))
		w.want(t, "parked.default.1=2E1", map[string]string{
			"ParkingSpace": "701", "ParkingTimeout": "", "Since": "2026-11-23T08:21:40.001000Z", "Until": "2026-11-23T08:22:25.001000Z",
		})
		w.event("Event: "+end, parkee("1.1", "PJSIP/a"))
		w.want(t, "parked.default.1=2E1", nil)
		w.list(ParkedCalls, "Event: ParkedCall\nActionID: 1\n"+parkee("1.1", "PJSIP/a"))
		w.want(t, "parked.default.1=2E1", nil)
		w.now = w.now.Add(tombstoneAge + time.Second)
		if ask, due := w.p.Due(w.now); !due || ask.List != ParkedCalls {
			t.Errorf("what a list has of an ended one is not looked at again: %v %v", ask, due)
		}
		w.list(ParkedCalls, "Event: ParkedCall\nActionID: 1\n"+parkee("1.1", "PJSIP/a"))
		w.want(t, "parked.default.1=2E1", map[string]string{"Source": "list"})
		w.event("Event: Hangup", block("1.1", "6"))
		w.want(t, "parked.default.1=2E1", nil)
		w.now = w.now.Add(tombstoneAge + time.Second)
		w.list(ParkedCalls, "Event: ParkedCall\nActionID: 1\n"+parkee("1.1", "PJSIP/a"))
		w.want(t, "parked.default.1=2E1", nil)
	}
	w := newWorld(t, Options{}).skipFirst()
	w.event("Event: ParkedCall", parkee("1.1", "Local/a;1"))
	w.event("Event: BridgeEnter", "BridgeUniqueid: b1", block("1.9", "6"), "SwapUniqueid: 1.1")
	w.want(t, "parked.default.1=2E1", nil)
	w.want(t, "parked.default.1=2E9", map[string]string{
		"ParkeeChannel": "PJSIP/1.9", "ParkeeUniqueid": "1.9", "ParkingSpace": "701", "Since": "2026-11-23T08:21:40.001000Z", "ParkeeCallerIDName": "Ann",
	})
	w.event("Event: ParkedCallSwap", parkee("1.9", "PJSIP/1.9"))
	w.event("Event: Hangup", block("1.1", "6"))
	w.want(t, "parked.default.1=2E9", map[string]string{"ParkingSpace": "701"})
}

// Who takes part in a conference leaves, hangs up, is swapped, or ends with it.
func TestRules_Conference(t *testing.T) {
	w := newWorld(t, Options{}).skipFirst()
	conf := func(event, id, more string) {
		w.event("Event: "+event, "Conference: c 1\nBridgeUniqueid: b\nBridgeType: base", block(id, "6"), more)
	}
	w.event("Event: ConfbridgeStart", "Conference: c 1\nBridgeUniqueid: b\nBridgeType: base")
	w.want(t, "conference.c=201", map[string]string{"Locked": "No", "Muted": "No"})
	for _, id := range []string{"1.1", "1.2", "1.3", "1.4"} {
		conf("ConfbridgeJoin", id, "Admin: No\nMuted: No")
	}
	conf("ConfbridgeMute", "1.1", "Admin: No")
	w.want(t, "participant.c=201.1=2E1", map[string]string{"Muted": "Yes", "Admin": "No", "CallerIDNum": "100"})
	conf("ConfbridgeUnmute", "1.1", "Admin: No")
	w.want(t, "participant.c=201.1=2E1", map[string]string{"Muted": "No"})
	conf("ConfbridgeLeave", "1.1", "Admin: No")
	w.want(t, "participant.c=201.1=2E1", nil)
	w.event("Event: Hangup", block("1.2", "6"))
	w.want(t, "participant.c=201.1=2E2", nil)
	w.event("Event: BridgeEnter", "BridgeUniqueid: b", block("1.9", "6"), "SwapUniqueid: 1.3")
	w.want(t, "participant.c=201.1=2E3", nil)
	w.want(t, "participant.c=201.1=2E9", map[string]string{"Channel": "PJSIP/1.9", "Admin": "No"})
	w.event("Event: ConfbridgeEnd", "Conference: c 1\nBridgeUniqueid: b")
	if got := w.drain(); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
}

// An agent is told of in three words; which of two while logged in, bridges say.
func TestRules_Agent(t *testing.T) {
	w := newWorld(t, Options{}).skipFirst()
	w.list(Agents, "Event: Agents\nAgent: 7\nName: Ann\nStatus: AGENT_LOGGEDOFF")
	w.want(t, "agent.7", map[string]string{"Status": "AGENT_LOGGEDOFF", "Channel": ""})
	w.event("Event: AgentLogin", block("1.1", "6"), "Agent: 7")
	w.want(t, "agent.7", map[string]string{"Status": "AGENT_IDLE", "Channel": "PJSIP/1.1"})
	w.event("Event: BridgeEnter", "BridgeUniqueid: b\nBridgeTechnology: simple_bridge", block("1.1", "6"))
	w.want(t, "agent.7", map[string]string{"Status": "AGENT_ONCALL"})
	w.event("Event: BridgeEnter", "BridgeUniqueid: h\nBridgeTechnology: holding_bridge", block("1.1", "6"))
	w.want(t, "agent.7", map[string]string{"Status": "AGENT_IDLE"})
	w.event("Event: AgentLogoff", block("1.1", "6"), "Agent: 7\nLogintime: 3")
	w.want(t, "agent.7", map[string]string{"Status": "AGENT_LOGGEDOFF", "Channel": ""})
}

func TestRules_HintsAndPresence(t *testing.T) {
	w := newWorld(t, Options{}).skipFirst()
	w.event("Event: ExtensionStatus", "Exten: 10\nContext: h\nHint: PJSIP/a\nStatus: 1\nStatusText: InUse")
	w.want(t, "extension.h.10", map[string]string{"Status": "1", "StatusText": "InUse", "Hint": "PJSIP/a"})
	w.event("Event: ExtensionStatus", "Exten: 10\nContext: h\nHint: \nStatus: -1\nStatusText: Unknown")
	w.want(t, "extension.h.10", nil)
	w.event("Event: PresenceStateChange", "Presentity: CustomPresence:a\nStatus: away\nSubtype: \nMessage: x")
	w.want(t, "presence.CustomPresence=3Aa", map[string]string{"Status": "away", "Message": "x"})
}

// Devices are those that a list has admitted: events name others without end, and
// numbers that were dialled.
func TestRules_Device(t *testing.T) {
	for _, kept := range []bool{false, true} {
		w := newWorld(t, Options{Keep: map[bool]Set{true: AllKinds}[kept]}).skipFirst()
		w.event("Event: DeviceStateChange", "Device: Local/0123456@out\nState: INUSE")
		w.list(Devices, "Event: DeviceStateChange\nActionID: 1\nDevice: PJSIP/a\nState: NOT_INUSE")
		w.event("Event: DeviceStateChange", "Device: PJSIP/a\nState: INUSE")
		w.want(t, "device.Local=2F0123456=40out", nil)
		if kept {
			w.want(t, "device.PJSIP=2Fa", map[string]string{"State": "INUSE"})
		}
	}
}

// A contact's list has it under another name, and knows none from pjsip.conf.
func TestRules_Contact(t *testing.T) {
	w := newWorld(t, Options{}).skipFirst()
	w.event("Event: ContactStatus", "URI: sip:a@1\nContactStatus: NonQualified\nAOR: alice\nEndpointName: alice")
	w.event("Event: ContactStatus", "URI: sip:t@2\nContactStatus: Reachable\nAOR: trunk\nEndpointName: trunk\nRoundtripUsec: 5")
	w.want(t, "contact.alice.sip=3Aa=401", map[string]string{"AOR": "alice", "URI": "sip:a@1", "Status": "NonQualified", "EndpointName": "alice"})
	w.list(Contacts, "Event: ContactList\nActionID: 1\nObjectType: contact\nObjectName: alice;@0123\nUri: sip:a@1\nEndpoint: alice\nStatus: NonQualified\nRoundtripUsec: N/A")
	w.want(t, "contact.alice.sip=3Aa=401", map[string]string{"Source": "event"})
	w.want(t, "contact.trunk.sip=3At=402", nil)
	w.event("Event: ContactStatus", "URI: sip:t@2\nContactStatus: Unreachable\nAOR: trunk\nEndpointName: trunk")
	w.want(t, "contact.trunk.sip=3At=402", nil)
	w.event("Event: ContactStatus", "URI: sip:a@1\nContactStatus: Removed\nAOR: alice\nEndpointName: alice")
	w.want(t, "contact.alice.sip=3Aa=401", nil)
}

// A peer of chan_sip is a contact too: the list begins it, events change it.
func TestRules_Peer(t *testing.T) {
	w := newWorld(t, Options{}).skipFirst()
	w.event("Event: PeerStatus", "ChannelType: SIP\nPeer: SIP/a\nPeerStatus: Registered\nAddress: 1.2.3.4:5060")
	w.want(t, "contact.a.SIP=2Fa", nil)
	entry := "Event: PeerEntry\nChanneltype: SIP\nObjectName: a\nIPaddress: 1.2.3.4\nStatus: "
	w.list(SIPPeers, entry+"OK (12 ms)", "Event: PeerEntry\nChanneltype: SIP\nObjectName: b\nIPaddress: -none-\nStatus: UNKNOWN")
	w.want(t, "contact.a.SIP=2Fa", map[string]string{"AOR": "a", "URI": "SIP/a", "Status": "Reachable"})
	w.want(t, "contact.b.SIP=2Fb", map[string]string{"Status": "Unregistered"})
	w.event("Event: PeerStatus", "ChannelType: SIP\nPeer: SIP/a\nPeerStatus: Lagged\nTime: 4000")
	w.event("Event: PeerStatus", "ChannelType: PJSIP\nPeer: PJSIP/b\nPeerStatus: Reachable")
	w.want(t, "contact.a.SIP=2Fa", map[string]string{"Status": "Lagged"})
	w.want(t, "contact.b.SIP=2Fb", map[string]string{"Status": "Unregistered"})
	w.drain()
	writes := w.writes
	w.list(SIPPeers, entry+"LAGGED (4000 ms)", "Event: PeerEntry\nObjectName: b\nIPaddress: -none-\nStatus: UNKNOWN")
	w.list(Contacts)
	if w.drain(); w.writes != writes {
		t.Errorf("%d corrections of what is the same", w.writes-writes)
	}
}

// The list of registrations comes with passwords in clear: none gets into a value.
func TestRules_Registration(t *testing.T) {
	w := newWorld(t, Options{}).skipFirst()
	w.list(Registrations,
		"Event: OutboundRegistrationDetail\nObjectName: trunk\nOutboundAuths: t\nClientUri: sip:me@1\nServerUri: sip:them@2\nContactUser: s3cret\nStatus: Registered\nNextReg: 5",
		"Event: AuthDetail\nObjectName: t\nUsername: me\nPassword: s3cret")
	w.want(t, "registration.sip=3Ame=401.sip=3Athem=402", map[string]string{
		"Username": "sip:me@1", "Domain": "sip:them@2", "ChannelType": "PJSIP", "Status": "Registered",
	})
	w.event("Event: Registry", "ChannelType: PJSIP\nUsername: sip:me@1\nDomain: sip:them@2\nStatus: Rejected\nCause: x")
	w.want(t, "registration.sip=3Ame=401.sip=3Athem=402", map[string]string{"Status": "Rejected", "Source": "event"})
	w.list(SIPRegistrations, "Event: RegistryEntry\nHost: sip.example\nPort: 5060\nUsername: u\nDomain: other\nState: Registered\nPassword: s3cret")
	w.want(t, "registration.u.sip=2Eexample", map[string]string{"ChannelType": "SIP", "Status": "Registered", "Domain": "sip.example"})
	w.event("Event: Registry", "ChannelType: IAX2\nUsername: x\nDomain: y\nStatus: Registered")
	w.want(t, "registration.x.y", nil)
	w.list(Registrations)
	w.want(t, "registration.u.sip=2Eexample", map[string]string{"Status": "Registered"})
	for key, value := range w.drain() {
		if strings.Contains(fmt.Sprint(key, value), "s3cret") {
			t.Errorf("%s: %v", key, value)
		}
	}
}

// Who records a conference is in its bridge, and enters and leaves it without an event.
func TestRule_ARecorderCounts(t *testing.T) {
	w := newWorld(t, Options{}).skipFirst()
	at := "BridgeUniqueid: b\nBridgeType: base\nBridgeName: r\nBridgeNumChannels: "
	w.event("Event: BridgeCreate", at+"0")
	for _, one := range []string{"BridgeEnter 2", "ConfbridgeRecord 3", "ConfbridgeStopRecord 2"} {
		name, count, _ := strings.Cut(one, " ")
		w.event("Event: "+name, "Conference: r", at+count)
		w.want(t, "bridge.b", map[string]string{"BridgeNumChannels": count})
	}
}
