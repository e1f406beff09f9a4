package policy

import "testing"

type refused struct{ action, headers, want string }

func wantEach(t *testing.T, all []refused) {
	t.Helper()
	p := testPolicy(t, "", "", "")
	for _, r := range all {
		wantRule(t, p, r.action, r.headers, r.want)
	}
}

// Asterisk takes quotes and backslashes out of a Variable, an argument and a caller's name: what they
// keep apart is an expression then.
func TestPolicy_AnExpressionIsOneWithoutQuotes(t *testing.T) {
	wantEach(t, []refused{
		{"Originate", `Variable: CAMPAIGN=^\{X}`, "default Originate:EVAL"},
		{"Originate", `Variable: CAMPAIGN=^"{"X}`, "default Originate:EVAL"},
		{"Originate", `Variable: CAMPAIGN="^"\{X}`, "default Originate:EVAL"},
		{"Originate", `CallerID: "x^\{X}" <1>`, "default Originate:EVAL"},
		{"Originate", "Application: Gosub\nData: load,x,1(^\\{X})", "default Originate:EVAL"},
		{"Originate", "Application: Gosub\nData: load,x,1($\\{X})", "default Originate:EVAL"},
		{"Originate", "Application: NoOp\nData: \"$\"[1]", "default Originate:EVAL"},
		{"Originate", `Variable: $\{X}=1`, "default Originate:EVAL"},
		{"QueueAdd", "MemberName: ^{X}", "default QueueAdd:EVAL"}, // MEMBERNAME of setinterfacevar
		{"QueueAdd", "Interface: Local/^{X}@load", "default QueueAdd:EVAL"},
		{"Park", "TimeoutChannel: Local/^{X}@load", "default Park:EVAL"},
		{"Originate", `Variable: RATE=5\, "a ^ b" {c}`, ""},
		{"Originate", `CallerID: "O\"Neill ^" <1>`, ""},
		{"Setvar", "Variable: X\nValue: $ {x} \"a\" ^ [1]", ""},
		{"QueueAdd", "MemberName: Doe ^ John", ""},
	})
}

// The database ignores case where it looks for all of a family (db.c gettree_stmt: LIKE), and Asterisk
// believes what it finds of its own there: contacts, and the files of its cache, which it deletes.
func TestPolicy_TheDatabasesOwnFamilies(t *testing.T) {
	wantEach(t, []refused{
		{"DBPut", "Family: registrar/contact", "default DBPut:Family"},
		{"DBPut", "Family: Registrar/contact", "default DBPut:Family"},
		{"DBPut", "Family: QUEUE", "default DBPut:Family"},
		{"DBPut", "Family: sip/Registry", "default DBPut:Family"},
		{"DBPut", "Family: MediaCache", "default DBPut:Family"},
		{"DBPut", "Family: mediacache", "default DBPut:Family"},
		{"DBPut", "Family: 0123456789abcdef0123456789ABCDEF01234567", "default DBPut:Family"},
		{"DBPut", "Family: 0123456789abcdef0123456789abcdef0123456", ""},
		{"DBPut", "Family: CF", ""},
		{"DBPut", "Family: siphon/x", ""},
		// What holds secrets: the key of DUNDi, and what telephones signed for subscriptions.
		{"DBGet", "Family: dundi\nKey: secret", "default DBGet:Family"},
		{"DBGet", "Family: subscription_persistence/subscription_persistence", "default DBGet:Family"},
		{"DBGet", "Family: registrar/contact", ""},
		{"DBGet", "Family: CF", ""},
		{"DBGetTree", "Family: DUNDI", "default DBGetTree:Family"},
		{"DBGetTree", "Family: dund_", "default DBGetTree:Family"},
		{"DBGetTree", "Family: d%", "default DBGetTree:Family"},
		{"DBGetTree", "Family: Subscription-persistence", ""},
		{"DBGetTree", "", "default DBGetTree:Family"},
		{"DBGetTree", "Family:", "default DBGetTree:Family"},
		{"DBGetTree", "Family: CF\nFamily:", "default DBGetTree:Family"},
		{"DBGetTree", "Family: my_app/x", ""},
		{"DBGetTree", "Family: CF\nKey: a%", ""},
	})
}

