package present

import (
	"bytes"
	"time"
)

// trim says of a list's item what it says in other words than the events.
type trim func(in *input)

// trimChannel: BridgeId, and since when from Duration, HH:MM:SS (manager.c
// action_coreshowchannels).
func trimChannel(in *input) {
	if bridge := in.get("BridgeId"); bridge != nil {
		in.put(channelBridge, bridge)
	}
	parts := bytes.Split(in.get("Duration"), []byte(":"))
	if len(parts) == 3 {
		ago := time.Duration(number(parts[0]))*time.Hour + time.Duration(number(parts[1]))*time.Minute +
			time.Duration(number(parts[2]))*time.Second
		in.since = in.at.Add(-ago).UnixNano()
	}
}

// trimMember: who is not paused has no reason, as by ruleMember in the events.
func trimMember(in *input) { ruleMember(nil, in) }

// trimCaller: Wait is for how many seconds it has waited.
func trimCaller(in *input) {
	if wait := in.get("Wait"); wait != nil {
		in.since = in.at.Add(-time.Duration(number(wait)) * time.Second).UnixNano()
	}
}

// trimParked: ParkingDuration counts up, ParkingTimeout down, both in seconds
// (parking_manager.c). Without a timeout that is 0.
func trimParked(in *input) {
	in.since = in.at.Add(-time.Duration(number(in.get("ParkingDuration"))) * time.Second).UnixNano()
	if left := number(in.get("ParkingTimeout")); left > 0 {
		in.until = in.at.Add(time.Duration(left) * time.Second).UnixNano()
	}
}

// trimAgent: who is logged off has no channel.
func trimAgent(in *input) {
	if in.get("Channel") == nil {
		in.put(agentChannel, none)
		in.put(agentUniqueid, none)
	}
}

// trimExtension: a hint without one is None in the list.
func trimExtension(in *input) {
	if string(in.get("Hint")) == "None" {
		in.put(2, nil)
	}
}

// trimContact: the name of a contact is its AOR's, ;@ and a hash
// (res_pjsip_registrar.c).
func trimContact(in *input) {
	if aor, _, found := bytes.Cut(in.get("ObjectName"), []byte(";@")); found {
		in.put(0, aor)
	}
	in.put(1, in.get("Uri"))
}

// trimPeer says in the words of PeerStatus how a peer is: the list has OK, LAGGED or
// UNREACHABLE with milliseconds, which change by themselves (chan_sip.c peer_status).
func trimPeer(in *input) {
	name := in.get("ObjectName")
	in.sip = true
	in.put(0, name)
	in.put(1, append([]byte("SIP/"), name...))
	word, status := in.get("Status"), "Registered"
	switch {
	case string(in.get("IPaddress")) == "-none-":
		status = "Unregistered"
	case bytes.HasPrefix(word, []byte("OK")):
		status = "Reachable"
	case bytes.HasPrefix(word, []byte("LAGGED")):
		status = "Lagged"
	case bytes.HasPrefix(word, []byte("UNREACHABLE")):
		status = "Unreachable"
	}
	in.put(contactStatus, []byte(status))
}

// trimRegistration: the event has the client's URI as Username and the server's as
// Domain (res_pjsip_outbound_registration.c).
func trimRegistration(in *input) {
	in.put(0, in.get("ClientUri"))
	in.put(1, in.get("ServerUri"))
	in.put(2, []byte("PJSIP"))
}

// trimSIPRegistration: the event's Domain is the list's Host (chan_sip.c
// manager_show_registry).
func trimSIPRegistration(in *input) {
	in.sip = true
	in.put(1, in.get("Host"))
	in.put(2, []byte("SIP"))
	in.put(3, in.get("State"))
}
