package policy

import (
	"strings"
	"testing"
)

func TestPolicy_RefusesWhatReachesTheShell(t *testing.T) {
	for _, c := range []struct{ action, headers, want string }{
		{"Originate", "Channel: PJSIP/1\nContext: internal\nExten: 100\nPriority: 1", ""},
		{"Originate", "Application: Playback\nData: tt-monkeys", ""},
		{"Originate", "Application: Dial\nData: PJSIP/100&PJSIP/200,30,tT", ""},
		{"Originate", "Application:\nContext: internal", ""},
		{"Originate", "Application: System\nData: id", "default Originate:System"},
		{"originate", "APPLICATION: SyStEm", "default Originate:System"},
		{"Originate", "Application:  \t \x01System", "default Originate:System"},
		{"Originate", "Application: System ", "default Originate:System"},
		{"Originate", "Application: System(id)", "default Originate:<Application>"},
		{"Originate", "Application: Playback\nApplication: System", "default Originate:System"},
		{"Originate", "Application: System\nApplication: Playback", "default Originate:System"},
		{"Originate", "Application:\nApplication: System", "default Originate:System"},
		{"Originate", "Context: internal\nApplication: trysystem", "default Originate:TrySystem"},
		{"Originate", "Application: ExternalIVR", "default Originate:ExternalIVR"},
		{"Originate", "Application: AGI", "default Originate:AGI"},
		{"Originate", "Application: EAGI", "default Originate:EAGI"},
		{"Originate", "Application: DeadAGI", "default Originate:DeadAGI"},
		{"Originate", "Application: FastAGI", "default Originate:<Application>"},
		{"Originate", "Application: Exec\nData: System(id)", "default Originate:Exec"},
		{"Originate", "Application: TryExec", "default Originate:TryExec"},
		{"Originate", "Application: ExecIf", "default Originate:ExecIf"},
		{"Originate", "Application: ExecIfTime", "default Originate:ExecIfTime"},
		{"Originate", "Application: Originate", "default Originate:Originate"},
		{"Originate", "Application: Reload", "default Originate:Reload"},
		{"Originate", "Application: DBdeltree", "default Originate:DBdeltree"},
		{"Originate", "Application: MixMonitor\nData: a.wav,b", "default Originate:MixMonitor"},
		{"Originate", "Application: MixMonitor\nData: a.wav,b,id", "default Originate:MixMonitor"},
		{"Originate", "Application: MixMonitor\nData: a.wav\nData: a.wav,,id", "default Originate:MixMonitor"},
		{"Originate", "Application: Queue\nData: sales,t,,,60", ""},
		{"Originate", "Application: Queue\nData: sales,t,,,60,x.agi", "default Originate:Queue"},
		{"Originate", "Application: NoOp\nData: ${SHELL(id)}", "default Originate:SHELL"},
		{"Originate", "Application: Set\nData: X=${EVAL(${Y})}", "default Originate:EVAL"},
		{"Originate", "Application: Set\nData: FILE(/etc/asterisk/extensions.conf,,,al)=exten", "default Originate:FILE"},
		{"Originate", `Application: Read` + "\n" + `Data: FI\LE("/x")`, "default Originate:FILE"},
		{"Originate", "Application: Set\nData: CURLOPT(x)=y", "default Originate:CURL"},
		{"Originate", "Application: Set\nData: DB(a/b)=c", "default Originate:DB"},
		{"Originate", "Application: Set\nData: ODBC_NUMBERS(a)=c", "default Originate:ODBC"},
		{"Originate", "Application: Set\nData: REALTIME(a)=c", "default Originate:REALTIME"},
		{"Originate", "Application: Set\nData: MONITOR_EXEC=id", "default Originate:MONITOR_EXEC"},
		{"Originate", "Application: NoOp\nData: x\nData: ${shell (id)}", "default Originate:SHELL"},
		{"Originate", "Application: NoOp\nData: ${${A}${B}(id)}\nVariable: A=SHE,B=LL", "default Originate:EVAL"},
		{"Originate", "Application: Set\nData: ${A}${B}\nVariable: A=FI,B=LE(/x)\\=y", "default Originate:EVAL"},
		{"Originate", "Application: NoOp\nData: $[1+1]", "default Originate:EVAL"},
		{"Originate", "Context: internal\nVariable: CAMPAIGN=7,NOTE=see FILE(2)", ""},
		{"Originate", "Context: internal\nVariable: CALLERID(name)=Bob", ""},
		{"Originate", "Context: internal\nVariable: FILE(/x,,,al)=y", "default Originate:FILE"},
		{"Originate", "Context: internal\nVariable: A=1\nVariable: B=2,FI\\LE(/x)=y", "default Originate:FILE"},
		{"Originate", "Context: internal\nVariable: __MONITOR_EXEC=id", "default Originate:MONITOR_EXEC"},
		{"Originate", "Context: internal\nVariable: SHARED(${X})=y", "default Originate:EVAL"},
		{"MixMonitor", "Channel: PJSIP/1\nFile: a.wav\nOptions: b", "default MixMonitor:File"},
		{"MixMonitor", "Channel: PJSIP/1\nOptions: b", ""},
		{"MixMonitor", "Channel: PJSIP/1\nCommand: id", "default MixMonitor:Command"},
		{"MixMonitor", "Channel: PJSIP/1\nCommand:\ncommand: id", "default MixMonitor:Command"},
		{"MixMonitor", "Channel: PJSIP/1\nFile: a.wav,,id", "default MixMonitor:Command"},
		{"MixMonitor", "Channel: PJSIP/1\nOptions: b,id", "default MixMonitor:Command"},
		{"Getvar", "Variable: CALLERID(num)", ""},
		{"Getvar", "Variable: DB(a/b)", "default Getvar:DB"},
		{"Getvar", "Variable: SHELL(id)", "default Getvar:SHELL"},
		{"Getvar", "Variable: MASTER_CHANNEL(FILE(/etc/passwd))", "default Getvar:MASTER_CHANNEL"},
		{"Setvar", "Variable: FILE(/x)\nValue: y", "default Setvar:FILE"},
		{"Setvar", "Variable: X\nValue: SHELL(id)", ""},
		{"Setvar", "Variable: MONITOR_EXEC\nValue: id", "default Setvar:MONITOR_EXEC"},
		{"Status", "Variables: X,CURL(http://h)", "default Status:CURL"},
		{"UserEvent", "UserEvent: x\nData: SHELL(id)", ""},
	} {
		// Set and Read are granted, so that what they hold is seen to be refused.
		refused := judged(testPolicy(t, "Originate:Set,Originate:Read", "", ""), c.action, testHeaders(c.headers))
		if got := ruleOf(refused); got != c.want {
			t.Errorf("%s %q is refused by %q, want %q", c.action, c.headers, got, c.want)
		}
		if refused == nil {
			continue
		}
		if !strings.Contains(refused.Reason, "ACTIONS_ALLOW=") {
			t.Errorf("%q does not say what would grant it", refused.Reason)
		}
		if refused := judged(testPolicy(t, c.action+":*", "", ""), c.action, testHeaders(c.headers)); refused != nil {
			t.Errorf("%s %q is refused by %q though granted", c.action, c.headers, refused.Rule)
		}
	}
}