// However a call gets to an extension, that holds nothing that a shell would read.
func TestPolicy_NoWayToAnExtensionOfAShell(t *testing.T) {
	all := []refused{
		{"Originate", "PreDialGoSub: load,1`id`,1", "default Originate:PreDialGoSub"},
		{"Originate", `PreDialGoSub: load,s,1("a",$b)`, ""},
		{"Originate", "Application: Dial\nData: PJSIP/1,9,tF(load^100^1)b(pre^s^1(a,b))", ""},
		{"Originate", "Application: Queue\nData: sales,F(load^1`id`^1)", "default Originate:Queue"},
		{"Originate", "Application: Queue\nData: sales,tF(load^100^1)", ""},
		{"Originate", "Application: Bridge\nData: PJSIP/1,F(load^1`id`^1)", "default Originate:Bridge"},
		{"Originate", "Application: Bridge\nData: PJSIP/1,xF(load^100^1)", ""},
		{"Originate", "Application: Park\nData: default,c(load,1$(id),1)", "default Originate:Park"},
		{"Originate", "Application: Park\nData: default,sc(load,100,1)", ""},
		{"Setvar", "Variable: GOTO_ON_BLINDXFR\nValue: load^1`id`^1", "default Setvar:GOTO_ON_BLINDXFR"},
		{"Setvar", "Variable: GOTO_ON_BLINDXFR\nValue: load^1(`id`^1", "default Setvar:GOTO_ON_BLINDXFR"}, // no arguments
		{"Setvar", "Variable: CHANNEL(after_bridge_goto)\nValue: load,1(`id`,1", "default Setvar:CHANNEL"},
		{"Setvar", "Variable: GOTO_ON_BLINDXFR\nValue: load^100^1", ""},
		{"Setvar", "Variable: CONNECTED_LINE_SEND_SUB\nValue: load,1`id`,1", "default Setvar:CONNECTED_LINE_*"},
		{"Setvar", "Variable: REDIRECTING_SEND_SUB\nValue: load,1`id`,1", "default Setvar:REDIRECTING_*"},
		{"Setvar", "Variable: REDIRECTING_SEND_SUB\nValue: load,s,1", ""},
		{"Setvar", "Variable: CHANNEL(hangup_handler_push)\nValue: load,s,1(\"a\",$b)", ""},
	}
	for _, option := range []string{"F", "G", "b", "B"} {
		all = append(all, refused{"Originate", "Application: Dial\nData: PJSIP/1,9,t" + option + "(load^1`id`^1)", "default Originate:Dial"})
	}
	for _, field := range []string{"hangup_handler_push", "hangup_handler_pop", "hangup_handler_wipe", "After_Bridge_Goto"} {
		all = append(all, refused{"Setvar", "Variable: CHANNEL(" + field + ")\nValue: load,1$(id),1", "default Setvar:CHANNEL"})
	}
	wantEach(t, all)
}

// What everyday panels and dialers ask for and set does no harm.
func TestPolicy_StatesAndCountsPass(t *testing.T) {
	wantEach(t, []refused{
		{"Getvar", "Variable: DEVICE_STATE(PJSIP/100)", ""},
		{"Setvar", "Variable: DEVICE_STATE(Custom:lamp)\nValue: INUSE", ""},
		{"Getvar", "Variable: EXTENSION_STATE(100@internal)", ""},
		{"Getvar", "Variable: HINT(100@internal)", ""},
		{"Setvar", "Variable: PRESENCE_STATE(CustomPresence:100)\nValue: dnd,,at lunch", ""},
		{"Originate", "Variable: GROUP(outbound)=campaign7", ""},
		{"Getvar", "Variable: GROUP_COUNT(campaign7@outbound)", ""},
		{"Getvar", "Variable: QUEUE_MEMBER(support,free)", ""},
		{"Getvar", "Variable: QUEUE_WAITING_COUNT(support)", ""},
		{"Getvar", "Variable: CONFBRIDGE_INFO(parties,7)", ""},
		{"Getvar", "Variable: HANGUPCAUSE(PJSIP/100-00000001,ast)", ""},
		{"Getvar", "Variable: SIP_HEADER(X-Lead)", ""},
		{"Setvar", "Variable: VOLUME(TX)\nValue: 3", ""},
		{"Originate", "Application: SendDTMF\nData: 123#", ""},
		{"Originate", "Application: Pickup\nData: 100@internal", ""},
		{"Originate", "Application: Playtones\nData: 425/1000", ""},
		{"Getvar", "Variable: GROUP_COUNT(SHELL(id))", "default Getvar:SHELL"},
	})
}

// What Asterisk keeps for itself in its database is not deleted either.
func TestPolicy_TheDatabasesOwnFamiliesStay(t *testing.T) {
	wantEach(t, []refused{
		{"DBDel", "Family: Registrar/contact", "default DBDel:Family"},
		{"DBDel", "Family: CF", ""},
		{"DBDelTree", "Family: registrar", "default DBDelTree:Family"},
		{"DBDelTree", "Family: %", "default DBDelTree:Family"},
		{"DBDelTree", "Family: _ueue/PersistentMembers", "default DBDelTree:Family"},
		{"DBDelTree", "Family: registrar_contact", "default DBDelTree:Family"}, // registrar/contact too
		{"DBDelTree", "Family: registrar-contact", ""},
		{"DBDelTree", "Family: my_app/x", ""},
	})
}

