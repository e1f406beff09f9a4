package main

import (
	"slices"
	"strings"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/telling"
)

// stateWants is what the words of BRIDGE_AMI_STATE want of the user in manager.conf:
// classes in read=, and Actions that write= lets through.
var stateWants = map[string]struct{ classes, lists []string }{
	"channels":      {[]string{"call"}, []string{"CoreShowChannels"}},
	"bridges":       {[]string{"call"}, []string{"BridgeList"}},
	"queues":        {[]string{"agent", "call"}, []string{"QueueStatus"}}, // call: who hangs up, or is taken
	"parking":       {[]string{"call"}, []string{"ParkedCalls"}},
	"conferences":   {[]string{"call"}, []string{"ConfbridgeListRooms", "ConfbridgeList"}},
	"extensions":    {[]string{"call"}, []string{"ExtensionStateList"}},
	"agents":        {[]string{"agent", "call"}, []string{"Agents"}}, // call: who talks
	"presence":      {[]string{"call"}, []string{"PresenceStateList"}},
	"contacts":      {[]string{"system"}, []string{"PJSIPShowContacts"}},
	"registrations": {[]string{"system"}, []string{"PJSIPShowRegistrationsOutbound"}},
	"devices":       {[]string{"call"}, []string{"DeviceStateList"}},
}

// stateEvents says which kinds of the state change by lists alone, for their events do
// not come: has reports whether the user may read a class.
func (f *findings) stateEvents(cfg *amiconn.Config, has func(class string) bool) {
	lacks := map[string][]string{} // words by class
	for _, word := range f.state {
		for _, class := range stateWants[word].classes {
			if !cfg.Events.Has(class) || !has(class) {
				lacks[class] = append(lacks[class], word)
			}
		}
	}
	for _, class := range amiconn.EventClasses() {
		if words := lacks[class]; len(words) > 0 {
			f.add("note", "without events of class %s the state of %s is right only when lists have come: read= and %s want it",
				class, strings.Join(words, ","), cfg.Variable("EVENTS"))
		}
	}
}

// stateLists says which lists the user may not ask for, or no module has.
func (f *findings) stateLists(commands []field) {
	var missing, words []string
	for _, word := range f.state {
		for _, action := range stateWants[word].lists {
			if telling.Value(commands, action) == "" {
				missing = append(missing, action)
				if !slices.Contains(words, word) {
					words = append(words, word)
				}
			}
		}
	}
	if len(missing) > 0 {
		f.add("note", "the state of %s is never brought right: the user may not send %s, or no module has it",
			strings.Join(words, ","), strings.Join(missing, ","))
	}
}
