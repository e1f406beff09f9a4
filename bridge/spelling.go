package bridge

import "strings"

// actionNames are the Actions of Asterisk 1.8 to 23 as their modules register
// them.
const actionNames = `
	AbsoluteTimeout AgentLogoff Agents AGI AOCMessage Atxfer BlindTransfer Bridge BridgeDestroy BridgeInfo
	BridgeKick BridgeList BridgeTechnologyList BridgeTechnologySuspend BridgeTechnologyUnsuspend CancelAtxfer
	Challenge ChangeMonitor Command ConfbridgeKick ConfbridgeList ConfbridgeListRooms ConfbridgeLock
	ConfbridgeMute ConfbridgeSetSingleVideoSrc ConfbridgeStartRecord ConfbridgeStopRecord ConfbridgeUnlock
	ConfbridgeUnmute ControlPlayback CoreSettings CoreShowChannelMap CoreShowChannels CoreStatus CreateConfig
	DAHDIDialOffhook DAHDIDNDoff DAHDIDNDon DAHDIHangup DAHDIRestart DAHDIShowChannels DAHDIShowStatus
	DAHDITransfer DataGet DBDel DBDelTree DBGet DBGetTree DBPut DeviceStateList DialplanExtensionAdd
	DialplanExtensionRemove Events ExtensionState ExtensionStateList FAXSession FAXSessions FAXStats Filter
	GetConfig GetConfigJSON Getvar Hangup IAXnetstats IAXpeerlist IAXpeers IAXregistry JabberSend ListCategories
	ListCommands LocalOptimizeAway LoggerRotate Login Logoff MailboxCount MailboxStatus MeetmeList
	MeetmeListRooms MeetmeMute MeetmeUnmute MessageSend MixMonitor MixMonitorMute ModuleCheck ModuleLoad Monitor
	MuteAudio MWIDelete MWIGet MWIUpdate Originate Park ParkedCalls Parkinglots PauseMonitor Ping PJSIPHangup
	PJSIPNotify PJSIPQualify PJSIPRegister PJSIPSetMaintenance PJSIPShowAors PJSIPShowAuths PJSIPShowContacts
	PJSIPShowEndpoint PJSIPShowEndpoints PJSIPShowMaintenance PJSIPShowRegistrationInboundContactStatuses
	PJSIPShowRegistrationsInbound PJSIPShowRegistrationsOutbound PJSIPShowResourceLists
	PJSIPShowSubscriptionsInbound PJSIPShowSubscriptionsOutbound PJSIPUnregister PlayDTMF PlayMF PresenceState
	PresenceStateList PRIDebugFileSet PRIDebugFileUnset PRIDebugSet PRIShowSpans QueueAdd
	QueueChangePriorityCaller QueueLog QueueMemberRingInUse QueuePause QueuePenalty QueueReload QueueRemove
	QueueReset QueueRule Queues QueueStatus QueueSummary QueueWithdrawCaller Redirect Reload SendFlash SendText
	Setvar ShowDialPlan SIPnotify SIPpeers SIPpeerstatus SIPqualifypeer SIPshowpeer SIPshowregistry
	SKINNYdevices SKINNYlines SKINNYshowdevice SKINNYshowline SorceryMemoryCacheExpire
	SorceryMemoryCacheExpireObject SorceryMemoryCachePopulate SorceryMemoryCacheStale
	SorceryMemoryCacheStaleObject Status StopMixMonitor StopMonitor UnpauseMonitor UpdateConfig UserEvent
	VoicemailBoxSummary VoicemailForward VoicemailMove VoicemailRefresh VoicemailRemove VoicemailUsersList
	VoicemailUserStatus WaitEvent
`

// canonical returns action as Asterisk spells it, or action itself if it is
// none that is known.
func canonical(action string) string {
	for name := range strings.FieldsSeq(actionNames) {
		if strings.EqualFold(name, action) {
			return name
		}
	}
	return action
}
