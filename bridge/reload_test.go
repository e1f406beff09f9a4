package bridge

import (
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// A rule reads values in the charset that requests are written in, which stays.
func TestReload_KeepsTheCharset(t *testing.T) {
	cfg, own := DefaultConfig(), DefaultServerConfig()
	own.Name, own.Addr, own.Username, own.Secret, own.Charset = "pbx1", "h:1", "u", "s3cret", frames.Latin1
	cfg.Node, cfg.Servers = "b1", []ServerConfig{own}
	b, err := New(cfg, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	next := cfg
	own.Charset = frames.UTF8
	next.Servers = []ServerConfig{own}
	if err := next.ActionsRules.Decode("Setvar: Value in (René)"); err != nil {
		t.Fatal(err)
	}
	b.Reload(next)
	policy := b.servers[0].target.permits.Load().policy
	if r := policy.refuses(actionName{"Setvar"}, testHeaders("Variable: X\nValue: Ren\xe9")); r != nil {
		t.Errorf("what is written in Latin-1 is refused: %s", r.reason)
	}
	if r := policy.refuses(actionName{"Setvar"}, testHeaders("Variable: X\nValue: Rene")); r == nil {
		t.Error("the new rule is not in force")
	}
}
