package standby

import (
	"fmt"
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
		if len(all[1].Moves(copies, now)) > 0 {
			t.Fatal("the other gives back")
		}
		for _, m := range all[0].Moves(copies, now) {
			if m.Kind != GiveLead || m.To != "b2" || all[0].Ranked(m.Server, now)[0] != "b2" {
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
	want := func(i int, want ...Move) {
		t.Helper()
		if got := all[i].Moves(copies, now); !slices.Equal(got, want) {
			t.Fatalf("%+v, want %+v", got, want)
		}
	}
	want(last) // nobody is in sync
	lead(t, all, second, nil, one, InSync, now)
	want(last, Move{Server: "pbx1", Kind: GiveLead, To: order[1]})
	lead(t, all, second, one, nil, InSync, now)
	lead(t, all, last, nil, one, InSync, now)
	now = now.Add(movePause)
	beat(t, all, now)
	want(last) // the best is not in sync yet
	lead(t, all, best, nil, one, InSync, now)
	want(last, Move{Server: "pbx1", Kind: End})
	want(second, Move{Server: "pbx1", Kind: GiveLead, To: order[0]})
}

// tryOf has a bridge try to read a server for that long.
func tryOf(t tb, all []*Roster, i int, server string, long time.Duration, now time.Time) {
	t.Helper()
	all[i].Try([]Tries{{server, long.Milliseconds()}})
	deliver(t, all, all[i].Beat(nil, nil, now), now)
}

// Who ranks first does not wait for one behind that has no session yet, who gives it up
// then. For one that has none for long another reads, and only one.
func TestMoves_OfWhoHasNoSession(t *testing.T) {
	now := time.Unix(100, 0)
	all := fleetOf(t, repeated([]string{"pbx1"}, 4), repeated(1, 4), now)
	var order []int
	for _, node := range all[0].Ranked("pbx1", now) {
		order = append(order, slices.Index(names("b", 4), node))
	}
	begin, end := []Move{{Server: "pbx1", Kind: Begin}}, []Move{{Server: "pbx1", Kind: End}}
	want := func(wants ...[]Move) {
		t.Helper()
		for i, want := range wants {
			if got := all[order[i]].Moves(func(string) int { return 1 }, now); !slices.Equal(got, want) {
				t.Fatalf("the one of rank %d does %+v, want %+v", i, got, want)
			}
		}
	}
	want(begin, nil, nil, nil)
	tryOf(t, all, order[1], "pbx1", 0, now)
	want(begin, nil, nil, nil)
	tryOf(t, all, order[0], "pbx1", 0, now)
	want(nil, end, nil, nil)
	// The one that is silent is not waited for, and not given way to.
	start := now
	for now = now.Add(worldBeat); now.Sub(start) <= time.Second+worldBeat; now = now.Add(worldBeat) {
		tryOf(t, all, order[1], "pbx1", 0, now)
	}
	if got := all[order[1]].Moves(func(string) int { return 1 }, now); len(got) > 0 {
		t.Fatalf("%+v: nobody else is there", got)
	}
	tryOf(t, all, order[0], "pbx1", 0, now)
	all[order[1]].Try(nil)
	deliver(t, all, all[order[1]].Beat(nil, nil, now), now)
	want(nil, nil, nil, nil)
	tryOf(t, all, order[0], "pbx1", stuckAfter, now)
	want(nil, begin, nil, nil)
	tryOf(t, all, order[1], "pbx1", stuckAfter, now)
	want(nil, nil, nil, nil)
	all[order[0]].Try(nil)
	lead(t, all, order[0], nil, []string{"pbx1"}, Joining, now)
	want(nil, end, nil, nil)
}

// A bridge that comes back again and again soon after is given no lead before it was heard for as
// long as that has made it prove: each time it would be lost with it. One that lasted is given it as ever.
func TestMoves_WhoComesAndGoesIsGivenNoLead(t *testing.T) {
	now := time.Unix(1000, 0)
	r := NewRoster("b1", "i1", 1, time.Second)
	server := ""
	for i := range 100 { // b2 ranks first
		if server = fmt.Sprint("pbx", i); score(server, "b2", 1) > score(server, "b1", 1) {
			break
		}
	}
	r.Serve([]string{server})
	run, seq := 0, uint64(0)
	givenAfter := func(lives time.Duration) (after time.Duration) {
		run++
		for began, end := now, now.Add(lives); now.Before(end); now = now.Add(250 * time.Millisecond) {
			seq++
			h := &Heartbeat{Node: "b2", Incarnation: fmt.Sprint("x", run), Seq: seq, Weight: 1, Servers: []string{server}, List: ListHash([]string{server}),
				Stands: []Stands{{Server: server, State: InSync.String(), Term: 1}}}
			if err := r.Observe(h, now); err != nil {
				t.Fatal(err)
			}
			r.Beat([]Leads{{Server: server, Term: 1}}, nil, now)
			if moves := r.Moves(func(string) int { return 2 }, now); len(moves) > 0 && after == 0 {
				after = now.Sub(began)
			}
		}
		now = now.Add(3 * time.Second)
		return after
	}
	for i, test := range []struct{ lives, given time.Duration }{
		{15 * time.Second, moveAfter}, {15 * time.Second, 0}, {50 * time.Second, 4 * moveAfter}, {70 * time.Second, 0}, {proven + time.Second, 16 * moveAfter}, {15 * time.Second, moveAfter},
	} {
		if got := givenAfter(test.lives); got != test.given {
			t.Errorf("start %d: it is given the lead after %v, want %v", i, got, test.given)
		}
	}
}
