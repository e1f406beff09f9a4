package standby

import (
	"slices"
	"testing"
	"time"
)

// lead has a bridge lead servers and stand by for others.
func lead(t tb, all []*Roster, i int, leads, stands []string, state State, now time.Time) {
	t.Helper()
	var l []Leads
	var s []Stands
	for _, server := range leads {
		l = append(l, LeadsOf(server, Mark{Term: 1, Epoch: "e"}, ""))
	}
	for _, server := range stands {
		s = append(s, Stands{Server: server, State: state.String(), Term: 1})
	}
	deliver(t, all, all[i].Beat(l, s, now), now)
}

// Two bridges share what they lead, one move a second, and then nothing moves any more.
func TestMove_SharesTheLeadOneASecond(t *testing.T) {
	start := time.Unix(100, 0)
	servers := names("pbx", 20)
	all := fleetOf(t, repeated(servers, 2), repeated(1, 2), start)
	copies := func(string) int { return 2 }
	leads, other := slices.Clone(servers), []string(nil)
	var moves []time.Time
	for now := start; now.Before(start.Add(time.Minute)); now = now.Add(250 * time.Millisecond) {
		lead(t, all, 0, leads, other, InSync, now)
		lead(t, all, 1, other, leads, InSync, now)
		if _, ok := all[1].Move(copies, now); ok {
			t.Fatal("the other gives back")
		}
		if m, ok := all[0].Move(copies, now); ok {
			if m.To != "b2" || all[0].Ranked(m.Server, now)[0] != "b2" {
				t.Fatalf("%+v", m)
			}
			moves = append(moves, now)
			leads = slices.DeleteFunc(leads, func(s string) bool { return s == m.Server })
			other = append(other, m.Server)
		}
	}
	for _, s := range servers {
		if first := all[0].Ranked(s, start.Add(time.Minute)); len(first) != 2 || slices.Contains(leads, s) != (first[0] == "b1") {
			t.Errorf("%s is led by the wrong one: %v", s, first)
		}
	}
	if len(moves) < 3 || moves[0].Sub(start) < moveAfter {
		t.Errorf("moves at %v", moves)
	}
	for i := 1; i < len(moves); i++ {
		if moves[i].Sub(moves[i-1]) < time.Second {
			t.Errorf("moves at %v and %v", moves[i-1], moves[i])
		}
	}
}

// A session that is none of the copies is closed when all of those are in sync, and the
// lead goes to none that is not.
func TestMove_WaitsForWhoIsInSync(t *testing.T) {
	now := time.Unix(100, 0)
	all := fleetOf(t, repeated([]string{"pbx1"}, 3), repeated(1, 3), now)
	order := all[0].Ranked("pbx1", now)
	index := func(i int) int { return slices.Index([]string{"b1", "b2", "b3"}, order[i]) }
	best, second, last := index(0), index(1), index(2)
	copies := func(string) int { return 2 }
	for range 44 { // all are heard for long enough
		now = now.Add(250 * time.Millisecond)
		beat(t, all, now)
	}
	one := []string{"pbx1"}
	lead(t, all, last, one, nil, InSync, now)
	lead(t, all, best, nil, one, Joining, now)
	if m, ok := all[last].Move(copies, now); ok {
		t.Fatalf("%+v: nobody is in sync", m)
	}
	lead(t, all, second, nil, one, InSync, now)
	if m, ok := all[last].Move(copies, now); !ok || m.To != order[1] {
		t.Fatalf("%+v: the second is in sync", m)
	}
	lead(t, all, second, one, nil, InSync, now)
	lead(t, all, last, nil, one, InSync, now)
	now = now.Add(movePause)
	beat(t, all, now)
	if m, ok := all[last].Move(copies, now); ok {
		t.Fatalf("%+v: the best is not in sync yet", m)
	}
	lead(t, all, best, nil, one, InSync, now)
	if m, ok := all[last].Move(copies, now); !ok || m != (Move{Server: "pbx1"}) {
		t.Fatalf("%+v: the session is closed", m)
	}
	if m, ok := all[second].Move(copies, now); !ok || m.To != order[0] {
		t.Fatalf("%+v: the best leads", m)
	}
	if !all[best].Holds("pbx1", 2, now) || !all[second].Holds("pbx1", 2, now) || all[last].Holds("pbx1", 2, now) {
		t.Error("the copies are the first two")
	}
	if all[second].Holds("pbx1", 1, now) || all[second].Holds("pbx2", 2, now) {
		t.Error("one copy is the first; what nobody has nobody holds")
	}
}
