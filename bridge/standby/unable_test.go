package standby

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A leader that cannot do all that one does yields to one that is in sync and can do more,
// once it is so for as long as a silence; one that is mute without waiting for what is in
// flight.
func TestLeading_YieldsToWhoCanDoMore(t *testing.T) {
	for _, test := range []struct {
		own, heir Unable
		yields    bool
	}{
		{Deaf, "", true}, {Deaf, NoActions, true}, {Deaf, Mute, false}, {Mute, "", true}, {Mute, NoActions, true}, {NoActions, "", true},
		{Mute, Mute, false}, {NoActions, NoActions, false}, {NoActions, Mute, false}, {"", "", false}, {"", NoActions, false},
		{"newer", "", true}, {"newer", NoActions, false},
	} {
		s := newLeader(t)
		s.view.Successor, s.view.HeirSync, s.view.Unable, s.view.HeirUnable = "b2", true, test.own, test.heir
		got, after := s.until(20 * time.Second)
		want := []Decision{Drain}
		switch {
		case !test.yields:
			want = nil
		case test.own == Mute:
			want = []Decision{Drain, Yield}
		}
		if !slices.Equal(got, want) || test.yields && (after < time.Second || after > 1200*time.Millisecond) {
			t.Errorf("%q, the heir %q: %v after %v", test.own, test.heir, got, after)
		}
		if test.own == Mute && test.yields && s.l.Heir() != "b2" {
			t.Errorf("it yields to %q", s.l.Heir())
		}
	}
}

// Whoever is deaf does not lead on for as long as the heir takes itself for mute, of which it learns
// nothing more while it stands by.
func TestLeading_OneThatIsDeafYieldsAtLast(t *testing.T) {
	s := newLeader(t)
	s.view.Successor, s.view.HeirSync, s.view.Unable, s.view.HeirUnable = "b2", true, Deaf, Mute
	s.wait(mutePatience, Drain)
	s = newLeader(t)
	s.view.Successor, s.view.HeirSync, s.view.Unable, s.view.HeirUnable = "b2", false, Deaf, Mute
	if got, _ := s.until(5 * time.Minute); len(got) > 0 && got[0] == Drain {
		t.Error("it yields to one that is not in sync")
	}
}

// One that is mute leads on for long where events of other servers are stored, and longer where who
// would lead next stores no more of what it leads itself: a slow stream is slower with each claim.
func TestLeading_LeadsOnWhereTheStreamIsSlow(t *testing.T) {
	s := newLeader(t)
	s.view.Successor, s.view.HeirSync, s.view.Unable, s.view.HeirNoBetter = "b2", true, Mute, true
	s.wait(mutePatience, Drain, Yield)
	s = newLeader(t)
	s.view.Successor, s.view.HeirSync, s.view.Unable, s.view.OthersStored = "b2", true, Mute, true
	s.wait(slowStore, Drain, Yield)
	s = newLeader(t)
	s.view.Successor, s.view.HeirSync, s.view.Unable, s.view.OthersStored, s.view.HeirNoBetter = "b2", true, Deaf, true, true
	s.wait(time.Second, Drain)
}

