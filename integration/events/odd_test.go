package events

import (
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/realasterisk"
)

// What a real Asterisk answers with raw text, with several Responses or with an
// extra blank line ends at once, and disturbs nothing behind it.
func TestReal_OddActionsEnd(t *testing.T) {
	t.Parallel()
	realasterisk.Each(t, func(t *testing.T, a *realasterisk.Instance) {
		allow := func(c *config.Config) { c.ActionsAllow = setting.Globs{"ModuleLoad"} }
		r := harness.Bridge(t, harness.NATS(t), allow, harness.Server("pbx1", a.Addr(), a.User().Name, a.User().Secret))
		loaded := r.Call("pbx1", "ListCommands", "").Fields
		asked := 0
		for _, tc := range []struct{ action, body, kind string }{
			{"IAXnetstats", "", ""},          // no channel: one blank line is all
			{"Queues", "", "asterisk_error"}, // gone since 15
			{"DataGet", `{"Path":"/"}`, "asterisk_error"},
			{"QueueRule", "", ""},
			{"ModuleLoad", `{"LoadType":"sideways"}`, "asterisk_error"}, // two Errors
			{"FAXSession", `{"SessionNumber":"1"}`, "asterisk_error"},
			{"FAXStats", "", ""},
		} {
			if _, ok := loaded[tc.action]; !ok && tc.kind == "" {
				continue
			}
			asked++
			got := r.Call("pbx1", tc.action, tc.body, "Ami-Timeout", "20s")
			kind := ""
			if got.Error != nil {
				kind = got.Error.Kind
			}
			if kind != tc.kind {
				t.Errorf("%s: %q, want %q: %+v", tc.action, kind, tc.kind, got)
			}
			if pong := r.Call("pbx1", "Ping", ""); pong.Fields["Ping"] != "Pong" {
				t.Errorf("the Ping behind %s: %+v", tc.action, pong)
			}
		}
		if asked < 6 {
			t.Errorf("only %d of the odd actions are loaded", asked)
		}
		for _, name := range []string{"frames_corrupt_total", "responses_late_total", "responses_unmatched_total"} {
			if n := r.Metric(name); n != 0 {
				t.Errorf("%s is %v", name, n)
			}
		}
		t.Logf("Asterisk %s: %d odd actions", a.Version(), asked)
	})
}
