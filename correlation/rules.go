package correlation

import (
	"bytes"
	"slices"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// trait is how the reply to an Action departs from a single Response or from
// the modern list: Response
// Success with `EventList: start`, items, completion event (manager.c
// astman_send_listack and astman_send_list_complete, Asterisk 13.2 on).
type trait uint16

const (
	// oldForm: before 13.2 neither the Response nor the completion event has an
	// EventList header, so that only the Action's name tells that it is a list.
	oldForm trait = 1 << iota
	// emptyIsPlain: an empty list is a Success without EventList and without
	// completion event. Since 13.2 the missing header says so for any list;
	// before, only the Message does.
	emptyIsPlain
	// itemsWithoutActionID: the items carry no ActionID. All output of one
	// Action is contiguous, so they belong to the list that is running.
	itemsWithoutActionID
	// errorThenComplete: an Error in the middle of the list is followed by the
	// completion event, where other Actions stop at the Error.
	errorThenComplete
	// single: exactly one event follows a Success, with no EventList at all.
	single
	// noResponse: an event is all of the answer; only an Error is a Response.
	noResponse
	// attempt: the first Success, with a Message of its own, says that it will
	// be tried, a second Response how it went.
	attempt
	// moreErrors: an Error may be followed by more Responses to the same
	// request, and only the first counts.
	moreErrors
	// fenced: nothing in the reply says that it is whole. The Action is written
	// between two Pings with its own ActionID (see Fenced) and ends with the
	// second Pong, an Error included; the Pongs are no part of the reply.
	fenced
	// plainText: the answer is raw text with neither Response nor ActionID, and
	// blank lines in it. What comes between the Pongs is taken for Output.
	plainText
	// regexList: a list if the Channel asked for is a /regex/, else a plain
	// acknowledgement.
	regexList
	// literalPrivilege: the items carry `Privilege: Call`, written by hand,
	// where list items have no Privilege and async events end theirs in ",all".
	literalPrivilege
)

// rule says which events answer one Action.
type rule struct {
	action   string
	items    []string // names of the events before the last
	complete string   // name of the event that ends the list
	traits   trait
	source   string // file and function of Asterisk that write the reply
}

// rules has every Action of Asterisk 1.8 to 23 whose reply is anything but one
// Response. It leaves out those that change the session itself, which the bridge
// always refuses: Login, Logoff (its one Response says Goodbye), Challenge,
// Filter, Events (no Response at all with brokeneventsaction) and WaitEvent,
// whose events carry no ActionID and belong to the session. An Action that is not
// here follows the generic rule: `EventList: start` makes a list, which ends with
// the event that has `EventList: Complete`; anything else is a single Response.
// So are those whose effect is an async event, with the ActionID or without:
// AGI, PJSIPQualify, SIPqualifypeer, UserEvent, which copies all headers of the
// request into its event, and Originate, whose OriginateResponse Call.WaitComplete
// waits for. The number of items that a list announces is not relied upon: of
// several lists it counts something else.
var rules = []rule{
	{"Agents", []string{"Agents"}, "AgentsComplete", oldForm, "apps/app_agent_pool.c action_agents"},
	{"BridgeInfo", []string{"BridgeInfoChannel"}, "BridgeInfoComplete", oldForm, "main/manager_bridges.c manager_bridge_info"},
	{"BridgeList", []string{"BridgeListItem"}, "BridgeListComplete", oldForm, "main/manager_bridges.c manager_bridges_list"},
	{"BridgeTechnologyList", []string{"BridgeTechnologyListItem"}, "BridgeTechnologyListComplete", oldForm, "main/bridge.c manager_bridge_tech_list"},
	{"ConfbridgeList", []string{"ConfbridgeList"}, "ConfbridgeListComplete", 0, "apps/app_confbridge.c action_confbridgelist"},
	{"ConfbridgeListRooms", []string{"ConfbridgeListRooms"}, "ConfbridgeListRoomsComplete", 0, "apps/app_confbridge.c action_confbridgelistrooms"},
	{"CoreShowChannelMap", []string{"CoreShowChannelMap"}, "CoreShowChannelMapComplete", 0, "main/manager.c action_coreshowchannelmap"},
	{"CoreShowChannels", []string{"CoreShowChannel"}, "CoreShowChannelsComplete", 0, "main/manager.c action_coreshowchannels"},
	{"DAHDIShowChannels", []string{"DAHDIShowChannels"}, "DAHDIShowChannelsComplete", oldForm, "channels/chan_dahdi.c action_dahdishowchannels"},
	{"DAHDIShowStatus", []string{"DAHDIShowStatus"}, "DAHDIShowStatusComplete", 0, "channels/chan_dahdi.c action_dahdishowstatus"},
	{"DataGet", nil, "DataGet Tree", noResponse, "main/data.c manager_data_get (up to 14)"},
	{"DBGet", []string{"DBGetResponse"}, "DBGetComplete", oldForm, "main/db.c manager_dbget"},
	{"DBGetTree", []string{"DBGetTreeResponse"}, "DBGetTreeComplete", 0, "main/db.c manager_db_tree_get"},
	{"DeviceStateList", []string{"DeviceStateChange"}, "DeviceStateListComplete", 0, "res/res_manager_devicestate.c action_devicestatelist"},
	{"ExtensionStateList", []string{"ExtensionStatus"}, "ExtensionStateListComplete", 0, "main/extension_state.c action_extensionstatelist"},
	{"FAXSession", nil, "FAXSession", single | fenced, "res/res_fax.c manager_fax_session (the event may be absent)"},
	{"FAXSessions", []string{"FAXSessionsEntry"}, "FAXSessionsComplete", 0, "res/res_fax.c manager_fax_sessions"},
	{"FAXStats", nil, "FAXStats", single, "res/res_fax.c manager_fax_stats"},
	{"Hangup", []string{"ChannelHungup"}, "ChannelsHungupListComplete", regexList, "main/manager.c action_hangup"},
	{"IAXnetstats", nil, "", fenced | plainText, "channels/chan_iax2.c manager_iax2_show_netstats"},
	{"IAXpeerlist", []string{"PeerEntry"}, "PeerlistComplete", oldForm, "channels/chan_iax2.c manager_iax2_show_peer_list"},
	{"IAXpeers", []string{"PeerEntry"}, "PeerlistComplete", itemsWithoutActionID, "channels/chan_iax2.c manager_iax2_show_peers"},
	{"IAXregistry", []string{"RegistryEntry"}, "RegistrationsComplete", 0, "channels/chan_iax2.c manager_iax2_show_registry"},
	{"JabberSend", nil, "", attempt, "res/res_xmpp.c manager_jabber_send"},
	{"MeetmeList", []string{"MeetmeList"}, "MeetmeListComplete", 0, "apps/app_meetme.c action_meetmelist"},
	{"MeetmeListRooms", []string{"MeetmeListRooms"}, "MeetmeListRoomsComplete", 0, "apps/app_meetme.c action_meetmelistrooms"},
	{"ModuleLoad", nil, "", moreErrors, "main/manager.c manager_moduleload"},
	{"MWIGet", []string{"MWIGet"}, "MWIGetComplete", 0, "res/res_mwi_external_ami.c mwi_mailbox_get"},
	{"ParkedCalls", []string{"ParkedCall"}, "ParkedCallsComplete", oldForm, "res/parking/parking_manager.c manager_parking_status"},
	{"Parkinglots", []string{"Parkinglot"}, "ParkinglotsComplete", oldForm, "res/parking/parking_manager.c manager_parking_lot_list"},
	{"PJSIPHangup", []string{"ChannelHungup"}, "ChannelsHungupListComplete", regexList, "channels/chan_pjsip.c pjsip_action_hangup"},
	{"PJSIPShowAors", []string{"AorList"}, "AorListComplete", 0, "res/res_pjsip/location.c ami_show_aors"},
	{"PJSIPShowAuths", []string{"AuthList"}, "AuthListComplete", 0, "res/res_pjsip/config_auth.c ami_show_auths"},
	{"PJSIPShowContacts", []string{"ContactList"}, "ContactListComplete", 0, "res/res_pjsip/pjsip_options.c ami_show_contacts"},
	{"PJSIPShowEndpoint", []string{"EndpointDetail", "AorDetail", "AuthDetail", "TransportDetail", "IdentifyDetail", "ContactStatusDetail"}, "EndpointDetailComplete", errorThenComplete, "res/res_pjsip/pjsip_configuration.c ami_show_endpoint"},
	{"PJSIPShowEndpoints", []string{"EndpointList"}, "EndpointListComplete", 0, "res/res_pjsip/pjsip_configuration.c ami_show_endpoints"},
	{"PJSIPShowMaintenance", []string{"PJSIPMaintenanceStatus"}, "PJSIPMaintenanceStatusComplete", 0, "res/res_pjsip_maintenance.c ami_show_maintenance"},
	{"PJSIPShowRegistrationInboundContactStatuses", []string{"ContactStatusDetail"}, "ContactStatusDetailComplete", 0, "res/res_pjsip_registrar.c ami_show_registration_contact_statuses"},
	{"PJSIPShowRegistrationsInbound", []string{"InboundRegistrationDetail"}, "InboundRegistrationDetailComplete", 0, "res/res_pjsip_registrar.c ami_show_registrations"},
	{"PJSIPShowRegistrationsOutbound", []string{"OutboundRegistrationDetail", "AuthDetail"}, "OutboundRegistrationDetailComplete", 0, "res/res_pjsip_outbound_registration.c ami_show_outbound_registrations"},
	{"PJSIPShowResourceLists", []string{"ResourceListDetail"}, "ResourceListDetailComplete", itemsWithoutActionID, "res/res_pjsip_pubsub.c ami_show_resource_lists (no ActionID up to 13.1)"},
	{"PJSIPShowSubscriptionsInbound", []string{"InboundSubscriptionDetail"}, "InboundSubscriptionDetailComplete", 0, "res/res_pjsip_pubsub.c ami_show_subscriptions_inbound"},
	{"PJSIPShowSubscriptionsOutbound", []string{"OutboundSubscriptionDetail"}, "OutboundSubscriptionDetailComplete", 0, "res/res_pjsip_pubsub.c ami_show_subscriptions_outbound"},
	{"PresenceStateList", []string{"PresenceStateChange"}, "PresenceStateListComplete", 0, "res/res_manager_presencestate.c action_presencestatelist"},
	{"PRIDebugSet", nil, "", moreErrors, "channels/chan_dahdi.c action_pri_debug_set"},
	{"PRIShowSpans", []string{"PRIShowSpans"}, "PRIShowSpansComplete", oldForm, "channels/chan_dahdi.c action_prishowspans"},
	{"Queues", nil, "", fenced | plainText, "apps/app_queue.c manager_queues_show (up to 14)"},
	{"QueueStatus", []string{"QueueParams", "QueueMember", "QueueEntry"}, "QueueStatusComplete", oldForm, "apps/app_queue.c manager_queues_status"},
	{"QueueSummary", []string{"QueueSummary"}, "QueueSummaryComplete", oldForm, "apps/app_queue.c manager_queues_summary"},
	{"ShowDialPlan", []string{"ListDialplan"}, "ShowDialPlanComplete", 0, "main/pbx.c manager_show_dialplan"},
	{"SIPpeers", []string{"PeerEntry"}, "PeerlistComplete", 0, "channels/chan_sip.c manager_sip_show_peers"},
	{"SIPpeerstatus", []string{"PeerStatus"}, "SIPpeerstatusComplete", oldForm | literalPrivilege, "channels/chan_sip.c manager_sip_peer_status"},
	{"SIPshowregistry", []string{"RegistryEntry"}, "RegistrationsComplete", 0, "channels/chan_sip.c manager_show_registry"},
	{"SKINNYdevices", []string{"DeviceEntry"}, "DevicelistComplete", 0, "channels/chan_skinny.c manager_skinny_show_devices"},
	{"SKINNYlines", []string{"LineEntry"}, "LinelistComplete", 0, "channels/chan_skinny.c manager_skinny_show_lines"},
	{"Status", []string{"Status"}, "StatusComplete", oldForm | literalPrivilege, "main/manager.c action_status"},
	{"VoicemailBoxSummary", []string{"VoicemailBoxDetail"}, "VoicemailBoxDetailComplete", emptyIsPlain, "apps/app_voicemail.c manager_get_mailbox_summary"},
	{"VoicemailUsersList", []string{"VoicemailUserEntry"}, "VoicemailUserEntryComplete", oldForm | emptyIsPlain, "apps/app_voicemail.c manager_list_voicemail_users"},
	{"VoicemailUserStatus", []string{"VoicemailUserDetail"}, "VoicemailUserDetailComplete", emptyIsPlain, "apps/app_voicemail.c manager_status_voicemail_user"},
}

// generic is the rule of every Action that rules does not name.
var generic rule

// noVoicemailUsers begins the Message of an emptyIsPlain Success that a server
// before 13.2 may also send for a list that is not empty.
const noVoicemailUsers = "There are no voicemail users"

// attempting begins the Message of the first of two Responses.
const attempting = "Attempting to send"

// ruleFor returns the rule of c. Asterisk compares Action names ignoring case.
func ruleFor(c *Call) *rule {
	for i := range rules {
		r := &rules[i]
		if len(r.action) != len(c.Action) || !strings.EqualFold(r.action, c.Action) {
			continue
		}
		if r.has(regexList) && !c.Regex {
			break
		}
		return r
	}
	return &generic
}

func (r *rule) has(t trait) bool { return r.traits&t != 0 }

// item says whether an event of that name is an item of r's list.
func (r *rule) item(name []byte) bool {
	return slices.ContainsFunc(r.items, func(item string) bool { return item == string(name) })
}

// last says whether f ends the list of r: by its name, or because it says so.
func (r *rule) last(f *frames.Frame) bool {
	return r.complete != "" && string(f.Name()) == r.complete || equalFold(f.Get("EventList"), "Complete")
}

// announces says whether the Response f, no Error and without EventList, says in
// words that events follow, as modules do that use astman_send_ack for a list of
// theirs: "Device list will follow". Asterisk's own "Command output follows" has
// its output in it.
func announces(f *frames.Frame) bool {
	return bytes.Contains(bytes.ToLower(f.Get("Message")), []byte("follow")) && !hasOutput(f)
}

// goesOn says whether events follow a Success that has no EventList header.
func (r *rule) goesOn(oldLists bool, message []byte) bool {
	switch {
	case r.has(single):
		return true
	case !oldLists || !r.has(oldForm):
		return false
	}
	return !r.has(emptyIsPlain) || !bytes.HasPrefix(message, []byte(noVoicemailUsers))
}
