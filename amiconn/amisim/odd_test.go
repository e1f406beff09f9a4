package amisim

import (
	"io"
	"strings"
	"testing"
)

// TestOddActions compares bytes, for what is odd about these is outside frames.
func TestOddActions(t *testing.T) {
	cfg := Config{
		Version:  "2.10.6",
		Queues:   []Queue{{"support", []Member{{"Zoë Ω", "PJSIP/zoe"}}}},
		Channels: []string{"IAX2/trunk-1"},
	}
	const ok, refused = "Response: Success\nActionID: 7\n", "Response: Error\nActionID: 7\nMessage: "
	for name, test := range map[string]struct {
		send []string
		want string
	}{
		"queues": {[]string{"Action: Queues"}, "support has 0 calls (max unlimited) in 'ringall' strategy (0s holdtime, 0s talktime), " +
			"W:0, C:0, A:0, SL:0.0% within 0s\n   Members: \n      Zoë Ω (PJSIP/zoe) (Not in use) has taken no calls yet\n   No Callers\n\n\n\n"},
		"IAX":     {[]string{"Action: IAXnetstats"}, "IAX2/trunk-1           12    0    0   0.0   0   0.0\n\n"},
		"data":    {[]string{"Action: DataGet", "Path: queue"}, "Event: DataGet Tree\nActionID: 7\n0-queue.count: 1\n\n"},
		"no path": {[]string{"Action: DataGet"}, refused + "'Path' parameter not specified\n\n"},
		"jabber":  {[]string{"Action: JabberSend", "Jabber: a", "ScreenName: b@c", "Message: d"}, ok + "Message: Attempting to send Jabber Message\n\n" + ok + "\n"},
		"jabber to nobody": {[]string{"Action: JabberSend", "Jabber: a", "ScreenName: b", "Message: d"},
			ok + "Message: Attempting to send Jabber Message\n\nResponse: Error\nActionID: 7\n\n"},
		"jabber refused": {[]string{"Action: JabberSend"}, refused + "No Jabber specified\n\n"},
		"module": {[]string{"Action: ModuleLoad"}, refused + "Incomplete ModuleLoad action.\n\n" + refused + "Need module name\n\n" +
			refused + "Incomplete ModuleLoad action.\n\n"},
		"span":          {[]string{"Action: PRIDebugSet", "Span: x"}, refused + "Invalid span\n\n" + refused + "No PRI running on span\n\n"},
		"fax":           {[]string{"Action: FAXSession", "SessionNumber: 3"}, ok + "Message: FAXSession event will follow\n\nEvent: FAXSession\nActionID: 7\nSessionNumber: 3\n\n"},
		"fax, no event": {[]string{"Action: FAXSession", "SessionNumber: 0"}, ok + "Message: FAXSession event will follow\n\n"},
		"rules":         {[]string{"Action: QueueRule"}, ok + "RuleList: default\nRule: 10,+5,-5\nRule: 20,+10,-10\n\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, cfg, func(t *testing.T, s *Server, n *Network) {
				p := loggedIn(t, n, "off")
				p.send(append(test.send, "ActionID: 7")...)
				p.send("Action: Logoff")
				got, err := io.ReadAll(p)
				if err != nil {
					t.Fatal(err)
				}
				answer, _, _ := strings.Cut(strings.ReplaceAll(string(got), "\r\n", "\n"), "Response: Goodbye")
				if answer != test.want {
					t.Errorf("got  %q\nwant %q", answer, test.want)
				}
			})
		})
	}
}

func TestOddActions_AreGoneIn15(t *testing.T) {
	simulate(t, Config{Version: "4.0.3"}, func(t *testing.T, s *Server, n *Network) {
		p := loggedIn(t, n, "off")
		for _, action := range []string{"Queues", "DataGet"} {
			first, _ := p.names("Action: "+action, "ActionID: 7")
			if len(first) != 1 || first[0] != "Error" {
				t.Errorf("%s: %q", action, first)
			}
		}
	})
}

func TestListChannels_ListsAsManyAsAsked(t *testing.T) {
	simulate(t, Config{}, func(t *testing.T, s *Server, n *Network) {
		p := loggedIn(t, n, "off")
		s.Next("CoreShowChannels", ListChannels(1000))
		first, all := p.names("Action: CoreShowChannels", "ActionID: 7")
		if len(first) != 1002 || first[1] != "CoreShowChannel" || !strings.Contains(all, "ListItems: 1000\n") {
			t.Errorf("%d frames, ending %s", len(first), all[len(all)-100:])
		}
	})
}
