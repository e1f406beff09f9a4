package amisim

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// names sends an action and returns the first lines of its frames up to the
// answer to a Ping, and all lines.
func (p *peer) names(lines ...string) (first []string, all string) {
	p.t.Helper()
	p.send(lines...)
	p.send("Action: Ping", "ActionID: end")
	for {
		f := p.next()
		if slices.Contains(f, "ActionID: end") {
			return first, all
		}
		first = append(first, strings.SplitAfter(f[0], ": ")[1])
		all += strings.Join(f, "\n") + "\n\n"
	}
}

func TestLists(t *testing.T) {
	for name, test := range map[string]struct {
		version string
		send    []string
		want    string // first lines' values
		has     string
		lacks   string
	}{
		"modern":            {"", []string{"Action: QueueSummary"}, "Success QueueSummary QueueSummaryComplete", "EventList: Complete\nListItems: 1\n", "zzz"},
		"old":               {"2.6.0", []string{"Action: QueueSummary"}, "Success QueueSummary QueueSummaryComplete", "ActionID: 7\n\n", "EventList"},
		"old but modern":    {"1.1", []string{"Action: CoreShowChannels"}, "Success CoreShowChannel CoreShowChannelsComplete", "EventList: Complete\nListItems: 1\n", "zzz"},
		"unknown queue":     {"", []string{"Action: QueueStatus", "Queue: nope"}, "Success QueueStatusComplete", "ListItems: 0", "zzz"},
		"queue":             {"", []string{"Action: QueueStatus"}, "Success QueueParams QueueMember QueueStatusComplete", "Name: Zoë Ω\n", "zzz"},
		"status":            {"", []string{"Action: Status"}, "Success Status StatusComplete", "Items: 1\n", "zzz"},
		"endpoints":         {"", []string{"Action: PJSIPShowEndpoints"}, "Success EndpointList EndpointListComplete", "", "zzz"},
		"endpoint":          {"", []string{"Action: PJSIPShowEndpoint", "Endpoint: zoe"}, "Success EndpointDetail AorDetail EndpointDetailComplete", "", "zzz"},
		"no endpoint":       {"", []string{"Action: PJSIPShowEndpoint", "Endpoint: nope"}, "Error", "", "zzz"},
		"broken endpoint":   {"", []string{"Action: PJSIPShowEndpoint", "Endpoint: broken"}, "Success EndpointDetail Error EndpointDetailComplete", "", "zzz"},
		"device states":     {"", []string{"Action: DeviceStateList"}, "Success DeviceStateChange DeviceStateListComplete", "", "zzz"},
		"no voicemail":      {"", []string{"Action: VoicemailUsersList"}, "Success", "", "EventList"},
		"no channel map":    {"", []string{"Action: CoreShowChannelMap", "Channel: x"}, "Success Error", "EventList: start", "Complete"},
		"parked":            {"", []string{"Action: ParkedCalls"}, "Success ParkedCallsComplete", "Total: 0", "zzz"},
		"hangup by pattern": {"", []string{"Action: Hangup", "Channel: /^PJSIP/"}, "Success ChannelHungup ChannelsHungupListComplete", "", "zzz"},
		"hangup one":        {"", []string{"Action: Hangup", "Channel: PJSIP/zoe-1"}, "Success", "Message: Channel Hungup", "zzz"},
		"ack":               {"", []string{"Action: QueuePause", "Interface: x", "Paused: true"}, "Success", "Interface paused successfully", "zzz"},
		"ack refused":       {"", []string{"Action: QueuePause"}, "Error", "'Interface' not specified.", "zzz"},
		"setvar":            {"", []string{"Action: Setvar", "Variable: A", "Value: b"}, "Success", "Variable Set", "zzz"},
		"getvar":            {"", []string{"Action: Getvar", "Variable: A"}, "Success", "Variable: A\nValue: \n", "zzz"},
		"settings":          {"5.0.5", []string{"Action: CoreSettings"}, "Success", "AMIversion: 5.0.5", "zzz"},
		"commands":          {"", []string{"Action: ListCommands"}, "Success", "Ping: Keepalive command.", "zzz"},
		"command":           {"", []string{"Action: Command", "Command: long 2"}, "Success", "Output: line 1: a: b, c\nOutput: line 2: a: b, c\n", "zzz"},
		"unknown command":   {"", []string{"Action: Command", "Command: nope"}, "Error", "Output: No such command", "zzz"},
		"follows":           {"2.5.0", []string{"Action: Command", "Command: nope"}, "Follows", "Output: No such command", "zzz"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{
				Version:   test.version,
				Queues:    []Queue{{"support", []Member{{"Zoë Ω", "PJSIP/zoe"}}}},
				Endpoints: []string{"zoe"},
				Channels:  []string{"PJSIP/zoe-1"},
			}
			simulate(t, cfg, func(t *testing.T, s *Server, n *Network) {
				p := loggedIn(t, n, "off")
				first, all := p.names(append(test.send, "ActionID: 7")...)
				if got := strings.Join(first, " "); got != test.want {
					t.Errorf("frames %s, want %s", got, test.want)
				}
				if !strings.Contains(all, test.has) || strings.Contains(all, test.lacks) {
					t.Errorf("want %q and not %q in\n%s", test.has, test.lacks, all)
				}
			})
		})
	}
}

