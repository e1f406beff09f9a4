package bridge

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
		{"Originate", "Application: System\nData: id", "default Originate:*system*"},
		{"originate", "APPLICATION: SyStEm", "default Originate:*system*"},
		{"Originate", "Application:  \t \x01System", "default Originate:*system*"},
		{"Originate", "Application: System ", "default Originate:*system*"},
		{"Originate", "Application: System(id)", "default Originate:*system*"},
		{"Originate", "Application: Playback\nApplication: System", "default Originate:*system*"},
		{"Originate", "Application: System\nApplication: Playback", "default Originate:*system*"},
		{"Originate", "Application:\nApplication: System", "default Originate:*system*"},
		{"Originate", "Context: internal\nApplication: trysystem", "default Originate:*system*"},
		{"Originate", "Application: ExternalIVR", "default Originate:*externalivr*"},
		{"Originate", "Application: AGI", "default Originate:*agi*"},
		{"Originate", "Application: EAGI", "default Originate:*agi*"},
		{"Originate", "Application: DeadAGI", "default Originate:*agi*"},
		{"Originate", "Application: FastAGI", "default Originate:*agi*"},
		{"Originate", "Application: Exec\nData: System(id)", "default Originate:*exec*"},
		{"Originate", "Application: TryExec", "default Originate:*exec*"},
		{"Originate", "Application: ExecIf", "default Originate:*exec*"},
		{"Originate", "Application: ExecIfTime", "default Originate:*exec*"},
		{"Originate", "Application: Originate", "default Originate:*originate*"},
		{"Originate", "Application: Reload", "default Originate:*reload*"},
		{"Originate", "Application: DBdeltree", "default Originate:*dbdeltree*"},
		{"Originate", "Application: MixMonitor\nData: a.wav,b", ""},
		{"Originate", "Application: MixMonitor\nData: a.wav,b,id", "default Originate:*mixmonitor*"},
		{"Originate", "Application: MixMonitor\nData: a.wav\nData: a.wav,,id", "default Originate:*mixmonitor*"},
		{"Originate", "Application: Queue\nData: sales,t,,,60", ""},
		{"Originate", "Application: Queue\nData: sales,t,,,60,x.agi", "default Originate:*queue*"},
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
		{"MixMonitor", "Channel: PJSIP/1\nFile: a.wav\nOptions: b", ""},
		{"MixMonitor", "Channel: PJSIP/1\nCommand: id", "default MixMonitor:Command"},
		{"MixMonitor", "Channel: PJSIP/1\nCommand:\ncommand: id", "default MixMonitor:Command"},
		{"MixMonitor", "Channel: PJSIP/1\nFile: a.wav,,id", "default MixMonitor:Command"},
		{"MixMonitor", "Channel: PJSIP/1\nOptions: b,id", "default MixMonitor:Command"},
		{"Getvar", "Variable: CALLERID(num)", ""},
		{"Getvar", "Variable: DB(a/b)", ""},
		{"Getvar", "Variable: SHELL(id)", "default Getvar:SHELL"},
		{"Getvar", "Variable: MASTER_CHANNEL(FILE(/etc/passwd))", "default Getvar:FILE"},
		{"Setvar", "Variable: FILE(/x)\nValue: y", "default Setvar:FILE"},
		{"Setvar", "Variable: X\nValue: SHELL(id)", ""},
		{"Setvar", "Variable: MONITOR_EXEC\nValue: id", "default Setvar:MONITOR_EXEC"},
		{"Status", "Variables: X,CURL(http://h)", "default Status:CURL"},
		{"UserEvent", "UserEvent: x\nData: SHELL(id)", ""},
	} {
		refused := testPolicy(t, "", "", "").refuses(c.action, testHeaders(c.headers))
		if got := ruleOf(refused); got != c.want {
			t.Errorf("%s %q is refused by %q, want %q", c.action, c.headers, got, c.want)
		}
		if refused == nil {
			continue
		}
		if !strings.Contains(refused.reason, "ACTIONS_ALLOW=") {
			t.Errorf("%q does not say what would grant it", refused.reason)
		}
		if refused := testPolicy(t, c.action+":*", "", "").refuses(c.action, testHeaders(c.headers)); refused != nil {
			t.Errorf("%s %q is refused by %q though granted", c.action, c.headers, refused.rule)
		}
	}
}

func TestPolicy_GrantsOneApplicationOrFunction(t *testing.T) {
	p := testPolicy(t, "Originate:agi,Originate:Try*,Originate:DB,Setvar:FILE", "", "")
	for _, c := range []struct{ action, headers, want string }{
		{"Originate", "Application: AGI", ""},
		{"Originate", "Application: TrySystem", ""},
		{"Originate", "Application: EAGI", "default Originate:*agi*"},
		{"Originate", "Application: AGI\nApplication: System", "default Originate:*system*"},
		{"Originate", "Application: Set\nData: DB(a/b)=c", ""},
		{"Originate", "Application: Set\nData: DB(a/b)=${DB(c/d)}", "default Originate:EVAL"},
		{"Setvar", "Variable: FILE(/x)", ""},
		{"Getvar", "Variable: FILE(/x)", "default Getvar:FILE"},
	} {
		if got := ruleOf(p.refuses(c.action, testHeaders(c.headers))); got != c.want {
			t.Errorf("%s %q is refused by %q, want %q", c.action, c.headers, got, c.want)
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
		refused := p.refuses(c.action, testHeaders(c.headers))
		if refused == nil {
			t.Errorf("%s %q is not refused", c.action, c.headers)
		} else if strings.Contains(strings.ToLower(refused.rule+refused.reason), canary) {
			t.Errorf("a value is in %+v", refused)
		}
	}
}
