package standby

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What is told of who stands by is what the leader may rely on: not what a bridge says of
// an older term, nor one that is silent, nor how far one is behind that does not know.
func TestRoster_StandbysAsTheLeaderSeesThem(t *testing.T) {
	now := time.Unix(100, 0)
	all := fleetOf(t, repeated([]string{"pbx1"}, 6), repeated(1, 6), now)
	for i, s := range []Stands{
		{}, // b1 leads
		{State: "in_sync", Term: 3, Lag: 5}, {State: "in_sync", Term: 2, Lag: 9}, {State: "apart", Reason: Behind, Term: 3, Lag: 70},
		{State: "apart", Reason: Differs, Term: 3, Lag: 8}, {State: "waiting", Term: 3},
	} {
		if s.Server = "pbx1"; s.State != "" {
			deliver(t, all, all[i].Beat(nil, []Stands{s}, now), now)
		}
	}
	deliver(t, all, all[0].Beat([]Leads{LeadsOf("pbx1", Mark{Term: 3, Epoch: "e"}, "")}, nil, now), now)
	want := []Standby{
		{Node: "b2", State: InSync, Lag: 5}, {Node: "b3", State: Joining}, {Node: "b4", State: Apart, Reason: Behind, Lag: 70},
		{Node: "b5", State: Apart, Reason: Differs}, {Node: "b6", State: Joining},
	}
	standbys := all[0].Standbys(nil, "pbx1", "b1", 3, now)
	if diff := cmp.Diff(want, standbys); diff != "" {
		t.Error(diff)
	}
	for _, b := range standbys {
		if b.Knows() != (b.Node == "b2" || b.Node == "b4") {
			t.Errorf("%+v: its lag is known: %v", b, b.Knows())
		}
	}
	if got := all[0].Standbys(nil, "pbx1", "b2", 3, now); len(got) != 4 || got[0].Node != "b3" {
		t.Errorf("b2 leads, and stands by: %+v", got)
	}
	later := now.Add(time.Minute)
	if got := all[0].Standbys(nil, "pbx1", "b1", 3, later); len(got) != 0 {
		t.Errorf("all are silent, and stand by: %+v", got)
	}
	if l, ok := all[1].LeaderNow("pbx1", now); !ok || l.Node != "b1" || l.Mark.Term != 3 {
		t.Errorf("%+v leads", l)
	}
	if l, ok := all[1].LeaderNow("pbx1", later); ok {
		t.Errorf("it is silent, and %+v leads", l)
	}
}

// Of bridges that are alive and have the server one is the first, and all agree which; of
// one that is silent the next takes the place.
func TestRoster_FirstIsOneOfThoseThatHaveIt(t *testing.T) {
	now := time.Unix(100, 0)
	all := fleetOf(t, [][]string{{"pbx1"}, {"pbx1"}, {"pbx1"}, {"pbx2"}}, repeated(1, 4), now)
	first := func(now time.Time) (at int) {
		t.Helper()
		at = -1
		for i, r := range all {
			if !r.IsFirst("pbx1", now) {
				continue
			}
			if at >= 0 || i == 3 {
				t.Errorf("%d is the first, and so is %d", at, i)
			}
			at = i
		}
		return at
	}
	if first(now) < 0 {
		t.Error("nobody is the first")
	}
	later := now.Add(time.Minute)
	for i, r := range all[:3] {
		if !r.IsFirst("pbx1", later) {
			t.Errorf("%d is alone, and not the first", i)
		}
	}
}

// A version that does not say for how long there is a lag is not taken for one without.
func TestRoster_KnowsForHowLongAStandbyLags(t *testing.T) {
	now := time.Unix(100, 0)
	all := fleetOf(t, repeated([]string{"pbx1"}, 2), repeated(1, 2), now)
	for _, test := range []struct {
		says  Stands
		want  Standby
		knows bool
	}{
		{Stands{State: "in_sync", Term: 1}, Standby{State: InSync}, true},
		{Stands{State: "in_sync", Term: 1, Lag: 3, LagMS: 250}, Standby{State: InSync, Lag: 3, LagFor: 250 * time.Millisecond}, true},
		{Stands{State: "in_sync", Term: 1, Lag: 3}, Standby{State: InSync, Lag: 3}, false},
		{Stands{State: "joining", Reason: Behind, Lag: 3, LagMS: 1}, Standby{State: Joining, Reason: Behind}, false},
		{Stands{State: "joining", Reason: Alike}, Standby{State: Joining, Reason: Alike}, false},
		{Stands{State: "apart", Reason: Behind, Lag: 3, LagMS: 9000}, Standby{State: Apart, Reason: Behind, Lag: 3, LagFor: 9 * time.Second}, true},
	} {
		test.says.Server, test.want.Node = "pbx1", "b2"
		deliver(t, all, all[1].Beat(nil, []Stands{test.says}, now), now)
		got := all[0].Standbys(nil, "pbx1", "b1", 1, now)
		if len(got) != 1 || got[0] != test.want || got[0].KnowsFor() != test.knows {
			t.Errorf("%+v: %+v", test.says, got)
		}
	}
}

// What is known of the other bridges is what they said themselves.
func TestRoster_OthersAreKnownByWhatTheySay(t *testing.T) {
	now := time.Unix(100, 0)
	all := fleetOf(t, repeated([]string{"pbx1", "pbx2"}, 2), repeated(1, 2), now)
	h := all[1].Beat([]Leads{LeadsOf("pbx1", Mark{Term: 1, Epoch: "e"}, "")}, []Stands{{Server: "pbx2", State: "in_sync"}, {Server: "pbx3", State: "apart"}}, now)
	deliver(t, all, h, now)
	want := []Peer{{Node: "b2", At: now, Alive: true, Leads: 1, StandsBy: 2, InSync: 1}}
	if diff := cmp.Diff(want, all[0].Peers(now)); diff != "" {
		t.Error(diff)
	}
	if got := all[0].Peers(now.Add(time.Minute)); len(got) != 1 || got[0].Alive {
		t.Errorf("b2 is silent: %+v", got)
	}
}