func TestPolicy_GrantsOneApplicationOrFunction(t *testing.T) {
	p := testPolicy(t, "Originate:agi,Originate:Try*,Originate:DB,Setvar:FILE,Originate:Set,Originate:ChanSpy,Originate:Dial,Getvar:ODBC", "", "")
	for _, c := range []struct{ action, headers, want string }{
		{"Originate", "Application: AGI", ""},
		{"Originate", "Application: TrySystem", ""},
		{"Originate", "Application: EAGI", "default Originate:EAGI"},
		{"Originate", "Application: AGI\nApplication: System", "default Originate:System"},
		{"Originate", "Application: Set\nData: DB(a/b)=c", ""},
		{"Originate", "Application: Set\nData: DB(a/b)=${DB(c/d)}", "default Originate:EVAL"},
		{"Setvar", "Variable: FILE(/x)", ""},
		{"Getvar", "Variable: FILE(/x)", "default Getvar:FILE"},
		{"Getvar", "Variable: ODBC_LEADS(7)", ""},
		{"Getvar", "Variable: odbc_leads(7)", ""},
		{"Getvar", "Variable: XODBC_LEADS(7)", "default Getvar:<FUNCTION>"},
		{"Originate", "Application: ChanSpy\nData: PJSIP/100,qg(x)S", ""},
		{"Originate", "Application: ChanSpy\nData: PJSIP/100,g(x)TOUCH_MONITOR", "default Originate:TOUCH_MONITOR"},
		{"Originate", "Application: Set\nData: CONFBRIDGE(bridge,record_command)=x", "default Originate:CONFBRIDGE"},
		{"Originate", "Application: Set\nData: CALLERID(num)=x", ""},
		{"Originate", "Application: Dial\nData: PJSIP/100,9,P(x)", ""},
		{"Originate", "Application: Dial\nData: ${X}", "default Originate:EVAL"},
	} {
		wantRule(t, p, c.action, c.headers, c.want)
	}
}

