package policy

import "testing"

// What may play is in the folder of sounds: no recording, no message, nothing from the
// network, however it is quoted.
func TestPolicy_NothingPlaysFromElsewhere(t *testing.T) {
	p := testPolicy(t, "", "", "")
	for _, a := range applications {
		for _, data := range []string{"/a", "x,,'/a'", "x,(/a)", "x,a& /a", "../a", "x,en,../..,a", `x,a:\//b`, `x,."."/a`, `\/a`} {
			wantRule(t, p, "Originate", "Application: "+a.name+"\nData: "+data, ruleOfSounds(a.name))
		}
	}
	for _, c := range []struct{ action, headers, want string }{
		{"Originate", "Application: Playback\nData: custom/hello&digits/1,skip", ""},
		{"Originate", "Application: Dial\nData: PJSIP/100/sip:100@h:5060&Local/1@x/n,30,A(custom/x)", ""},
		{"Originate", "Application: SayUnixTime\nData: 0,Europe/Berlin,'digits/at' IMp", ""},
		{"Originate", "Variable: LIMIT_WARNING_FILE=custom/x", ""},
		{"Originate", "Variable: LIMIT_WARNING_FILE=/x", "default Originate:LIMIT_WARNING_FILE"},
		{"Originate", "Variable: _BRIDGE_PLAY_SOUND=../x", "default Originate:BRIDGE_PLAY_SOUND"},
		{"Originate", "Variable: AGENTGOODBYE=/x", "default Originate:AGENTGOODBYE"},
		{"Setvar", "Variable: CONF_LIMIT_WARNING_FILE\nValue: /x", "default Setvar:CONF_LIMIT_*"},
		{"Setvar", "Variable: CHANNEL(language)\nValue: de_AT", ""},
		{"Setvar", "Variable: CHANNEL(lang\\uage)\nValue: ..", "default Setvar:CHANNEL"},
		{"Originate", "Variable: A=1,CHANNEL(language)=../x", "default Originate:CHANNEL"},
	} {
		wantRule(t, p, c.action, c.headers, c.want)
	}
}
