package present

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// List is one list Action of Asterisk's.
type List uint8

// The lists, in the order in which they are asked for.
const (
	Channels List = iota
	Bridges
	Queues
	ParkedCalls
	Conferences
	Participants // of one conference: it has a scope
	Agents
	Extensions
	Presences
	Devices
	Contacts
	Registrations
	SIPPeers         // chan_sip, up to 20
	SIPRegistrations // likewise
	Lists            // how many there are
)

// item is an event of a list and the kind that it tells of.
type item struct {
	event string
	kind  Kind
	trim  trim // what the item says in other words; nil: nothing
}

// list is what there is to know of a List (reference: the sources that
// correlation/rules.go names).
type list struct {
	action   string
	scope    string // the Action's header for a scope, "" if it takes none
	items    []item
	complete string
	// empty are the Messages of the Errors with which Asterisk says that there are
	// none: an empty list, which ends what is gone.
	empty []string
}

var lists = [Lists]list{
	Channels: {action: "CoreShowChannels", complete: "CoreShowChannelsComplete", items: []item{{"CoreShowChannel", Channel, trimChannel}}},
	Bridges:  {action: "BridgeList", complete: "BridgeListComplete", items: []item{{"BridgeListItem", Bridge, nil}}},
	Queues: {action: "QueueStatus", scope: "Queue", complete: "QueueStatusComplete", items: []item{
		{"QueueParams", Queue, nil}, {"QueueMember", Member, trimMember}, {"QueueEntry", Caller, trimCaller},
	}},
	ParkedCalls: {action: "ParkedCalls", complete: "ParkedCallsComplete", items: []item{{"ParkedCall", Parked, trimParked}}},
	// app_confbridge.c action_confbridgelistrooms, action_confbridgelist
	Conferences: {
		action: "ConfbridgeListRooms", complete: "ConfbridgeListRoomsComplete",
		items: []item{{"ConfbridgeListRooms", Conference, nil}}, empty: []string{"No active conferences."},
	},
	Participants: {
		action: "ConfbridgeList", scope: "Conference", complete: "ConfbridgeListComplete",
		items: []item{{"ConfbridgeList", Participant, nil}},
		empty: []string{"No active conferences.", "No Conference by that name found."},
	},
	Agents: {action: "Agents", complete: "AgentsComplete", items: []item{{"Agents", Agent, trimAgent}}},
	// extension_state.c action_extensionstatelist
	Extensions: {
		action: "ExtensionStateList", complete: "ExtensionStateListComplete",
		items: []item{{"ExtensionStatus", Extension, trimExtension}}, empty: []string{"No dialplan hints are available"},
	},
	Presences: {action: "PresenceStateList", complete: "PresenceStateListComplete", items: []item{{"PresenceStateChange", Presence, nil}}},
	Devices:   {action: "DeviceStateList", complete: "DeviceStateListComplete", items: []item{{"DeviceStateChange", Device, nil}}},
	// pjsip_options.c ami_show_contacts
	Contacts: {
		action: "PJSIPShowContacts", complete: "ContactListComplete",
		items: []item{{"ContactList", Contact, trimContact}}, empty: []string{"No Contacts found"},
	},
	// AuthDetail, which follows with the password in clear, is no item of ours.
	Registrations: {
		action: "PJSIPShowRegistrationsOutbound", complete: "OutboundRegistrationDetailComplete",
		items: []item{{"OutboundRegistrationDetail", Registration, trimRegistration}},
	},
	SIPPeers: {action: "SIPpeers", complete: "PeerlistComplete", items: []item{{"PeerEntry", Contact, trimPeer}}},
	SIPRegistrations: {
		action: "SIPshowregistry", complete: "RegistrationsComplete",
		items: []item{{"RegistryEntry", Registration, trimSIPRegistration}},
	},
}

// Ask is a list to be asked for.
type Ask struct {
	List  List
	Scope string // the queue or the conference, as text; "" for all
}

// Action returns the name of the Action.
func (a Ask) Action() string { return lists[a.List].action }

// errNoText is a name whose bytes are no text, so that what Asterisk has is not known.
var errNoText = errors.New("a name that is no text in the charset")

// Header returns the header that narrows the list, in the bytes of a server of c; "" if none does.
func (a Ask) Header(c frames.Charset) (name string, value []byte, err error) {
	if a.Scope == "" {
		return "", nil, nil
	}
	value, err = c.AppendText(nil, a.Scope)
	if err != nil || strings.ContainsRune(a.Scope, utf8.RuneError) {
		return "", nil, errNoText
	}
	return lists[a.List].scope, value, nil
}

// emptyBy reports whether message is how Asterisk says in an Error that the list
// is empty. About fifty of its messages end in a line feed.
func (l List) emptyBy(message string) bool {
	return slices.Contains(lists[l].empty, strings.TrimSpace(message))
}

// kinds returns the kinds that l tells of.
func (l List) kinds() (s Set) {
	for _, i := range lists[l].items {
		s |= SetOf(i.kind)
	}
	return s
}

// listOf returns the list that tells of an object: the first with its kind, but
// for what only chan_sip's knows.
func listOf(k Kind, sip bool) List {
	switch {
	case sip && k == Contact:
		return SIPPeers
	case sip && k == Registration:
		return SIPRegistrations
	}
	return listsOf[k]
}

// listsOf is the list of each kind; Lists if none has it.
var listsOf = func() (of [Kinds]List) {
	for k := range Kinds {
		for of[k] < Lists && !of[k].kinds().Has(k) {
			of[k]++
		}
	}
	return of
}()
