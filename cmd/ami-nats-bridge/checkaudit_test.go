package main

import (
	"strings"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
)

func TestCheck_ReplaysTheAuditAgainstThePolicyInForce(t *testing.T) {
	a := newArchive(t)
	envtest.Set(t, append(envtest.One("BRIDGE_NATS_URL="+a.url), "BRIDGE_ACTIONS_RULES=Hangup: Channel in (a)")...)
	now := time.Now()
	add := func(server, action, decision, fields string) {
		a.record(server, action, now.Add(-time.Hour), `"phase":"outcome","decision":"`+decision+`","fields":`+fields)
	}
	for range 3 {
		add("pbx1", "Originate", "allowed", `{"Channel":"PJSIP/1","Application":"ChanSpy","Data":"all"}`)
	}
	add("pbx1", "Originate", "refused", `{"Application":"ChanSpy"}`)
	add("pbx1", "Originate", "allowed", `{"Application":"Playback","Data":"beep"}`)
	add("pbx1", "Getvar", "allowed", `{"Variable":"AST_CONFIG(manager.conf,bridge,secret)"}`)
	add("pbx1", "MixMonitor", "allowed", `{"Channel":"x","File":"rec/[redacted]"}`)
	add("pbx1", "_unknown", "refused", `{}`)
	// A record has less than the request had, or had it otherwise.
	add("pbx1", "Originate", "allowed", `{"Variable":["NOTE=[redacted]"],"Data":"beep"}`)
	add("pbx1", "Originate", "allowed", `{"Variable":"NOTE=a, SHELL(id)=b"}`)
	add("pbx1", "Originate", "allowed", `{"Application":"ConfBridge","Data":"[redacted]"}`)
	add("pbx1", "Hangup", "allowed", `{"Channel":"[redacted]"}`)
	add("pbx1", "Hangup", "allowed", `{"Channel":"a"},"fields_omitted":2`)
	a.record("pbx1", "Ping", now.Add(-time.Hour), `"phase":"outcome","decision":"allowed"`)
	// Not asked for, or nobody's.
	a.record("pbx1", "Command", now.Add(-time.Hour), `"phase":"intent","decision":"allowed","fields":{}`)
	a.record("pbx1", "Command", now.Add(-9*24*time.Hour), `"phase":"outcome","decision":"allowed","fields":{}`)
	add("pbx7", "Command", "allowed", `{}`)

	out, _ := printed(t, 0, "check", "--replay-audit", "7d")
	want := []string{
		"pbx1 note Originate: default Originate:ChanSpy would refuse 4, of which 3 passed then",
		"pbx1 note Getvar: default Getvar:AST_CONFIG would refuse 1, of which 1 passed then",
		"pbx1 note MixMonitor: default MixMonitor:File would refuse 1, of which 1 passed then",
		"pbx1 note _unknown: bad_request: the subject's last token is not an Action: it wants 1 to 64 of A-Z a-z 0-9 _ - would refuse 1, of which 0 passed then",
		"audit ok 15 Actions recorded in the last 7d: the policy in force would refuse 7, of which 5 passed then",
		"audit note of 6 it cannot be told: their records have masked, cut or missing values",
		"audit note 1 are of servers or groups that are not configured here",
	}
	if got := strings.TrimSpace(squeeze(out)); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	envtest.Set(t, append(envtest.One("BRIDGE_NATS_URL="+a.url), "BRIDGE_ACTIONS_ALLOW=Originate:ChanSpy")...)
	if out, _ := printed(t, 0, "check", "--replay-audit", "7d"); strings.Contains(out, "ChanSpy") {
		t.Errorf("what is granted would be refused:\n%s", out)
	}
	if _, problems := printed(t, 2, "check", "--replay-audit", "a week"); !strings.Contains(problems, "such as 7d") {
		t.Error(problems)
	}
}
