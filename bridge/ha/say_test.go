package ha

import (
	"errors"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
)

// saying has the machine take in e, of a session that is up, and its outbox do what it says.
func (o *observed) saying(e standby.Event) {
	o.s.machine.Step(o.now, standby.View{Session: true, InSync: true, Fresh: true}, e)
	if !o.s.machine.Leads() {
		o.stand()
		return
	}
	o.s.led = true
}

// A bridge that claims anew what it led says that it stands by, in sync, or, where something
// keeps it from leading, that it tries to read: never nothing.
func TestSays_WhoClaimsAnewIsHeard(t *testing.T) {
	o := newObserved(t)
	o.s.begun.Store(true)
	o.have([]*server{o.s})
	o.s.place.reads = true
	o.s.machine = standby.NewLeading("pbx1", "b1", "i1", o.o.Config.HASilence, o.now)
	o.s.up.Store(1)
	o.lead(0)
	o.now = o.now.Add(o.o.Config.HASilence)
	for _, e := range []standby.Event{
		{Kind: standby.Tick}, {Kind: standby.SawTerm}, {Kind: standby.Wrote, Seq: 1}, {Kind: standby.Wrote, Seq: 2}, {Kind: standby.Read, Exact: true},
	} {
		o.s.machine.Step(o.now, standby.View{Session: true, InSync: true, Fresh: true}, e)
	}
	if l, b := o.says(o.s, o.now); l == nil || b != nil {
		t.Fatalf("who leads says %+v, %+v", l, b)
	}
	o.now = o.now.Add(o.o.Config.HASilence)
	o.saying(standby.Event{Kind: standby.Refused})
	if l, b := o.says(o.s, o.now); l != nil || b == nil || b.State != standby.InSync.String() || len(o.tries(o.now)) > 0 {
		t.Fatalf("who claims anew says %+v, %+v, and tries %v", l, b, o.tries(o.now))
	}
	why := errors.New("no right")
	o.hindered.Store(&why)
	if l, b := o.says(o.s, o.now); l != nil || b != nil || len(o.tries(o.now)) != 1 {
		t.Fatalf("who is kept from it says %+v, %+v, and tries %v", l, b, o.tries(o.now))
	}
}