// Who is mute with half as large a share of what it leads is no better; who is with nothing
// is, and who leads nothing may be.
func TestRoster_NoBetter(t *testing.T) {
	leads := func(n, mute int) (all []Leads) {
		for i := range n {
			l := Leads{Server: fmt.Sprint("pbx", i)}
			if i < mute {
				l.Unable = Mute
			}
			all = append(all, l)
		}
		return all
	}
	now := time.Unix(100, 0)
	for _, test := range []struct {
		leads, mute, own, ownMute int
		want                      bool
	}{
		{0, 0, 10, 10, false}, {1, 0, 1, 1, false}, {1, 1, 1, 1, true}, {10, 0, 10, 1, false}, {10, 1, 10, 1, true},
		{10, 5, 20, 20, true}, {10, 4, 20, 20, false}, {20, 10, 5, 5, true}, {20, 9, 5, 5, false}, {10, 10, 20, 1, true},
	} {
		r := NewRoster("b1", "i1", 1, time.Second)
		r.Beat(leads(test.own, test.ownMute), nil, now)
		if err := r.Observe(&Heartbeat{Node: "b2", Incarnation: "i2", Seq: 1, Weight: 1, Leads: leads(test.leads, test.mute)}, now); err != nil {
			t.Fatal(err)
		}
		if got := r.NoBetter("b2"); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
	if NewRoster("b1", "i1", 1, time.Second).NoBetter("") {
		t.Error("nobody is no better")
	}
}

// What nobody has followed it leads on, and yields again later. A connection that comes
// again soon is none to yield for.
func TestLeading_LeadsOnWhereNobodyFollows(t *testing.T) {
	s := newLeader(t)
	s.view.Successor, s.view.HeirSync = "b2", true
	for range 5 {
		s.view.Unable = Mute
		s.now = s.now.Add(900 * time.Millisecond)
		s.on(Event{Kind: FirstStored})
		s.view.Unable = ""
		s.on(Event{Kind: FirstStored})
	}
	s.view.Unable = Mute
	s.on(Event{Kind: FirstStored})
	s.wait(time.Second, Drain, Yield)
	s.wait(yieldPatience, Publish)
	s.wait(keptPause, Drain, Yield)
	s.on(s.heard("b2", 6, ""), Hold)
	if s.l.Leads() {
		t.Error("it leads")
	}
}

// Where none is in sync, which has to be so where the leader has stored nothing, one that is
// mute leaves the lead at last, and waits longer than others until it claims.
func TestLeading_OneThatIsMuteLeaves(t *testing.T) {
	s := newLeader(t)
	s.view.Successor, s.view.Unable = "b2", Mute
	s.wait(mutePatience, Drain)
	s.on(Event{Kind: Drained}, Hold)
	s.view.Turn = 1
	s.wait(time.Second+turnPause+mutePause, AskTerm)

	s.view.Turn = 0 // nobody else may
	s.on(s.heard("b2", 6, ""), Hold)
	s.wait(time.Second, AskTerm)

	s = newLeader(t) // to nobody; but its record stands still for so long that who does not hear it claims
	s.view.Unable = Mute
	s.wait(renewUnable, WriteTerm)
}

// Who is not in sync leaves the claim to one that is, for a while: its own would be a Gap.
func TestLeading_LeavesTheClaimToOneInSync(t *testing.T) {
	for _, test := range []struct {
		inSync, heirSync bool
		heir             Unable
		more             time.Duration
	}{
		{true, true, "", 0}, {false, false, "", coldPause}, {false, true, "", coldPause + syncPause},
		{false, true, NoActions, coldPause + syncPause}, {false, true, Mute, coldPause},
	} {
		s := newScript(t)
		s.on(s.heard("b2", 4, ""))
		s.view.InSync, s.view.HeirSync, s.view.HeirUnable = test.inSync, test.heirSync, test.heir
		s.wait(time.Second+test.more, AskTerm)
	}
}

// Of two in sync who has no Actions claims behind who has, and who is mute behind all; and
// every bridge has that order.
func TestTurn_WhoCannotLeadIsLast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(100, 0)
		n := rapid.IntRange(2, 6).Draw(t, "bridges")
		all := fleetOf(t, repeated([]string{"pbx1"}, n), repeated(1, n), now)
		says := make([]Stands, n)
		for i := range says {
			says[i] = Stands{
				Server: "pbx1", Term: 1, AgeMS: int64(rapid.IntRange(0, 3).Draw(t, "age")),
				State:  rapid.SampledFrom([]string{"in_sync", "joining", "apart"}).Draw(t, "state"),
				Unable: rapid.SampledFrom([]Unable{"", "", NoActions, Mute}).Draw(t, "unable"),
			}
			deliver(t, all, all[i].Beat(nil, says[i:i+1], now), now)
		}
		order := make([]*Stands, n)
		for i, r := range all {
			turn := r.Turn("pbx1", now)
			if order[turn] != nil {
				t.Fatalf("two have the turn %d", turn)
			}
			order[turn] = &says[i]
			if to, _ := r.Successor("pbx1", now); r.Unable("pbx1", to) != all[0].Unable("pbx1", to) {
				t.Fatalf("%s has heard something else of %s", r.self, to)
			}
		}
		for i := 1; i < n; i++ {
			a, b := order[i-1], order[i]
			if a.Unable == Mute && b.Unable != Mute || b.Unable != Mute && a.State != "in_sync" && b.State == "in_sync" ||
				a.Unable == NoActions && b.Unable == "" && a.State == "in_sync" && b.State == "in_sync" {
				t.Fatalf("%+v claims before %+v", *a, *b)
			}
		}
	})
}

// No server is moved to one that cannot lead it.
func TestMove_NotToWhoCannotLead(t *testing.T) {
	for _, unable := range []Unable{"", NoActions, Mute} {
		now := time.Unix(100, 0)
		all := fleetOf(t, repeated([]string{"pbx1"}, 2), repeated(1, 2), now)
		leads, better := all[0], all[1]
		if leads.Ranked("pbx1", now)[0] == "b1" {
			leads, better = better, leads
		}
		for range 50 { // it is heard for long enough
			now = now.Add(250 * time.Millisecond)
			deliver(t, all, leads.Beat([]Leads{LeadsOf("pbx1", Mark{Term: 1, Epoch: "e"}, "")}, nil, now), now)
			deliver(t, all, better.Beat(nil, []Stands{{Server: "pbx1", State: "in_sync", Term: 1, Unable: unable}}, now), now)
		}
		moves := leads.Moves(func(string) int { return 2 }, now)
		if gives := slices.ContainsFunc(moves, func(m Move) bool { return m.Kind == GiveLead }); gives != (unable == "") {
			t.Errorf("%q: %+v", unable, moves)
		}
	}
}
