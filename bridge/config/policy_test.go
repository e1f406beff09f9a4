package config

import (
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/policy"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/policy/policytest"
)

func TestPolicy_AServersListsReplaceTheBridges(t *testing.T) {
	cfg, own := DefaultConfig(), DefaultServerConfig()
	cfg.ActionsAllow, cfg.ActionsDeny = setting.Globs{"Command"}, setting.Globs{"Ping"}
	if err := cfg.ActionsRules.Decode("Hangup: Channel absent"); err != nil {
		t.Fatal(err)
	}
	hangup := policytest.Headers("Channel: PJSIP/1")
	refused := func(action string) bool { return policytest.Rule(policy.New(cfg.PolicyOf(&own)), action, hangup) != "" }
	if refused("Command") || !refused("Ping") || !refused("Hangup") {
		t.Error("the bridge's lists are not in force")
	}
	// A variable that is set to nothing gives such a list.
	own.ActionsAllow, own.ActionsDeny, own.ActionsRules = setting.Globs{}, setting.Globs{}, policy.Rules{}
	if refused("Command") || !refused("Ping") || !refused("Hangup") {
		t.Error("empty lists of the server's replace the bridge's")
	}
	own.ActionsAllow, own.ActionsDeny = setting.Globs{"GetConfig"}, setting.Globs{"Status"}
	if err := own.ActionsRules.Decode("Redirect: Channel absent"); err != nil {
		t.Fatal(err)
	}
	if !refused("Command") || refused("GetConfig") || refused("Ping") || !refused("Status") || refused("Hangup") || !refused("Redirect") {
		t.Error("the server's lists do not replace the bridge's")
	}
}
