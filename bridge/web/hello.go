package web

import (
	"cmp"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// hello are the steps from a bridge that has just been started to calls that are seen, as long as
// that is not so; no steps later.
type hello struct {
	Text  string
	Steps []step
}

type step struct {
	Done          bool
	What, More    string
	Command       string
	Href, HrefFor string
}

// fewEvents are no more than a login brings, and what an Asterisk without calls sends for a while.
const fewEvents = 100

func (p *painter) hello() any {
	up, events, asked, calls := "", uint64(0), false, 0
	for i := range p.snap.Servers {
		s := &p.snap.Servers[i]
		for k := range s.Sessions {
			if c := &s.Sessions[k]; c.State == "up" && c.ReadsEvents() {
				up = cmp.Or(up, s.Name)
			}
		}
		if s.Account != nil {
			events += s.Account.Received
		}
		if s.Rates != nil {
			for _, ms := range s.Rates.P95Past {
				asked = asked || ms > 0
			}
		}
		if s.Present != nil {
			calls += s.Present.Calls
		}
	}
	if events >= fewEvents || calls > 0 || !p.snap.NATS.Up {
		return hello{}
	}
	name := cmp.Or(up, p.tapped(), "pbx1")
	h := hello{Text: "It runs, and no call was seen yet", Steps: []step{
		{Done: true, What: "NATS is there", More: "Events and Actions are on its subjects."},
		{Done: up != "", What: "Log in to an Asterisk", More: "check logs in, says what is missing, and changes nothing.",
			Command: "BRIDGE_SERVERS=pbx1 BRIDGE_SERVER_PBX1_ADDR=10.0.0.1:5038 BRIDGE_SERVER_PBX1_USERNAME=bridge BRIDGE_SERVER_PBX1_SECRET_FILE=… ami-nats-bridge check"},
		{Done: events > 0, What: "Events come", More: "Each is a message on ami.events.<server>.<Event>.", Command: "ami-nats-bridge tail", Href: "/?view=" + viewEvents, HrefFor: "see them here"},
		{Done: asked, What: "Ask for an Action", More: "All that AMI can do, as a request on NATS.", Command: "ami-nats-bridge call " + name + " CoreShowChannels"},
		{Done: false, What: "Make a call", More: "It is under Calls while it is up, if the state is kept; queues and agents are on the Floor.", Href: "/?view=" + viewCalls, HrefFor: "see it here"},
		{Done: false, What: "See all of it without a browser", Command: "ami-nats-bridge top"},
	}}
	if up != "" {
		h.Steps[1].What, h.Steps[1].More, h.Steps[1].Command = up+" is logged in to", "Its events come in, and Actions go out.", ""
	}
	if events > 0 {
		h.Steps[2].What = "Events come: " + view.Count(events) + " so far"
	}
	return h
}