func TestIAXPeers_ItemsCarryNoActionID(t *testing.T) {
	simulate(t, Config{Endpoints: []string{"a"}}, func(t *testing.T, s *Server, n *Network) {
		p := loggedIn(t, n, "off")
		_, all := p.names("Action: IAXpeers", "ActionID: 7")
		if got := strings.Count(all, "ActionID: 7"); got != 2 {
			t.Errorf("the ActionID came %d times, want 2 (start and complete):\n%s", got, all)
		}
	})
}

func TestUserEvent_GoesToAllWithTheActionID(t *testing.T) {
	simulate(t, Config{}, func(t *testing.T, s *Server, n *Network) {
		events, actions := loggedIn(t, n, "on"), loggedIn(t, n, "off")
		actions.send("Action: UserEvent", "ActionID: 7", "UserEvent: Tick", "Who: Zoë")
		actions.wants("Response: Success", "ActionID: 7", "Message: Event Sent")
		events.wants("Event: UserEvent", "Privilege: user,all", "UserEvent: Tick", "ActionID: 7", "Who: Zoë")
	})
}

func TestOriginate_Async(t *testing.T) {
	fates := map[string]Originated{
		"later":   {Answer: time.Second},
		"failed":  {Answer: time.Second, Failed: true, Reason: 5},
		"earlier": {Ack: time.Second},
	}
	for name, fate := range fates {
		t.Run(name, func(t *testing.T) {
			simulate(t, Config{Originate: func(*Action) Originated { return fate }}, func(t *testing.T, s *Server, n *Network) {
				events, actions := loggedIn(t, n, "on"), loggedIn(t, n, "off")
				start := time.Now()
				actions.send("Action: Originate", "ActionID: 7", "Channel: PJSIP/bob", "Exten: 1", "Async: true")
				actions.wants("Response: Success", "ActionID: 7", "Message: Originate successfully queued")
				if got := time.Since(start); got != fate.Ack {
					t.Errorf("acknowledged after %v, want %v", got, fate.Ack)
				}
				got := events.next()
				want := []string{"Event: OriginateResponse", "Privilege: call,all", "ActionID: 7", "Response: Success", "Channel: PJSIP/bob"}
				if fate.Failed {
					want[3] = "Response: Failure"
				}
				if !slices.Equal(got[:5], want) {
					t.Errorf("got  %q\nwant %q", got, want)
				}
				if got := time.Since(start); got != max(fate.Ack, fate.Answer) {
					t.Errorf("done after %v", got)
				}
			})
		})
	}
}

func TestOriginate_SyncHoldsTheSession(t *testing.T) {
	fate := Originated{Answer: 3 * time.Second, Failed: true}
	simulate(t, Config{Originate: func(*Action) Originated { return fate }}, func(t *testing.T, s *Server, n *Network) {
		p := loggedIn(t, n, "on")
		start := time.Now()
		p.send("Action: Originate", "Channel: PJSIP/bob", "Exten: 1")
		p.send("Action: Ping", "ActionID: 2")
		p.wants("Response: Error", "Message: Originate failed")
		if got := time.Since(start); got != fate.Answer {
			t.Errorf("answered after %v", got)
		}
		if got := p.next(); got[1] != "ActionID: 2" {
			t.Errorf("then came %q", got)
		}
	})
}

func TestEvents_ClassesAndHeaders(t *testing.T) {
	simulate(t, Config{SystemName: "pbx", TimestampEvents: true}, func(t *testing.T, s *Server, n *Network) {
		p := loggedIn(t, n, "off")
		p.send("Action: Events", "EventMask: call,nope")
		p.wants("Response: Success", "Events: On")
		s.Emit("Event", "Dropped", "Privilege", "user,all")
		s.Emit("Event", "Hangup", "Channel", "x")
		p.wants("Event: Hangup", "Privilege: call,all", "Timestamp: "+timestamp(time.Now()), "SystemName: pbx", "Channel: x")
		p.send("Action: Events", "EventMask: off")
		p.wants("Response: Success", "Events: Off")
		s.Emit("Event", "Hangup")
		p.send("Action: Ping", "ActionID: 3")
		if got := p.next(); got[1] != "ActionID: 3" {
			t.Errorf("an event came with events off: %q", got)
		}
		synctest.Wait()
	})
}
