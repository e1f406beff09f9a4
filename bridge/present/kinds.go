package present

// Kind is what an object is.
type Kind uint8

// The kinds of the model, in the order in which the first lists are asked for.
const (
	Channel Kind = iota
	Bridge
	Queue
	Member
	Caller
	Parked
	Conference
	Participant
	Agent
	Extension
	Presence
	Device
	Contact
	Registration
	Kinds // how many there are
)

// String returns the token of k in keys.
func (k Kind) String() string { return kinds[k].name }

// Set is some kinds.
type Set uint32

// AllKinds is each of them.
const AllKinds Set = 1<<Kinds - 1

// SetOf returns those kinds.
func SetOf(kinds ...Kind) (s Set) {
	for _, k := range kinds {
		s |= 1 << k
	}
	return s
}

// Has reports whether k is in s.
func (s Set) Has(k Kind) bool { return s&(1<<k) != 0 }

// field is one name that a value may have, and nothing else may be in one.
type field struct {
	name string
	also string // another header that means the same, in a list or another release
	own  bool   // no header has it: a rule sets it, such as BridgeId
	text bool   // a list has it unescaped (QueueEntry), see listText
}

// kind is what there is to know of one. The first ids of its fields are its id.
type kind struct {
	name   string
	ids    int
	fields []field
	owner  int // the field with the Uniqueid whose end, or bridge, ends or changes it; 0: none
	// classes are those of the events that tell of it (manager.c perms); nil: call.
	classes []string
}

// Classes returns the classes of the events that tell of k, as read= in manager.conf spells them.
func (k Kind) Classes() []string {
	if own := kinds[k].classes; own != nil {
		return own
	}
	return []string{"call"}
}

// These fields are named by the rules.
const (
	channelName     = 1
	channelBridge   = 12
	bridgeCount     = 3
	queueCalls      = 2
	memberShip      = 4
	memberReason    = 9
	callerPosition  = 2
	contactStatus   = 2
	participantMute = 6
	agentStatus     = 1
	agentChannel    = 2
	agentUniqueid   = 3
	parkedChannel   = 3
	partyChannel    = 2
)

// kinds are the kinds. Fields stand in the order in which Asterisk writes them
// (manager_channels.c ast_manager_build_channel_state_string_prefix,
// manager_bridges.c, app_queue.c, parking_manager.c), so that one walk through the
// headers finds them. What changes without an event is in none: a channel's
// Language, a member's CallsTaken, LastCall and InCall, a bridge's BridgeTechnology
// once both ends are in (bridge.c smart_bridge_operation). What holds a secret, or
// says where one is, is in none either: this list is what keeps passwords out.
var kinds = [Kinds]kind{
	Channel: {name: "channel", ids: 1, fields: []field{
		{name: "Uniqueid"},
		{name: "Channel"}, {name: "ChannelState"}, {name: "ChannelStateDesc"},
		{name: "CallerIDNum"}, {name: "CallerIDName"}, {name: "ConnectedLineNum"}, {name: "ConnectedLineName"},
		{name: "AccountCode"}, {name: "Context"}, {name: "Exten", also: "Extension"}, {name: "Linkedid"},
		{name: "BridgeId", own: true},
	}},
	Bridge: {name: "bridge", ids: 1, fields: []field{
		{name: "BridgeUniqueid"},
		{name: "BridgeType"}, {name: "BridgeName"}, {name: "BridgeNumChannels"},
	}},
	Queue: {name: "queue", ids: 1, classes: []string{"agent", "call"}, fields: []field{
		{name: "Queue"},
		{name: "Strategy"}, {name: "Calls", also: "Count"},
	}},
	Member: {name: "member", ids: 2, classes: []string{"agent"}, fields: []field{
		{name: "Queue"}, {name: "Interface", also: "Location"},
		{name: "MemberName", also: "Name"}, {name: "StateInterface"}, {name: "Membership"}, {name: "Penalty"},
		{name: "LastPause"}, {name: "Status"}, {name: "Paused"}, {name: "PausedReason"},
		{name: "Ringinuse"}, {name: "Wrapuptime"}, {name: "LoginTime"},
	}},
	Caller: {name: "caller", ids: 2, owner: 1, classes: []string{"agent", "call"}, fields: []field{
		{name: "Queue"}, {name: "Uniqueid"},
		{name: "Position", own: true}, {name: "Channel"},
		{name: "CallerIDNum", text: true}, {name: "CallerIDName", text: true},
		{name: "ConnectedLineNum", text: true}, {name: "ConnectedLineName", text: true},
	}},
	Parked: {name: "parked", ids: 2, owner: 1, fields: []field{
		{name: "Parkinglot"}, {name: "ParkeeUniqueid"},
		{name: "ParkingSpace"}, {name: "ParkeeChannel"},
		{name: "ParkeeCallerIDNum"}, {name: "ParkeeCallerIDName"},
		{name: "ParkeeLinkedid"}, {name: "ParkerDialString"},
	}},
	Conference: {name: "conference", ids: 1, fields: []field{
		{name: "Conference"},
		{name: "Locked"}, {name: "Muted"},
	}},
	Participant: {name: "participant", ids: 2, owner: 1, fields: []field{
		{name: "Conference"}, {name: "Uniqueid"},
		{name: "Channel"}, {name: "CallerIDNum"}, {name: "CallerIDName"},
		{name: "Admin"}, {name: "Muted"},
	}},
	Agent: {name: "agent", ids: 1, owner: agentUniqueid, classes: []string{"agent", "call"}, fields: []field{
		{name: "Agent"},
		{name: "Status"}, {name: "Channel"}, {name: "Uniqueid"},
	}},
	Extension: {name: "extension", ids: 2, fields: []field{
		{name: "Context"}, {name: "Exten"},
		{name: "Hint"}, {name: "Status"}, {name: "StatusText"},
	}},
	Presence: {name: "presence", ids: 1, fields: []field{
		{name: "Presentity"},
		{name: "Status"}, {name: "Subtype"}, {name: "Message"},
	}},
	Device: {name: "device", ids: 1, fields: []field{
		{name: "Device"},
		{name: "State"},
	}},
	Contact: {name: "contact", ids: 2, classes: []string{"system"}, fields: []field{
		{name: "AOR"}, {name: "URI"},
		{name: "Status", also: "ContactStatus"}, {name: "EndpointName", also: "Endpoint"},
	}},
	Registration: {name: "registration", ids: 2, classes: []string{"system"}, fields: []field{
		{name: "Username"}, {name: "Domain"},
		{name: "ChannelType"}, {name: "Status"},
	}},
}

