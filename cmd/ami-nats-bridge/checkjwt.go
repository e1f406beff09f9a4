package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

// userJWT says until when the one is good with which NATS has just let the bridge in; nil: there is none.
func (f *findings) userJWT(c *jwt.UserClaims) {
	if c == nil {
		return
	}
	if c.Expires > 0 {
		f.add("note", "the JWT in BRIDGE_NATS_CREDS_FILE expires at %s: NATS ends the connection then, and takes no other with it",
			time.Unix(c.Expires, 0).UTC().Format(time.RFC3339))
	}
	if len(c.Times) > 0 {
		f.add("note", "the JWT in BRIDGE_NATS_CREDS_FILE is good only %s: NATS ends the connection at other times, and takes none", natsconn.JWTLimits(c))
	}
}

// publishing says what the user may not publish, as far as its JWT says: to try it would take publishing.
// One without permissions has those of its account, or of the key that signed it.
func (f *findings) publishing(c *jwt.UserClaims, cfg *config.Config) {
	if c != nil && !(c.Pub.Empty() && c.Sub.Empty() && c.Resp == nil) {
		f.rights(c, cfg)
		return
	}
	shared := ""
	if cfg.HA {
		shared = ", ami.ha.>, ami.terms.>"
	}
	f.add("note", "permissions to publish (%s.events.>, %[1]s.status.>, %[1]s.nodes.>%s, $JS.API.STREAM.CREATE, and replies to _INBOX) are not checked: that would take publishing",
		cfg.SubjectPrefix, strings.ReplaceAll(shared, "ami.", cfg.SubjectPrefix+"."))
}

// maxRefused is how many of the subjects are named that a user may not publish to.
const maxRefused = 8

// rights says whether the permissions of the user's JWT let it publish what the bridge does.
func (f *findings) rights(c *jwt.UserClaims, cfg *config.Config) {
	may := func(subject string) bool {
		return (len(c.Pub.Allow) == 0 || natsconn.CoversAny(c.Pub.Allow, subject)) && !natsconn.CoversAny(c.Pub.Deny, subject)
	}
	var refused []string
	for _, subject := range published(cfg) {
		if !may(subject) {
			refused = append(refused, subject)
		}
	}
	if c.Resp == nil && !may("_INBOX.x") && !may("_R_.x") {
		refused = append(refused, "_INBOX.>, by which callers are answered")
	}
	if more := len(refused) - maxRefused; more > 0 {
		refused = append(refused[:maxRefused], fmt.Sprintf("and %d more", more))
	}
	if len(refused) > 0 {
		f.add("FAIL", "the JWT in BRIDGE_NATS_CREDS_FILE does not let the bridge publish to %s", strings.Join(refused, ", "))
		return
	}
	f.add("ok", "the JWT in BRIDGE_NATS_CREDS_FILE lets the bridge publish what it tells")
}

// published are subjects of which the bridge publishes each kind. The last token is nobody's.
func published(cfg *config.Config) []string {
	prefix := cfg.SubjectPrefix
	all := []string{prefix + ".nodes." + cfg.Node}
	if cfg.HA {
		all = append(all, prefix+".ha."+cfg.Node)
	}
	if cfg.State {
		all = append(all, "$KV."+streams.StateBucket+".x")
	}
	if cfg.IdempotencyWindow > 0 && cfg.Delivery != config.DeliverCore {
		all = append(all, "$KV."+streams.KeyBucket+".x")
	}
	for _, s := range cfg.Servers {
		all = append(all, prefix+".events."+s.Name+".x", prefix+".status."+s.Name+".x")
		if cfg.Audit != config.AuditOff {
			all = append(all, prefix+".audit."+s.Name+".x")
		}
		if cfg.HA {
			all = append(all, prefix+".terms."+s.Name)
		}
	}
	return all
}
