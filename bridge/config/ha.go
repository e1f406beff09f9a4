package config

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
)

const (
	// maxShared is how many servers a bridge may have that shares them: all are in one
	// Heartbeat.
	maxShared = 2048
	// leastSharedAge is the least age at which the stream may drop the record of a term,
	// which is written anew before it is a minute old.
	leastSharedAge = 2 * time.Minute
)

// maxCopies is the most bridges that read one server: each is two sessions to it.
const (
	maxCopies    = 8
	copiesWanted = "wants 1 to 8"
)

// CopiesOf is by how many bridges own, a server of c, is read.
func (c *Config) CopiesOf(own *ServerConfig) int { return cmp.Or(own.HACopies, c.HACopies) }

// ServerOf returns the server of that name, nil if c has none.
func (c *Config) ServerOf(name string) *ServerConfig {
	for i := range c.Servers {
		if c.Servers[i].Name == name {
			return &c.Servers[i]
		}
	}
	return nil
}

// checkHA wants what bridges can share. What only NATS can say shows when it is reached.
func (c *Config) checkHA() error {
	if !c.HA {
		return nil
	}
	var problems []error
	check := func(ok bool, setting, reason string, args ...any) {
		if !ok {
			problems = append(problems, &amiconn.SettingError{Setting: setting, Reason: fmt.Sprintf(reason, args...)})
		}
	}
	check(c.Delivery == DeliverJetStream, "DELIVERY", "wants jetstream with BRIDGE_HA=on: the stream says which bridge leads")
	check(!c.Stream.Forwarded, "NATS_LEAF_URL", "does not go with BRIDGE_HA=on: bridges meet at one stream")
	check(c.NATS.URL != "" || c.Stream.Forwarded, "NATS_URL", "is missing with BRIDGE_HA=on: bridges meet at one nats-server, which is not inside one of them")
	check(c.Stream.MaxAge == 0 || c.Stream.MaxAge >= leastSharedAge, "STREAM_MAX_AGE", "wants at least 2m with BRIDGE_HA=on, or 0: the record of who leads must not expire")
	check(len(c.Servers) <= maxShared, "SERVERS", "wants at most %d with BRIDGE_HA=on", maxShared)
	for _, s := range c.Servers {
		own := func(setting string) string { return strings.TrimPrefix(s.Variable(setting), "BRIDGE_") } // as all settings are called here
		check(s.Sessions != 1, own("SESSIONS"), "wants 2 with BRIDGE_HA=on: each bridge logs in at %.40q", s.Name)
		check(len(s.ShedFirst) == 0, own("SHED_FIRST"), "does not go with BRIDGE_HA=on: a standby does not know what %.40q's leader sheds", s.Name)
	}
	return errors.Join(problems...)
}