// effect is what an event does to the object that it names.
type effect uint8

const (
	changes effect = iota // it changes one that is there: only a beginning begins
	begins                // or changes one that is there already
	ends
)

// touch is one effect of an event.
type touch struct {
	kind   Kind
	effect effect
	rule   rule // what the headers do not say of it; nil: nothing
}

// touches says which events touch which objects. Besides, each event with a
// channel's block changes that channel (see Reduce).
var touches = map[string][]touch{
	"Newchannel": {{Channel, begins, ruleNew}},
	// Who calls, of what depends on the channel too.
	"NewCallerid":      {{Channel, changes, ruleCallerID}},
	"NewConnectedLine": {{Channel, changes, ruleCallerID}},
	"Rename":           {{Channel, changes, ruleRename}}, // up to 11, where a masquerade renames
	"Newexten":         {{Channel, changes, nil}},        // these have no block up to 11
	"NewAccountCode":   {{Channel, changes, nil}},
	"Hangup":           {{Channel, ends, ruleHangup}},

	"BridgeCreate":  {{Bridge, begins, nil}},
	"BridgeDestroy": {{Bridge, ends, nil}},
	"BridgeEnter":   {{Bridge, changes, nil}, {Channel, changes, ruleEnter}},
	"BridgeLeave":   {{Bridge, changes, nil}, {Channel, changes, ruleLeave}},

	"QueueCallerJoin":  {{Caller, begins, ruleJoin}, {Queue, changes, ruleCount}},
	"QueueCallerLeave": {{Caller, ends, nil}, {Queue, changes, ruleCount}},
	"Join":             {{Caller, begins, ruleJoin}, {Queue, changes, ruleCount}}, // up to 11
	"Leave":            {{Caller, ends, nil}, {Queue, changes, ruleCount}},

	"QueueMemberAdded":     {{Member, begins, ruleMember}},
	"QueueMemberStatus":    {{Member, changes, ruleMember}},
	"QueueMemberPause":     {{Member, changes, ruleMember}},
	"QueueMemberPaused":    {{Member, changes, ruleMember}}, // up to 11
	"QueueMemberPenalty":   {{Member, changes, ruleMember}},
	"QueueMemberRinginuse": {{Member, changes, ruleMember}},
	"QueueMemberRemoved":   {{Member, ends, nil}},

	"ParkedCall":        {{Parked, begins, rulePark}},
	"ParkedCallSwap":    {{Parked, begins, rulePark}},
	"UnParkedCall":      {{Parked, ends, nil}},
	"ParkedCallGiveUp":  {{Parked, ends, nil}},
	"ParkedCallTimeOut": {{Parked, ends, nil}},

	"ConfbridgeStart":  {{Conference, begins, ruleOpen}},
	"ConfbridgeEnd":    {{Conference, ends, ruleClosed}},
	"ConfbridgeJoin":   {{Participant, begins, ruleUp}},
	"ConfbridgeLeave":  {{Participant, ends, nil}},
	"ConfbridgeMute":   {{Participant, changes, ruleMuted}},
	"ConfbridgeUnmute": {{Participant, changes, ruleUnmuted}},
	// Who records is a channel of which no event tells (CBRec), but these count it.
	"ConfbridgeRecord":     {{Bridge, changes, nil}},
	"ConfbridgeStopRecord": {{Bridge, changes, nil}},

	"AgentLogin":  {{Agent, begins, ruleLogin}},
	"AgentLogoff": {{Agent, changes, ruleLogoff}},
	"Agentlogin":  {{Agent, begins, ruleLogin}}, // up to 11
	"Agentlogoff": {{Agent, changes, ruleLogoff}},

	"ExtensionStatus":     {{Extension, begins, ruleExtension}},
	"PresenceStateChange": {{Presence, begins, nil}},
	"DeviceStateChange":   {{Device, changes, nil}},
	"ContactStatus":       {{Contact, begins, ruleContact}},
	"PeerStatus":          {{Contact, changes, rulePeer}},
	"Registry":            {{Registration, begins, ruleRegistry}},
}