// The application AudioSocket, which connects to any host and port, is refused: so is a channel of it.
func TestPolicy_NoChannelOpensASocket(t *testing.T) {
	wantEach(t, []refused{
		{"Originate", "Channel: audiosocket/127.0.0.1:22/40325ec2-5efd-4bd3-805f-53576e581d13", "default Originate:Channel"},
		{"Originate", "Channel: PJSIP/audiosocket/x", ""},
		{"Originate", "Application: Dial\nData: PJSIP/1& Audio\"Socket\"/127.0.0.1:22/x,9", "default Originate:Dial"},
		{"Originate", "Application: Dial\nData: PJSIP/AudioSocket,9,A(AudioSocket/x)", ""},
		{"QueueAdd", "Interface: AudioSocket/127.0.0.1:22/x", "default QueueAdd:Interface"},
		{"Park", "TimeoutChannel: AudioSocket/127.0.0.1:22/x", "default Park:TimeoutChannel"},
		{"Setvar", "Variable: BLINDTRANSFER\nValue: AudioSocket/127.0.0.1:22/x", "default Setvar:BLINDTRANSFER"},
		// The same of RTP, without a call of SIP around it.
		{"Originate", "Channel: UnicastRTP/127.0.0.1:4000", "default Originate:Channel"},
		{"Originate", "Channel: unicastrtp/host:4000//c(ulaw)", "default Originate:Channel"},
		{"Originate", "Channel: PJSIP/UnicastRTP/x", ""},
		{"Originate", "Application: Dial\nData: PJSIP/1&MulticastRTP/basic/127.0.0.1:4000,9", "default Originate:Dial"},
		{"QueueAdd", "Interface: MulticastRTP/basic/127.0.0.1:4000", "default QueueAdd:Interface"},
	})
}

// What ends Asterisk, with a SIGSEGV that 16.28 and 22.10 have shown, wants a grant.
func TestPolicy_NothingCrashesAsterisk(t *testing.T) {
	wantEach(t, []refused{
		{"Park", "Channel: a\nAnnounceChannel: gone", "default Park:AnnounceChannel"},
		{"Park", "Channel: a\nAnnounceChannel:", ""},
		{"Originate", "Application: Dial\nData: PJSIP/1,9,gG(load^x^1)", "default Originate:Dial"},
		{"Originate", "Application: Dial\nData: PJSIP/1,9,G", "default Originate:Dial"},
		{"Originate", "Application: Dial\nData: PJSIP/1,9,gU(G)F(load^x^1)", ""},
		{"Getvar", "Variable: CHANNEL(channeltype)", "default Getvar:CHANNEL"},
		{"Getvar", "Variable: CHANNEL (channeltype)", "default Getvar:CHANNEL"},
		{"Getvar", "Channel:\nVariable: CHANNEL(tdd)", "default Getvar:CHANNEL"},
		{"Getvar", "Channel:\nChannel: a\nVariable: CHANNEL(tdd)", "default Getvar:CHANNEL"},
		{"Getvar", "Variable: X\nVariable: CHANNEL(tdd)", "default Getvar:CHANNEL"},
		{"Getvar", "Channel: a\nVariable: CHANNEL(channeltype)", ""},
		{"Getvar", "Variable: CHANNEL", ""},
		{"Status", "Variables: CHANNEL(channeltype)", ""}, // of channels that are up
		{"Setvar", "Variable: CHANNEL(language)\nValue: en", ""},
	})
}

// The header of a request in which a telephone proves its password is not read: it is as good as the password to guess it by.
func TestPolicy_NoProofIsRead(t *testing.T) {
	wantEach(t, []refused{
		{"Getvar", "Channel: a\nVariable: PJSIP_HEADER(read,Authorization)", "default Getvar:PJSIP_HEADER"},
		{"Getvar", "Channel: a\nVariable: PJSIP_HEADER(read, proxy-authorization ,1)", "default Getvar:PJSIP_HEADER"},
		{"Getvar", "Channel: a\nVariable: PJSIP_HEADER(read,Auth*)", "default Getvar:PJSIP_HEADER"},
		{"Getvar", "Channel: a\nVariable: PJSIP_HEADER(read,*)", "default Getvar:PJSIP_HEADER"},
		{"Getvar", `Channel: a
Variable: PJSIP_HEADER(read,"Autho\rization")`, "default Getvar:PJSIP_HEADER"},
		{"Getvar", "Channel: a\nVariable: SIP_HEADER(Authorization)", "default Getvar:SIP_HEADER"},
		{"Status", `Variables: X,PJSIP_HEADER(read\,Authorization)`, "default Status:PJSIP_HEADER"},
		{"Getvar", "Channel: a\nVariable: PJSIP_HEADER(read,X-*)", ""},
		{"Getvar", "Channel: a\nVariable: PJSIP_HEADER(read,X-Authorization-Id)", ""},
		{"Getvar", "Channel: a\nVariable: PJSIP_HEADER(read,From)", ""},
		{"Setvar", "Channel: a\nVariable: PJSIP_HEADER(add,Authorization)\nValue: x", ""},
	})
}
