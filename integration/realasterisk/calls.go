package realasterisk

import (
	"context"
	"fmt"
	"strings"
	"sync"
)

// Calls makes one call to each of extens in the bench's dialplan (integration/asterisk/etc/extensions.conf),
// all at once, through Local channels, and returns when all channels are gone again. Their events have been
// sent then, but for CDR and CEL, which Asterisk makes in threads of their own. Other calls on the same
// Asterisk meanwhile are waited for as well. A hundred of "call" make some 11,000 events in 1.5 s.
func (i *Instance) Calls(ctx context.Context, extens ...string) error {
	actions, err := i.Actions(ctx)
	if err != nil {
		return err
	}
	defer actions.Close()
	events, err := i.session(ctx, "call,user")
	if err != nil {
		return err
	}
	defer events.Close()

	ctx, cancel := context.WithCancelCause(ctx)
	var originating sync.WaitGroup
	defer originating.Wait()
	defer cancel(nil)
	originating.Go(func() {
		for _, exten := range extens {
			if err := actions.originate(ctx, exten); err != nil {
				cancel(err)
				return
			}
		}
	})
	w := watch{prefix: actions.prefix, channels: map[string]bool{}}
	if _, err := events.Until(ctx, func(f Frame) bool { return w.see(f).answered == len(extens) }); err != nil {
		return fmt.Errorf("calls: %d of %d answered: %w", w.answered, len(extens), err)
	}
	originating.Wait()
	// OriginateResponse overtakes the channels' events, a mark does not.
	if err := actions.originate(ctx, "mark-"+actions.prefix); err != nil {
		return err
	}
	marked := IsMark(actions.prefix)
	over := func(f Frame) bool {
		w.marked = w.marked || marked(f)
		return len(w.see(f).channels) == 0 && w.marked
	}
	if _, err := events.Until(ctx, over); err != nil {
		return fmt.Errorf("calls: %d channels left: %w", len(w.channels), err)
	}
	return nil
}

// watch is what Calls knows about the calls it made.
type watch struct {
	prefix   string // of the ActionIDs
	answered int    // calls with an OriginateResponse, successful or not
	channels map[string]bool
	marked   bool
}

func (w *watch) see(f Frame) *watch {
	switch f.Event() {
	case "Newchannel":
		w.channels[f.Get("Uniqueid")] = true
	case "Hangup":
		delete(w.channels, f.Get("Uniqueid"))
	case "OriginateResponse":
		if strings.HasPrefix(f.Get("ActionID"), w.prefix) {
			w.answered++
		}
	}
	return w
}

// Mark makes a call that raises one UserEvent, for which IsMark(text) is true, behind the events of all calls
// before. Text is letters, digits and dashes. It returns when Asterisk has queued the call.
func (i *Instance) Mark(ctx context.Context, text string) error {
	actions, err := i.Actions(ctx)
	if err != nil {
		return err
	}
	defer actions.Close()
	return actions.originate(ctx, "mark-"+text)
}

// IsMark returns a function that is true for the event of Mark(text).
func IsMark(text string) func(Frame) bool {
	return func(f Frame) bool {
		return f.Event() == "UserEvent" && f.Get("UserEvent") == "Mark" && f.Get("Mark") == text
	}
}

func (c *Client) originate(ctx context.Context, exten string) error {
	reply, err := c.Do(ctx, "Action: Originate", "Async: true", "Channel: Local/"+exten+"@load",
		"Application: Wait", "Data: 30", "CallerID: Jürgen Müß <4711>", "Variable: bench="+exten)
	if err != nil {
		return err
	}
	if len(reply) != 1 || reply[0].Get("Response") != "Success" {
		return fmt.Errorf("originate %s: %q", exten, reply)
	}
	return nil
}
