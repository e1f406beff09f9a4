package realasterisk

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// dialInterval is how often a port that nobody listens on yet is tried; there is nothing to wait on.
const dialInterval = 50 * time.Millisecond

// ready waits until Asterisk says FullyBooted, and seeds it. It ends early when the process does.
func (i *Instance) ready(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	i.wg.Go(func() {
		select {
		case <-i.exited:
			cancel(fmt.Errorf("asterisk ended: %w", i.exit))
		case <-ctx.Done():
		}
	})
	if err := i.Booted(ctx); err != nil {
		return err
	}
	return i.acquaint(ctx)
}

// Booted waits until Asterisk says FullyBooted, which it does behind each login from then on.
func (i *Instance) Booted(ctx context.Context) error {
	c, err := dialUntil(ctx, i.addr)
	if err != nil {
		return fmt.Errorf("AMI does not answer: %w", err)
	}
	defer c.Close()
	if err := c.Login(ctx, i.user, Plain, "system"); err != nil {
		return err
	}
	if _, err := c.Until(ctx, func(f Frame) bool { return f.Event() == "FullyBooted" }); err != nil {
		return fmt.Errorf("not booted: %w", err)
	}
	return nil
}

// restart is Asterisk's command for it, and notYet how it answers before it knows that: FullyBooted comes
// earlier (asterisk.c registers cli_asterisk_shutdown behind it).
const (
	restart = "core restart now"
	notYet  = "No such command"
)

// RestartNow has Asterisk restart itself, once it has booted, and returns when it has ended.
func (i *Instance) RestartNow(ctx context.Context) error {
	if err := i.Booted(ctx); err != nil {
		return err
	}
	c, err := i.Actions(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		reply, err := c.Do(ctx, "Action: Command", "Command: "+restart)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("%s: %w", restart, err)
		case err != nil: // its sessions end with it
			return nil
		case len(reply) != 1 || !strings.Contains(string(reply[0]), notYet):
			return fmt.Errorf("%s: %q", restart, reply)
		}
	}
}

// dialUntil dials until somebody answers with a banner or ctx ends.
func dialUntil(ctx context.Context, addr string) (*Client, error) {
	tick := time.NewTicker(dialInterval)
	defer tick.Stop()
	for {
		c, err := Dial(ctx, addr)
		if err == nil {
			return c, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w, last: %w", context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

// acquaint learns the version and, in the bench's own Asterisk, makes what no configuration file can:
// AstDB entries, custom device and presence states. Their list actions are empty without.
func (i *Instance) acquaint(ctx context.Context) error {
	c, err := i.Actions(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	reply, err := c.Do(ctx, "Action: CoreSettings")
	if err != nil {
		return err
	}
	if len(reply) > 0 {
		i.version = reply[0].Get("AsteriskVersion")
	}
	if !i.OwnConfiguration() {
		return nil
	}
	for _, action := range [][]string{
		{"Action: DBPut", "Family: bench", "Key: one", "Val: 1"},
		{"Action: DBPut", "Family: bench", "Key: name", "Val: Zoë Ω 李雷"},
		{"Action: DBPut", "Family: bench/deep", "Key: colon: key", "Val: a: b: c"},
		{"Action: Setvar", "Variable: DEVICE_STATE(Custom:lamp)", "Value: NOT_INUSE"},
		{"Action: Setvar", "Variable: DEVICE_STATE(Custom:door)", "Value: RINGING"},
		{"Action: Setvar", "Variable: PRESENCE_STATE(CustomPresence:alice)", "Value: away,Zoë,Mittag"},
	} {
		reply, err := c.Do(ctx, action...)
		if err != nil {
			return err
		}
		if len(reply) != 1 || reply[0].Get("Response") != "Success" {
			return fmt.Errorf("%s, %s: %q", action[0], action[1], reply)
		}
	}
	return nil
}

// Actions opens a session for Do: logged in as User with events off.
func (i *Instance) Actions(ctx context.Context) (*Client, error) { return i.session(ctx, "off") }

// Events opens a session that Next and Until read: logged in as User with every event.
func (i *Instance) Events(ctx context.Context) (*Client, error) { return i.session(ctx, "on") }

func (i *Instance) session(ctx context.Context, events string) (*Client, error) {
	c, err := Dial(ctx, i.addr)
	if err != nil {
		return nil, err
	}
	if err := c.Login(ctx, i.user, MD5, events); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}