func TestPolicy_DenyOfWhatAnActionHoldsBeatsAllow(t *testing.T) {
	for _, c := range []struct{ deny, action, headers string }{
		{"Originate:SHELL", "Originate", "Application: NoOp\nData: ${SHELL(id)}"},
		{"Originate:SHELL", "Originate", "Application: Set\nData: SHELL(id)=1"},
		{"Originate:SHELL", "Originate", "Variable: SHELL(id)=1"},
		{"Originate:ODBC", "Originate", "Variable: ODBC_LEADS(7)=1"},
		{"Originate:ODBC_*", "Originate", "Variable: ODBC_LEADS(7)=1"},
		{"Originate:EVAL", "Originate", "Application: NoOp\nData: $[1]"},
		{"Originate:CALLERID", "Originate", "Variable: CALLERID(num)=1"},
		{"Originate:Playback", "Originate", "Application: playback\nData: beep"},
		{"Originate:System", "Originate", "Application: SYSTEM"},
		{"Originate:MONITOR_*", "Originate", "Variable: _MONITOR_EXEC=id"},
		{"Originate:ChannelId", "Originate", "ChannelId: a/b"},
		{"Getvar:CDR", "Getvar", "Variable: CDR(src)"},
		{"Status:C*", "Status", "Variables: X,CHANNEL(state)"},
		{"MixMonitor:Command", "MixMonitor", "Command: id"},
		{"ConfbridgeStartRecord:*", "ConfbridgeStartRecord", "RecordFile: x"},
	} {
		p := testPolicy(t, "*,*:*", c.deny, "")
		if got := ruleOf(judged(p, c.action, testHeaders(c.headers))); got != "ACTIONS_DENY="+c.deny {
			t.Errorf("%s %q is refused by %q, want ACTIONS_DENY=%s", c.action, c.headers, got, c.deny)
		}
	}
}

func TestPolicy_RefusalsHoldNoValue(t *testing.T) {
	const canary = "c4n4ry"
	p := testPolicy(t, "", "Originate:*Deny*", "Originate: Context in (dialer); Hangup: Channel absent; PJSIPHangup: Channel matches ^PJSIP/")
	for _, c := range []struct{ action, headers string }{
		{"Originate", "Application: System" + canary},
		{"Originate", "Application: Deny" + canary},
		{"Originate", "Data: SHELL(" + canary + ")"},
		{"Originate", "Variable: FILE(" + canary + ")=" + canary},
		{"Originate", "Context: " + canary},
		{"Hangup", "Channel: " + canary},
		{"PJSIPHangup", "Channel: " + canary},
		{"MixMonitor", "Command: " + canary},
	} {
		refused := judged(p, c.action, testHeaders(c.headers))
		if refused == nil {
			t.Errorf("%s %q is not refused", c.action, c.headers)
		} else if strings.Contains(strings.ToLower(refused.Rule+refused.Reason), canary) {
			t.Errorf("a value is in %+v", refused)
		}
	}
}
