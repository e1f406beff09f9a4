package policy

import (
	"strings"
	"testing"
)

// What may become the name of a recording, the number of a party or of a channel,
// holds nothing that MixMonitor or a shell reads as a command there; and nothing lets
// a telephone record.
func TestPolicy_NothingNamesARecording(t *testing.T) {
	type request struct{ action, headers, want string }
	requests := []request{
		{"Originate", `CallerID: "Doe, John" <+4930123456>`, ""},
		{"Originate", "CallerID: Doe, John", ""},
		{"Originate", "CallerID: +49 (30) 123-456", ""},
		{"Originate", "CallerID: <1,,id", "default Originate:CallerID"},
		{"Originate", "CallerID: x\nCallerID: x <1,,id>", "default Originate:CallerID"},
		{"Originate", "callerid: x <1,,id> <2>", "default Originate:CallerID"}, // the last, until Asterisk cuts it
		{"Originate", "Variable: CALLERID(name)=Doe\\, John", ""},
		{"Originate", "Variable: CALLERID(num)=1\\,\\,id", "default Originate:CALLERID"},
		{"Originate", "Variable: A=1\nVariable: B=2,\"CALLERID(num)=1,,id\"", "default Originate:CALLERID"},
		{"Originate", `Variable: CALLERID(all)=\"Doe\, John\" <100>`, ""},
		{"Originate", `Variable: CALLERID(all)=\"Doe\" <1\,\,id>`, "default Originate:CALLERID"},
		{"Setvar", "Variable: CALLERID(num)\nValue: +4930123456", ""},
		{"Setvar", "Variable: CALLERID(name)\nValue: O\"Neill, $", ""},
		{"Setvar", "Variable: CALLERID(NAME-charset)\nValue: a,b", ""},
		{"Setvar", "Variable: CDR(userfield)\nValue: a,b", ""},
		{"Setvar", "Variable: CALLERID(name\"num\nValue: 1,,id", ""}, // Asterisk reads namenum
		{"Setvar", "Variable: CALLERID(ani)\nValue: 1,,id", "default Setvar:CALLERID"},
		{"Setvar", "Variable: CALLERID(\"num\")\nValue: 1,,id", "default Setvar:CALLERID"},
		{"Setvar", "Variable: CALLERID(\"num-name\")\nValue: 1,,id", "default Setvar:CALLERID"},
		{"Setvar", "Variable: CALLERID(num,<name>)\nValue: 1,,id", "default Setvar:CALLERID"},
		{"Setvar", "Variable: CONNECTEDLINE(num)\nValue: 1`id`", "default Setvar:CONNECTEDLINE"},
		{"Setvar", "Variable: CONNECTEDLINE(all,i)\nValue: x <1,,id>", "default Setvar:CONNECTEDLINE"},
		{"Setvar", "Variable: REDIRECTING(from-num)\nValue: 1$(id)", "default Setvar:REDIRECTING"},
		{"Setvar", "Value: 1,,id\nValue: 1\nVariable: X\nVariable: CALLERID(num)", "default Setvar:CALLERID"},
		{"Originate", "Channel: PJSIP/trunk/sip:+49@h:5060;transport=tcp", ""},
		{"Originate", "Channel: Local/1,,id@internal", "default Originate:Channel"},
		{"QueueAdd", "Interface: Local/100@agents/n", ""},
		{"QueueAdd", "Interface: Local/1$(id)@agents", "default QueueAdd:Interface"},
		{"BlindTransfer", "Exten: 1,,id", "default BlindTransfer:Exten"},
		{"Originate", "Context: internal\nExten: +49*1#", ""},
		{"Originate", "Context: internal\nExten: 100,,id", "default Originate:Exten"},
		{"Redirect", "Exten: 1$(id)", "default Redirect:Exten"},
		{"Redirect", "Exten: 1\nExtraExten: 1`id`", "default Redirect:ExtraExten"},
		{"Originate", `Application: Dial` + "\n" + `Data: PJSIP/1&PJSIP/2,9,tTf("Doe" <100>)`, ""},
		{"Originate", "Application: Dial\nData: PJSIP/1,9,tTU(sub^a,b)", ""},
		{"Originate", "Application: Dial\nData: Local/1\\,\\,id@internal", "default Originate:Dial"},
		{"Originate", "Application: Dial\nData: PJSIP/1,9,f(x <1,,id>)", "default Originate:Dial"},
		{"Originate", "Application: Dial\nData: PJSIP/1,9,to(1,,id)", "default Originate:Dial"},
		{"Originate", "Application: Bridge\nData: PJSIP/1,x", ""},
		{"Originate", "Application: Bridge\nData: PJSIP/1,tw", "default Originate:Bridge"},
		{"Originate", "Application: Bridge\nData: PJSIP/1,t,w", "default Originate:Bridge"}, // all of it are options
		{"Originate", `Application: Bridge` + "\n" + `Data: PJSIP/1,t(\")w(\")`, "default Originate:Bridge"},
		{"Originate", "Variable: " + strings.Repeat("A=1,", 62) + "CALLERID(num)=1", ""},
		{"Originate", "Variable: " + strings.Repeat("A=1,", 63) + "CALLERID(num)=1,,id", "default Originate:EVAL"},
		{"Originate", "Variable: " + strings.Repeat(",", 63) + `CALLERID(num)=1";id;"`, "default Originate:EVAL"},
		{"Originate", "Variable: BRIDGE_FEATURES=tT", ""},
		{"Originate", "Variable: __BRIDGE_FEATURES=tX", "default Originate:BRIDGE_FEATURES"},
		{"Getvar", "Variable: BRIDGE_FEATURES", ""},
		{"Setvar", "Variable: CHANNEL(dtmf_features)\nValue: T", ""},
		{"Setvar", "Variable: CHANNEL(DTMF_\\features)\nValue: X", "default Setvar:CHANNEL"},
		{"Setvar", "Variable: CHANNEL(musicclass)\nValue: X", ""},
		{"Originate", "Variable: A=1,CHANNEL(dtmf_features)=tw", "default Originate:CHANNEL"},
	}
	for _, option := range []string{"w", "W", "x", "X"} {
		requests = append(requests, request{"Originate", "Application: Dial\nData: PJSIP/1,9,t" + option, "default Originate:Dial"},
			request{"Originate", "Application: Queue\nData: sales,t" + option, "default Originate:Queue"})
	}
	p := testPolicy(t, "", "", "")
	for _, r := range requests {
		wantRule(t, p, r.action, r.headers, r.want)
	}
	set := testPolicy(t, "Originate:Set", "", "")
	for headers, want := range map[string]string{
		"Application: Set\nData: CALLERID(num)=1":           "",
		"Application: Set\nData: CALLERID(name)=Doe, John":  "",
		"Application: Set\nData: CALLERID(num)=1,,id":       "default Originate:CALLERID",
		"Application: Set\nData: __BRIDGE_FEATURES=X":       "default Originate:BRIDGE_FEATURES",
		"Application: Set\nData: BRIDGE_PLAY_SOUND=x://h/x": "default Originate:BRIDGE_PLAY_SOUND",
	} {
		wantRule(t, set, "Originate", headers, want)
	}
}

// No application that plays, and no variable that names a sound, takes a URL.
func TestPolicy_NothingFetchesAURL(t *testing.T) {
	p := testPolicy(t, "", "", "")
	for _, a := range applications {
		wantRule(t, p, "Originate", "Application: "+a.name+"\nData: ,,'http://h/x'", ruleOfSounds(a.name))
	}
	for _, c := range []struct{ action, headers, want string }{
		{"Originate", "Variable: CRM=https://crm.example/7", ""},
		{"Originate", "Variable: LIMIT_WARNING_FILE=beep", ""},
		{"Originate", "Variable: LIMIT_WARNING_FILE=https://h/x", "default Originate:LIMIT_WARNING_FILE"},
		{"Originate", "Variable: _LIMIT_OF_ANYTHING=https://h/x", "default Originate:LIMIT_*"},
		{"Setvar", "Variable: BRIDGE_PLAY_SOUND\nValue: x\nValue: http://h/x", "default Setvar:BRIDGE_PLAY_SOUND"},
		{"Setvar", "Variable: CONF_LIMIT_TIMEOUT_FILE\nValue: http://h/x", "default Setvar:CONF_LIMIT_*"},
	} {
		wantRule(t, p, c.action, c.headers, c.want)
	}
}
