package security

import (
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// What is no Action's name reaches no server, by whichever way it comes, also
// where everything is granted. Its records are under one fixed subject.
func TestPolicy_WhatIsNoActionIsAuditedUnderOneSubject(t *testing.T) {
	t.Parallel()
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	r := harness.Bridge(t, harness.NATS(t), func(c *config.Config) {
		harness.ChaosConfig(c)
		c.ActionsAllow = setting.Globs{"*"}
		c.Groups = []config.Group{{Name: "east", Servers: []string{"pbx1"}}}
	}, harness.ChaosServer("pbx1", addr))
	records := r.Subscribe("ami.audit.>")
	for _, server := range []string{"pbx1", "any", "all", "east"} {
		for _, token := range []string{"\x01Command", "Command\x01", "\x7fPing", "P\u00efng", "Ping:", strings.Repeat("P", 65)} {
			got := r.Call(server, token, "")
			harness.Fails(t, got, "bad_request", "no")
			if got.Error.Code != 400 || got.Action != "_unknown" {
				t.Errorf("%s.%q: %+v", server, token, got)
			}
			one := r.Record(records)
			if one.Subject != "ami.audit."+server+"._unknown" || one.Action != "_unknown" ||
				one.Decision != "refused" || !strings.HasPrefix(one.Rule, "bad_request: ") {
				t.Errorf("%s.%q is recorded on %s as %s", server, token, one.Subject, one.Text)
			}
		}
	}
	harness.Succeeds(t, r.Call("pbx1", "Ping", ""))
	if n := sim.Received("Command") + sim.Received("\x01Command"); n != 0 {
		t.Errorf("Command was sent %d times", n)
	}
}

// A group is asked for by a name, not by what reads like one.
func TestPolicy_AGroupsNameIsParsed(t *testing.T) {
	t.Parallel()
	_, r := harness.ChaosBridge(t, amisim.Config{}, nil)
	for _, group := range []string{"", "a b", "east.west", strings.Repeat("e", 33), "\u212aast"} {
		got := r.Call("all", "Ping", "", "Ami-Group", group)
		harness.Fails(t, got, "bad_request", "no")
		if !strings.Contains(got.Error.Message, "names no server and no group") {
			t.Errorf("%q: %s", group, got.Error.Message)
		}
	}
}
