package present

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rule says of an event what its headers do not say. It is called with the lock held
// before the headers are read.
type rule func(p *Present, in *input)

var (
	yes       = []byte("Yes")
	no        = []byte("No")
	none      = []byte("")
	idle      = []byte("AGENT_IDLE")
	onCall    = []byte("AGENT_ONCALL")
	loggedOff = []byte("AGENT_LOGGEDOFF")
)

// ruleUp: it is up since the event came.
func ruleUp(_ *Present, in *input) { in.since = in.at.UnixNano() }

// ruleNew: a Uniqueid that an Originate chose (ChannelId) may come again.
func ruleNew(p *Present, in *input) {
	ruleUp(p, in)
	in.put(channelBridge, none)
	p.ended.forget(p.hash(in.get("Uniqueid")))
}

// ruleRename takes a channel's new name (channel.c ast_channel_masquerade up to 11).
func ruleRename(_ *Present, in *input) { in.put(channelName, in.get("Newname")) }

// ruleHangup ends what ends with a channel. Events about it still follow, and begin
// nothing.
func ruleHangup(p *Present, in *input) {
	id := in.get("Uniqueid")
	p.ended.add(p.hash(id))
	for o := range p.ownedBy(id) {
		if o.kind != Agent { // AgentLogoff says it
			p.end(o, fromEvent)
			p.recount(o)
		}
	}
}

// ownedBy yields the objects that depend on the channel id, also while they end.
func (p *Present) ownedBy(id []byte) func(func(*object) bool) {
	return func(yield func(*object) bool) {
		for i := len(p.owned[string(id)]) - 1; i >= 0; i-- {
			if all := p.owned[string(id)]; i < len(all) && !yield(all[i]) {
				return
			}
		}
	}
}

// ruleEnter: a channel that enters a bridge waits in no queue any more, though a
// caller whom Action Bridge takes gives no QueueCallerLeave (app_queue.c publishes it
// for a channel that is a zombie by then). It may take another's place, such as that
// of a Local channel that is optimised away. An agent talks in any bridge but the
// pool's own (app_agent_pool.c bridge_agent_hold_new).
func ruleEnter(p *Present, in *input) {
	in.put(channelBridge, in.get("BridgeUniqueid"))
	p.noteEnter(in)
	if swapped := in.get("SwapUniqueid"); len(swapped) > 0 {
		for o := range p.ownedBy(swapped) {
			p.move(o, in)
		}
	}
	status := onCall
	if string(in.get("BridgeTechnology")) == "holding_bridge" {
		status = idle
	}
	for o := range p.ownedBy(in.get("Uniqueid")) {
		switch o.kind {
		case Caller:
			p.end(o, fromEvent)
			p.recount(o)
		case Agent:
			p.stamp(o, 1<<agentStatus)
			p.setField(o, agentStatus, status, in.at, fromEvent)
		}
	}
}

// noteEnter remembers a BridgeEnter while a list is under way that may have the
// channel as a caller still, or another by the name of the one whose place it took.
// More than are remembered have such lists asked for again.
func (p *Present) noteEnter(in *input) {
	if !p.isOpen(Queues) && !p.isOpen(ParkedCalls) && !p.isOpen(Participants) {
		clear(p.entered)
		clear(p.swapped)
		return
	}
	if len(p.entered) >= maxRecent {
		for _, l := range []List{Queues, ParkedCalls, Conferences} {
			p.want(Ask{List: l}, p.now)
		}
		return
	}
	p.entered[p.hash(in.get("Uniqueid"))] = p.events
	if swapped := in.get("SwapUniqueid"); len(swapped) > 0 {
		p.swapped[p.hash(swapped)] = p.events
	}
}

// ruleLeave: who leaves a bridge is in none, unless it has entered another since.
func ruleLeave(p *Present, in *input) {
	o := p.index[Channel][string(in.get("Uniqueid"))]
	if o != nil && o.life == alive {
		if held, _ := o.vals.field(channelBridge); !bytes.Equal(held, in.get("BridgeUniqueid")) {
			return
		}
	}
	in.put(channelBridge, none)
}

// inBlock returns what a channel's block says of the i'th field of an object that
// depends on the channel, nil if it is not about that.
func inBlock(in *input, k Kind, i int) []byte {
	name := strings.TrimPrefix(kinds[k].fields[i].name, "Parkee")
	switch name {
	case "Uniqueid", "Channel", "CallerIDNum", "CallerIDName", "ConnectedLineNum", "ConnectedLineName", "Linkedid":
		if value := in.get(name); value != nil {
			return text(value, in.charset, &in.scratch)
		}
	}
	return nil
}

