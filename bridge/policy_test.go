package bridge

import "testing"

func TestPolicy_RefusesWhateverTheCase(t *testing.T) {
	p := policy{allow: Globs{"Command"}, deny: Globs{"Originate", "DB*"}}
	for action, refused := range map[string]bool{
		"Login": true, "LOGOFF": true, "waitevent": true, "UpdateConfig": true, "getconfigjson": true,
		"Originate": true, "originate": true, "DBPut": true, "dbdel": true,
		"Command": false, "QueueStatus": false, "Ping": false,
	} {
		if got := p.refuses(action) != ""; got != refused {
			t.Errorf("%s: refused %v, want %v", action, got, refused)
		}
	}
}

func TestIsInbox_RefusesTheBridgesOwn(t *testing.T) {
	for subject, want := range map[string]bool{
		"_INBOX.abc.1": true, "_INBOX_dialer.abc": true,
		"": false, "_INBOX": false, "ami.events.pbx1.Hangup": false, "_INBOXfoo.x": false, "$JS.API.INFO": false,
		inboxPrefix("b1") + ".nuid.7": false,
	} {
		if got := isInbox(subject, "b1"); got != want {
			t.Errorf("isInbox(%q) = %v, want %v", subject, got, want)
		}
	}
}
