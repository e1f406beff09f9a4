package natsconn

import (
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
)

// whyRefused is what may be why nats-server takes no connection with a user's JWT, which says that
// of none: what the JWT itself says or, where it says nothing, what its account may.
func whyRefused(c *jwt.UserClaims, now time.Time) string {
	stamp := func(unix int64) string { return time.Unix(unix, 0).UTC().Format(time.RFC3339) }
	switch limits := JWTLimits(c); {
	case c.Expires > 0 && now.Unix() >= c.Expires:
		return " expired at " + stamp(c.Expires) + ": put another one there"
	case c.NotBefore > now.Unix():
		return " is good from " + stamp(c.NotBefore) + " on: put another one there"
	case limits != "":
		return " is good only " + limits + ": put another one there, if this connection is none of these"
	}
	return fmt.Sprintf(", signed by %s: its account has revoked the user, or has that key no more, or this nats-server does not know the account: put another one there", c.Issuer)
}

// JWTLimits says for which connections a user's JWT is good alone; empty: for all.
func JWTLimits(c *jwt.UserClaims) string {
	var all []string
	if types := c.AllowedConnectionTypes; len(types) > 0 {
		all = append(all, "for connections of the types "+strings.Join(types, ", "))
	}
	if len(c.Src) > 0 {
		all = append(all, "from "+strings.Join(c.Src, ", "))
	}
	if len(c.Times) > 0 {
		var times []string
		for _, t := range c.Times {
			times = append(times, t.Start+"-"+t.End)
		}
		where := "nats-server's time"
		if c.Locale != "" {
			where = c.Locale
		}
		all = append(all, fmt.Sprintf("at %s (%s)", strings.Join(times, ", "), where))
	}
	return strings.Join(all, ", ")
}