// ruleCallerID: who waits, is parked or confers is called otherwise from now on.
func ruleCallerID(p *Present, in *input) {
	for o := range p.ownedBy(in.get("Uniqueid")) {
		if o.kind == Agent {
			continue
		}
		for i := range kinds[o.kind].fields {
			if value := inBlock(in, o.kind, i); value != nil {
				p.stamp(o, 1<<i)
				p.setField(o, i, value, in.at, fromEvent)
			}
		}
	}
}

// move has a parked call or a participant go on as the channel that entered in its
// place.
func (p *Present) move(o *object, in *input) {
	if o.kind != Parked && o.kind != Participant {
		return
	}
	other := input{headers: in.headers, at: in.at, charset: in.charset, since: o.since, until: o.until}
	held := o.vals
	for i := range kinds[o.kind].fields {
		var value []byte
		var has bool
		value, has, held = held.next()
		if entered := inBlock(in, o.kind, i); entered != nil {
			value, has = entered, true
		}
		other.vals = appendField(other.vals, value, has)
	}
	kind := o.kind
	p.end(o, fromEvent)
	place, _ := other.vals.field(0)
	id, _ := other.vals.field(1)
	if !other.index([][]byte{place, id}) {
		return
	}
	to := p.index[kind][string(other.idBuf)]
	if to == nil || to.life != alive {
		to = p.begin(kind, to, &other, fromEvent)
	}
	if to != nil {
		p.stamp(to, 1<<len(kinds[kind].fields)-1)
	}
}

// setField sets one field of o. It is no sign that o is there still.
func (p *Present) setField(o *object, field int, value []byte, at time.Time, source string) {
	if held, has := o.vals.field(field); has && bytes.Equal(held, value) {
		return
	}
	p.scratch = o.vals.with(p.scratch[:0], field, len(kinds[o.kind].fields), value)
	if p.store(o, p.scratch) && o.life == alive {
		p.touched(o, at, source)
	}
}

// ruleMember: 22 leaves the reason of an unpause in the event, and not in the list.
func ruleMember(_ *Present, in *input) {
	if string(in.get("Paused")) == "0" {
		in.put(memberReason, none)
	}
}

// rulePark makes points of what counts up and down.
func rulePark(_ *Present, in *input) { trimParked(in) }

// ruleOpen: a conference begins unlocked and with sound (app_confbridge.c
// join_conference_bridge).
func ruleOpen(_ *Present, in *input) {
	in.put(1, no)
	in.put(2, no)
}

// ruleClosed: nobody takes part in a conference that has ended.
func ruleClosed(p *Present, in *input) {
	if !in.indexOf(in.get("Conference")) {
		return
	}
	all := slices.Clone(p.lists[Participants].objects)
	for _, o := range all {
		if firstID(Participant, o.index) == string(in.idBuf) {
			p.end(o, fromEvent)
		}
	}
}

func ruleMuted(_ *Present, in *input)   { in.put(participantMute, yes) }
func ruleUnmuted(_ *Present, in *input) { in.put(participantMute, no) }

func ruleLogin(_ *Present, in *input) { in.put(agentStatus, idle) }

func ruleLogoff(_ *Present, in *input) {
	in.put(agentStatus, loggedOff)
	in.put(agentChannel, none)
	in.put(agentUniqueid, none)
}

// ruleExtension: a hint that is removed or whose device is says so by a negative
// Status (pbx.h ast_extension_states).
func ruleExtension(_ *Present, in *input) {
	if status := in.get("Status"); len(status) > 0 && status[0] == '-' {
		in.effect = ends
	}
	trimExtension(in)
}

// ruleContact: a contact that its list does not know, such as one from pjsip.conf,
// begins only anew.
func ruleContact(p *Present, in *input) {
	switch status := in.get("ContactStatus"); string(status) {
	case "Removed":
		in.effect = ends
	case "Created", "NonQualified": // what a new one is, by release
	default:
		if in.indexOf(in.get("AOR"), in.get("URI")) && p.unlisted.holds(p.hash(in.idBuf)) {
			in.effect = changes
		}
	}
}

// rulePeer: a peer of chan_sip is a contact by the name that events give it. A peer
// of PJSIP has contacts of its own.
func rulePeer(_ *Present, in *input) {
	peer := in.get("Peer")
	name, is := bytes.CutPrefix(peer, []byte("SIP/"))
	in.sip, in.skip = true, !is
	in.put(0, name)
	in.put(1, peer)
	in.put(contactStatus, in.get("PeerStatus"))
}

// ruleRegistry takes the registrations of those channel drivers whose list can end
// them.
func ruleRegistry(_ *Present, in *input) {
	switch string(in.get("ChannelType")) {
	case "PJSIP":
	case "SIP":
		in.sip = true
	default:
		in.skip = true
	}
}

// number reads a whole number, 0 if it is none.
func number(b []byte) int {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' || n > 1<<40 {
			return 0
		}
		n = 10*n + int(c-'0')
	}
	return n
}

func appendNumber(dst []byte, n int) []byte { return strconv.AppendInt(dst, int64(n), 10) }
