package policy

import "strings"

// What a refusal calls by name, for whoever is to write the grant: applications and functions of Asterisk 1.8 to 22 that
// want one. Other names are text of the request.
var (
	shownApplications = strings.Fields(knownApplications)
	shownFunctions    = strings.Fields(knownFunctions)
)

const knownApplications = `AddQueueMember ADSIProg AELSub AGI AlarmReceiver AttendedTransfer AudioSocket Authenticate BackgroundDetect
	BlindTransfer BridgeAdd Broadcast CallCompletionCancel CallCompletionRequest CELGenUserEvent ChangeMonitor ChanIsAvail
	ChannelRedirect ChanSpy ClearHash ConfKick ContinueWhile DAHDIBarge DAHDIRAS DAHDIScan DAHDISendCallreroutingFacility
	DAHDISendKeypadFacility DBdeltree DeadAGI Dictate Directory DISA DumpChan EAGI Else ElseIf EndIf EndWhile Exec ExecIf
	ExecIfTime ExitIf ExitWhile ExtenSpy ExternalIVR Festival Flash FollowMe ForkCDR GetCPEID GosubIf GotoIf
	GotoIfTime HangupCauseClear IAX2Provision ICES If ImportVar Incomplete JabberJoin JabberLeave JabberSend
	JabberSendGroup JabberStatus JACK Log MacroExclusive MacroExit MacroIf MailboxExists MeetMeAdmin MeetMeChannelAdmin
	MeetMeCount MessageSend MinivmAccMess MinivmDelete MinivmGreet MinivmMWI MinivmNotify MinivmRecord MixMonitor Monitor
	Morsecode MP3Player MSet NBScat NoCDR ODBC_Commit ODBC_Rollback Originate OSPAuth OSPFinish OSPLookup OSPNext Page ParkAndAnnounce PauseMonitor
	PauseQueueMember PJSIPHangup PJSIPNotify PrivacyManager Proceeding Progress QueueLog QueueUpdate RaiseException Read
	ReadExten ReadFile RealTime RealTimeUpdate ReceiveFAX ReceiveMF ReceiveSF ReceiveText Record Reload RemoveQueueMember
	ResetCDR RetryDial Return SendFAX SendImage SendMF SendSF SendText SendURL Set SetAMAFlags SetCallerPres
	SetMusicOnHold Signal SIPAddHeader SIPDtmfMode SIPRemoveHeader SIPSendCustomINFO SLAStation SLATrunk SMS
	SoftHangup SpeechActivateGrammar SpeechBackground SpeechCreate SpeechDeactivateGrammar SpeechDestroy SpeechLoadGrammar
	SpeechProcessingSound SpeechStart SpeechUnloadGrammar StackPop StartMusicOnHold StasisBroadcast StopMixMonitor
	StopMonitor StopMusicOnHold StopPlayTones StoreDTMF StreamEcho System TestClient TestServer ToneScan Transfer TryExec
	TrySystem UnpauseMonitor UnpauseQueueMember UserEvent Verbose VMAuthenticate VMCount VMSayName VoiceMail
	VoiceMailMain VoiceMailPlayMsg WaitDigit WaitForCondition WaitForDigits WaitForNoise WaitForRing WaitForSignal
	WaitForTone WaitMusicOnHold WaitUntil While Zapateller`

const knownFunctions = `ABS AES_DECRYPT AES_ENCRYPT AGC AGENT AMI_CLIENT ARRAY AST_CONFIG AST_SORCERY AUDIOHOOK_INHERIT BASE64_DECODE
	BASE64_ENCODE BASENAME BLACKLIST BRIDGE_EXISTS CALENDAR_BUSY CALENDAR_EVENT CALENDAR_QUERY CALENDAR_QUERY_RESULT
	CALENDAR_WRITE CALLCOMPLETION CALLERPRES CDR_PROP CHANNELS CHANNEL_EXISTS CHECKSIPDOMAIN CONFBRIDGE
	CONFBRIDGE_CHANNELS CSV_QUOTE CUT DEC DELETE DENOISE DIALGROUP DIALPLAN_EXISTS DIGIT_SUM DIRNAME DUNDILOOKUP
	DUNDIQUERY DUNDIRESULT ENUMLOOKUP ENUMQUERY ENUMRESULT ENV EXCEPTION EXISTS EXPORT FAXOPT FEATURE FEATUREMAP FIELDNUM
	FIELDQTY FILTER FRAME_DROP FRAME_TRACE GEOLOC_PROFILE GLOBAL GLOBAL_DELETE GLOBAL_EXISTS GROUP_LIST GROUP_MATCH_COUNT
	HANGUPCAUSE_KEYS HASH HASHKEYS HOLD_INTERCEPT IAXPEER IAXVAR ICONV IF IFMODULE IFTIME IMPORT INC ISNULL JABBER_RECEIVE
	JABBER_STATUS JACK_HOOK JITTERBUFFER JSON_DECODE KEYPADHASH LEN LISTFILTER LOCAL LOCAL_PEEK LOCK LOG_GROUP LTRIM
	MAILBOX_EXISTS MASTER_CHANNEL MATH MAX MD5 MEETME_INFO MESSAGE MESSAGE_DATA MIN MINIVMACCOUNT MINIVMCOUNTER MIXMONITOR
	MUTEAUDIO PARK_GET_CHANNEL PASSTHRU PERIODIC_HOOK PITCH_SHIFT PJSIP_AOR PJSIP_CONTACT PJSIP_DIAL_CONTACTS
	PJSIP_DTMF_MODE PJSIP_ENDPOINT PJSIP_HEADERS PJSIP_HEADER_PARAM PJSIP_INHERITABLE_HEADER PJSIP_MEDIA_OFFER
	PJSIP_MOH_PASSTHROUGH PJSIP_PARSE_URI PJSIP_PARSE_URI_FROM PJSIP_RESPONSE_HEADER PJSIP_RESPONSE_HEADERS
	PJSIP_SEND_SESSION_REFRESH PJSIP_TRANSFER_HANDLING POP PUSH QUEUE_EXISTS QUEUE_GET_CHANNEL QUEUE_MEMBER_COUNT
	QUEUE_MEMBER_LIST QUEUE_MEMBER_PENALTY QUEUE_VARIABLES QUOTE RAND RECORDING_INFO REGEX REPLACE RTRIM SAYFILES SCRAMBLE
	SET SHA1 SHARED SHIFT SIPCHANINFO SIPPEER SIP_HEADERS SMDI_MSG SMDI_MSG_RETRIEVE SNMP SORT SPEECH SPEECH_ENGINE
	SPEECH_GRAMMAR SPEECH_RESULTS_TYPE SPEECH_SCORE SPEECH_TEXT SPRINTF SRVQUERY SRVRESULT STACK_PEEK STAT
	STIR_SHAKEN STIR_SHAKEN_ATTESTATION STRBETWEEN STRFTIME STRPTIME STRREPLACE SYSINFO TALK_DETECT TESTTIME TOLOWER
	TONE_DETECT TOUPPER TRIM TRYLOCK TXTCIDNAME UNLOCK UNSHIFT URIDECODE URIENCODE UUID VALID_EXTEN VARIABLE_EXISTS
	VERSION VMCOUNT VM_INFO`
