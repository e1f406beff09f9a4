package ha

import (
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
)

// Who leads by its record and is not heard is named at once, and told once that lasts, until it is
// heard.
func TestStanding_WhoLeadsAndIsNotHeard(t *testing.T) {
	o := newObserved(t)
	core, lines := observer.New(zapcore.InfoLevel)
	o.log = zap.New(core)
	o.have([]*server{o.s})
	o.s.up.Store(1)
	o.lead(0)
	v := standby.View{Session: true, InSync: true, Fresh: true}
	step := func(e standby.Event) { o.s.machine.Step(o.now, v, e) }
	o.now = o.now.Add(o.o.Config.HASilence)
	for _, e := range []standby.Event{
		{Kind: standby.Tick}, {Kind: standby.SawTerm}, {Kind: standby.Wrote, Seq: 1}, {Kind: standby.Wrote, Seq: 2}, {Kind: standby.Read, Exact: true},
	} {
		step(e)
	}
	o.now = o.now.Add(time.Second)
	step(standby.Event{Kind: standby.Refused})
	step(standby.Event{Kind: standby.SawTerm, Seq: 3, Term: &standby.Term{Server: "pbx1", Node: "b2", Incarnation: "x", Term: 2}})
	o.stand()
	want := func(told bool, leader string) {
		t.Helper()
		o.lookUnheard(o.s, o.now)
		if got := o.standing(o.s, o.now).Leader; got != leader {
			t.Errorf("%q leads, want %q", got, leader)
		}
		if own := (&Handle{o.Node, o.s}).Own(); (own.State == standby.Joining && own.Reason == standby.Unheard) != told {
			t.Errorf("told: %v: it stands by as %+v", told, own)
		}
		const why = "pbx1: b2 leads it and is not heard: does NATS carry ami.ha.> between the two?"
		if slices.Contains(o.Reasons(), why) != told {
			t.Errorf("told: %v: %q", told, o.Reasons())
		}
	}
	want(false, "b2")
	o.now = o.now.Add(nobodyAfter * o.o.Config.HASilence)
	want(true, "b2")
	want(true, "b2")
	if n := lines.FilterMessage("another bridge leads and is not heard").Len(); n != 1 {
		t.Errorf("the log says it %d times", n)
	}
	step(standby.Event{Kind: standby.SawHeartbeat, Leader: standby.Leader{Node: "b2", Incarnation: "x", At: o.now, Mark: standby.Mark{Term: 2}}})
	want(false, "")
}

// That nobody leads a server the first of those that have it says; not one that stands aside for
// another of its name, for that one says so.
func TestStanding_WhoStandsAsideSaysNothing(t *testing.T) {
	o := newObserved(t)
	for _, aside := range []bool{false, true} {
		o.twin = twin{elder: aside, seen: o.now}
		nobody := standing{Standing: standby.Standing{Since: o.now.Add(-nobodyAfter * o.o.Config.HASilence), Reason: standby.NoSession}}
		o.s.known.standing.Store(&nobody)
		if v := o.standing(o.s, o.now); v.first == aside {
			t.Errorf("it stands aside: %v, and says that nobody leads: %v", aside, v.first)
		}
	}
}
