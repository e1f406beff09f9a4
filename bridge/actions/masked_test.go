package actions

import (
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
)

// A caller gets the masked reply, and is told what is hidden, until the policy of
// that server grants it.
func TestMask_OfAReply(t *testing.T) {
	a := askingOf(t, func(c *config.Config) { c.Servers[1].ActionsAllow = setting.Globs{"PJSIPShowAuths:secrets"} }, "pbx1", "pbx2")
	for name, shown := range map[string]bool{"pbx1": false, "pbx2": true} {
		a.sims[name].Always("PJSIPShowAuths", func(s *amisim.Session, action *amisim.Action) {
			s.Write([]byte("Response: Success\r\nActionID: " + action.Get("ActionID") + "\r\nSecret: c4n4ry\r\n\r\n"))
		})
		text := string(a.reply(requestFor(name, "PJSIPShowAuths", "")).Data)
		if strings.Contains(text, "c4n4ry") != shown || strings.Contains(text, `"masked":["Secret"]`) == shown {
			t.Errorf("%s: %s", name, text)
		}
	}
}
