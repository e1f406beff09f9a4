package policy

import (
	"fmt"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/name"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// kept is how many bytes Asterisk keeps of a header's value, without the blanks in
// front: it goes on with these, whatever the rest says.
var kept = [...]struct {
	action, header string
	most           int
}{
	{"Originate", "Channel", 255}, // manager.c action_originate
	{"Originate", "CallerID", 255},
	{"Originate", "Context", 79}, // channel.h AST_MAX_CONTEXT, AST_MAX_EXTENSION
	{"Originate", "Exten", 79},
	{"Redirect", "Context", 79},
	{"Redirect", "Exten", 79},
	{"Redirect", "ExtraContext", 79},
	{"Redirect", "ExtraExten", 79},
	{"BlindTransfer", "Context", 79},
	{"BlindTransfer", "Exten", 79},
	{"QueueAdd", "Interface", 79}, // app_queue.c struct member
	{"QueueAdd", "StateInterface", 79},
}

// Uncut returns an error if Asterisk would cut a header's value: what it reads then
// is not what a rule has judged, such as the number at the end of a CallerID. The
// headers are those that would be written.
func Uncut(action name.Action, headers []frames.Header) error {
	for i := range kept {
		k := &kept[i]
		if !action.Is(k.action) {
			continue
		}
		for _, value := range Values(headers, k.header) {
			if len(value) > k.most {
				return fmt.Errorf("the value of %s has %d bytes, and %s reads %d of it", k.header, len(value), k.action, k.most)
			}
		}
	}
	return nil
}
