package policy

import "testing"

// What Asterisk itself reads and acts upon, beside the dialplan, takes nothing that would be a
// command, an extension or an application there.
func TestPolicy_NothingThatAsteriskActsUpon(t *testing.T) {
	p := testPolicy(t, "", "", "")
	for _, c := range []struct{ action, headers, want string }{
		{"Park", "Channel: a\nTimeoutChannel: PJSIP/100-00000001", ""},
		{"Park", "Channel: a\nTimeoutChannel: Local/100@internal-00000001;1", ""},
		{"Park", "TimeoutChannel: Local/${SHELL(id)}@x-1", "default Park:TimeoutChannel"},
		{"Park", "TimeoutChannel: PJSIP/1\ntimeoutchannel: Local/1,9,P@x-1", "default Park:TimeoutChannel"},
		{"park", "Channel2: Local/$[1]@x-1", "default Park:Channel2"},
		{"Setvar", "Variable: BLINDTRANSFER\nValue: PJSIP/100-00000001", ""},
		{"Setvar", "Variable: BLINDTRANSFER\nValue: ${SHELL(id)}", "default Setvar:BLINDTRANSFER"},
		{"Originate", "Variable: A=1,__AttendedTransfer=Local/x\\,9@y", "default Originate:ATTENDEDTRANSFER"},
		{"Originate", "Variable: TRANSFER_EXTEN=100", ""},
		{"Originate", "Variable: TRANSFER_EXTEN=$x", "default Originate:TRANSFER_EXTEN"},
		{"Originate", "Variable: TRANSFER_CONTEXT=internal", ""},
		{"Atxfer", "Exten: *100#", ""},
		{"Atxfer", "Exten: ${SHELL(id)}", "default Atxfer:Exten"},
		{"Getvar", "Variable: PARKINGDYNAMIC", ""},
		{"Getvar", "Variable: DIALSTATUS", ""},
		{"Setvar", "Variable: PARKINGDYNAMIC\nValue: x", "default Setvar:PARKINGDYN*"},
		{"Setvar", "Variable: PARKINGLOT\nValue: x", ""},
		{"Setvar", "Variable: DIALSTATUS\nValue: ChanSpy", "default Setvar:DIALSTATUS"},
		{"Setvar", "Variable: DUNDIDIALARGS\nValue: x", "default Setvar:DUNDIDIALARGS"},
		{"Originate", "Variable: __DYNAMIC_FEATURES=x", "default Originate:DYNAMIC_FEATURES"},
		{"Originate", "Variable: SPYGROUP=x", "default Originate:SPYGROUP"},
		{"Originate", "Application: MeetMe\nData: 7,dMs", ""},
		{"Originate", "Application: MeetMe\nData: 7,da", ""},
		{"Originate", "Application: MeetMe\nData: 7,sM(x)a", "default Originate:MeetMe"},
		{"QueueAdd", "MemberName: Doe, John", ""},
		{"QueueAdd", "MemberName: a=b", ""},
		{"QueueAdd", "MemberName: x,MONITOR_EXEC=id", "default QueueAdd:MemberName"},
		{"QueueAdd", "MemberName: Doe; J.", ""},
		{"QueueAdd", "MemberName: x|Local/1`id`@a;0;0", "default QueueAdd:MemberName"},
		{"QueueAdd", "StateInterface: Custom:x|Local/1`id`@a;0;0", "default QueueAdd:StateInterface"},
		{"QueuePause", "Reason: lunch, long (1|2)", ""},
		{"QueuePause", "Reason: x,Local/1`id`@a;0;0", "default QueuePause:Reason"},
		{"DBPut", "Family: cidname\nKey: 100", ""},
		{"DBPut", "Family: registrarx\nKey: SIP", ""},
		{"DataGet", "Path: /asterisk/channel/peers", ""},
		{"DataGet", "Search: peers/peer/secret<m", "default DataGet:Search"},
	} {
		wantRule(t, p, c.action, c.headers, c.want)
	}
	for _, family := range []string{"registrar/contact", "registrar", "subscription_persistence", "SIP/Registry", "IAX/Registry", "Queue/PersistentMembers", "dundi"} {
		wantRule(t, p, "DBPut", "Family: "+family, "default DBPut:Family")
	}
}

// An application that is granted assigns to none of them either: each variable of the table is
// looked for in Data.
func TestPolicy_DataAssignsToNoVariableOfTheTable(t *testing.T) {
	p := testPolicy(t, "Originate:Set", "", "")
	for _, v := range variables {
		want := "default Originate:" + nameOr(shownVariables[:], v.begin, v.begin+"*")
		wantRule(t, p, "Originate", "Application: Set\nData: __"+v.begin+"=/x$wx", want)
	}
}
