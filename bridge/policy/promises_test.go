package policy

import "testing"

// What docs/policy-rules.md lists one by one is refused one by one.
func TestPolicy_EachOfWhatIsListedIsRefused(t *testing.T) {
	type request struct{ action, headers, want string }
	requests := []request{
		{"ListCategories", "Filename: MANAGER_bridge.conf", "default"},
		{"ListCategories", "Filename: queues.conf", ""},
		{"ListCategories", "Filename: queues", "default"},
		{"ListCategories", "Filename: queues.conf.old", "default"},
		{"ListCategories", "Filename:", ""},
		{"Status", `Variables: X,Y\`, "default Status:EVAL"},
		{"Status", "Variables: X,Y", ""},
		{"Getvar", "Variable: MIXMONITOR_FILENAME", ""},
		{"Getvar", "Variable: MVM_FILENAME", ""},
		{"Setvar", "Variable: MIXMONITOR_FILENAME", "default Setvar:MIXMONITOR_FILENAME"},
		{"Setvar", "Variable: _MVM_FILENAME", "default Setvar:MVM_FILENAME"},
		{"Originate", "Application: MeetMe\nData: 7,M", ""},
		{"Originate", "Application: Dial\nData: PJSIP/1,9,tT", ""},
		{"UserEvent", "Note: ^{X}", ""},
		// Functions are in capitals, as Asterisk has them.
		{"Getvar", "Variable: callerid(num)", "default Getvar:<FUNCTION>"},
		{"Originate", "Variable: Cdr(x)=1", "default Originate:<FUNCTION>"},
		// What closes no bracket opens none either.
		{"Originate", "Variable: A=),SHELL(id)=1", "default Originate:SHELL"},
		{"Originate", "Variable: A=],SHELL(id)=1", "default Originate:SHELL"},
		{"Originate", "Variable: A=(,SHELL(id)=1", ""},
		{"Originate", "Application: Dial\nData: PJSIP/1),9,P", "default Originate:Dial"},
		{"Originate", "Application: Dial\nData: PJSIP/1,9,t\\", "default Originate:Dial"},
		{"Originate", `Variable: A=x\`, "default Originate:EVAL"},
		{"Originate", `Variable: A=x\\`, ""},
		{"Originate", "Application: Playback\nData: https://h/x", "default Originate:Playback"},
		{"Originate", "Application: Park\nData: x://h/x", "default Originate:Park"},
		{"ConfbridgeStartRecord", "Conference: 7", ""},
		{"Monitor", "Format: wav49", ""},
		{"Monitor", "Format: wav;id", "default Monitor:Command"},
		{"Monitor", "File: a", "default Monitor:File"},
		{"ChangeMonitor", "File: a", "default ChangeMonitor:File"},
		{"PRIDebugFileSet", "File: a", "default PRIDebugFileSet:File"},
		{"MailboxStatus", "Mailbox: 7@default", ""},
		{"MailboxStatus", "Mailbox: ../7", "default MailboxStatus:Mailbox"},
		{"MailboxCount", "Mailbox: ../7", "default MailboxCount:Mailbox"},
	}
	for _, c := range []string{",", `"`, `\`, "(", "[", "/"} {
		requests = append(requests, request{"ConfbridgeStartRecord", "Conference: 7" + c, "default ConfbridgeStartRecord:RecordFile"})
	}
	for _, c := range []string{";", "`", "$", "|", "&", "\"", "'", "<", "\t", "*"} { // to a shell more than a name
		requests = append(requests, request{"Monitor", "File: a" + c, "default Monitor:Command"}, request{"ChangeMonitor", "File: a" + c, "default ChangeMonitor:Command"})
	}
	for _, action := range []string{"Originate", "Setvar", "Redirect", "Atxfer", "BlindTransfer", "DBPut"} {
		requests = append(requests, request{action, "Note: ^{X}", "default " + action + ":EVAL"})
	}
	for _, variable := range []string{"MONITOR_EXEC", "TOUCH_MONITOR", "MEETME_AGI_BACKGROUND", "MEETME_RECORDINGFILE"} {
		requests = append(requests, request{"Getvar", "Variable: " + variable, "default Getvar:" + variable},
			request{"Setvar", "Variable: __" + variable, "default Setvar:" + variable})
	}
	for _, option := range []string{"b", "r", "i", "I", "v"} {
		requests = append(requests, request{"Originate", "Application: MeetMe\nData: 7,M" + option, "default Originate:MeetMe"})
	}
	for _, option := range []string{"p", "P"} {
		requests = append(requests, request{"Originate", "Application: Dial\nData: PJSIP/1,9,t" + option, "default Originate:Dial"})
	}
	p := testPolicy(t, "", "", "")
	for _, r := range requests {
		wantRule(t, p, r.action, r.headers, r.want)
	}
}

// What is granted is granted, and each header of a name counts: behind one that is
// listed another's Data is looked at.
func TestPolicy_GrantsOfWhatIsListed(t *testing.T) {
	for _, c := range []struct{ allow, action, headers, want string }{
		{"ListCategories", "ListCategories", "Filename: manager.conf", ""},
		{"ListCategories", "ListCategories", "Filename: ../x", ""},
		{"GetConfig", "ListCategories", "Filename: manager.conf", "default"},
		{"Originate:Set", "Originate", "Application: Set\nApplication: NoOp\nData: SHELL(id)=1", "default Originate:SHELL"},
		{"Originate:Set", "Originate", "Application: NoOp\nApplication: Set\nData: SHELL(id)=1", "default Originate:SHELL"},
		{"Originate:Set", "Originate", "Application: NoOp\nData: SHELL(id)=1", ""},
		{"Originate:Set", "Originate", "Application: Set\nData: ENV(PERL5OPT)=x", "default Originate:ENV"},
		{"Originate:ChanSpy", "Originate", "Application: ChanSpy\nData: PJSIP/1,gU(x)L(60000)", ""},
		{"Status:EVAL", "Status", `Variables: X,Y\`, ""},
		{"Originate:EVAL", "Originate", `Variable: A=x\`, ""},
	} {
		if got := ruleOf(judged(testPolicy(t, c.allow, "", ""), c.action, testHeaders(c.headers))); got != c.want {
			t.Errorf("with ACTIONS_ALLOW=%s %s %q is refused by %q, want %q", c.allow, c.action, c.headers, got, c.want)
		}
	}
}

// Secrets in replies are shown once ACTIONS_ALLOW matches <Action>:secrets, which
// the Action alone does not, and ACTIONS_DENY beats it.
func TestPolicy_ShowsSecretsOnceTheyAreGranted(t *testing.T) {
	for _, c := range []struct {
		allow, deny string
		want        bool
	}{
		{"", "", false},
		{"PJSIPShowAuths", "", false},
		{"PJSIPShowAuths:secrets", "", true},
		{"pjsipshowauths:SECRETS", "", true},
		{"PJSIP*", "", true},
		{"*", "", true},
		{"PJSIPShowEndpoint:secrets", "", false},
		{"*", "*:secrets", false},
		{"PJSIPShowAuths:secrets", "PJSIPShowAuths:secrets", false},
		{"*", "PJSIPShowEndpoint:secrets", true},
	} {
		if got := testPolicy(t, c.allow, c.deny, "").ShowsSecrets(actionOf("PJSIPShowAuths")); got != c.want {
			t.Errorf("with ACTIONS_ALLOW=%s and ACTIONS_DENY=%s: shown is %v", c.allow, c.deny, got)
		}
	}
}
