package amiconn

import (
	"fmt"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
)

// Timeout returns how long an Action may take that asks for so long, or for
// nothing in particular if 0.
func (c *Config) Timeout(action string, wanted time.Duration) time.Duration {
	most, ok := setting.PerAction[time.Duration](c.ActionTimeouts).For(action)
	if !ok {
		most = c.ActionTimeout
	}
	if wanted <= 0 || wanted > most {
		return most
	}
	return wanted
}

// LongestTimeout returns the most that any Action may take.
func (c *Config) LongestTimeout() time.Duration {
	longest := c.ActionTimeout
	for _, t := range c.ActionTimeouts {
		longest = max(longest, t.Value)
	}
	return longest
}

// Timeouts are ActionTimeouts of some Actions.
type Timeouts setting.PerAction[time.Duration]

// Decode reads timeouts such as Originate=60s,Command=10s.
func (t *Timeouts) Decode(text string) error {
	all, ok := setting.ReadPerAction(text, func(text string) (time.Duration, bool) {
		d, err := time.ParseDuration(text)
		return d, err == nil && d > 0
	})
	if !ok {
		return fmt.Errorf("wants patterns of actions with positive durations, such as Originate=60s,Queue*=5s")
	}
	*t = Timeouts(all)
	return nil
}

// String returns what Decode reads.
func (t Timeouts) String() string { return setting.PerAction[time.Duration](t).String() }
