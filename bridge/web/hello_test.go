package web

import (
	"strings"
	"testing"
	"time"
)

// Who has just started a bridge is told the next step: a server, events, an Action, a call. Where calls were seen
// there is nothing of it.
func TestPage_FirstSteps(t *testing.T) {
	t.Parallel()
	at := func(change func(w *world)) *world {
		w := newWorld()
		w.node([]string{"pbx7"}, "CONNECTED")
		change(w)
		return w
	}
	quiet := func(w *world) {
		w.up("pbx7", time.Minute)
		w.tell("ami.status.pbx7.buffers", fields{"received": 0, "published": 0})
	}
	some := func(w *world) {
		w.up("pbx7", time.Minute)
		w.tell("ami.status.pbx7.buffers", fields{"received": 3, "published": 3})
	}
	none := newWorld()
	none.node(nil, "CONNECTED")
	const todo, done = "to do: ", "done: "
	for name, test := range map[string]struct {
		w    *world
		want []string
	}{
		"nothing is configured": {none, []string{todo + "Log in to an Asterisk", "ami-nats-bridge check", todo + "Events come", "call pbx1 CoreShowChannels"}},
		"nothing at all":        {newWorld(), []string{todo + "Log in to an Asterisk"}},
		"refused": {at(func(w *world) { w.lose("pbx7", "auth", "Login refused", time.Minute) }),
			[]string{"pbx7 login refused", todo + "Log in to an Asterisk", "call pbx7 CoreShowChannels"}},
		"no events": {at(quiet), []string{done + "pbx7 is logged in to", todo + "Events come"}},
		"events":    {at(some), []string{done + "Events come: 3 so far", todo + "Ask for an Action", todo + "Make a call"}},
		"an Action": {at(func(w *world) {
			some(w)
			w.flows["pbx7"] = fields{"received": 4, "published": 4}
			w.acted("pbx7", 0, 0, nil)
			w.pass(2 * time.Second)
			w.acted("pbx7", 1, 1, nil)
		}), []string{done + "Ask for an Action", todo + "Make a call"}},
	} {
		said := textOf(get(t, served(test.w, nil), "/").Body.String())
		for _, want := range test.want {
			if !strings.Contains(said, want) {
				t.Errorf("%s: it does not say %q: %s", name, want, said)
			}
		}
	}
	for name, w := range map[string]*world{"busy": allWell(), "ill": threeIll(), "NATS is away": natsDown(), "a call": at(func(w *world) {
		some(w)
		w.put("pbx7.server", fields{"State": "live", "Since": stamp(start)})
		w.put("pbx7.channel.1", fields{"Uniqueid": "1", "Linkedid": "1"})
	})} {
		if said := textOf(get(t, served(w, nil), "/").Body.String()); strings.Contains(said, "was seen yet") {
			t.Errorf("%s: %s", name, said)
		}
	}
}
