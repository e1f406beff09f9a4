package standby

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// tb is a testing.T or a rapid.T.
type tb interface {
	Helper()
	Fatal(args ...any)
}

func names(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint(prefix, i+1)
	}
	return out
}

// fleetOf returns bridges that have all heard one another, with the servers of each.
func fleetOf(t tb, servers [][]string, weights []int, now time.Time) []*Roster {
	t.Helper()
	var all []*Roster
	for i := range servers {
		r := NewRoster(fmt.Sprint("b", i+1), fmt.Sprint("i", i+1), weights[i], time.Second)
		r.Serve(servers[i])
		all = append(all, r)
	}
	beat(t, all, now)
	return all
}

// beat has every bridge say the same again, and all hear it as it comes over NATS.
func beat(t tb, all []*Roster, now time.Time) {
	t.Helper()
	for _, r := range all {
		me := r.members[r.self]
		deliver(t, all, r.Beat(me.Leads, me.Stands, now), now)
	}
}

func deliver(t tb, all []*Roster, h *Heartbeat, now time.Time) {
	t.Helper()
	data, err := h.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		got, err := DecodeHeartbeat(data)
		if err == nil {
			err = r.Observe(got, now)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func repeated[T any](v T, n int) []T { return slices.Repeat([]T{v}, n) }

// A bridge that comes or goes moves only its share, and no server between others.
func TestRanked_MovesOnlyTheShareOfWhoComesOrGoes(t *testing.T) {
	now := time.Unix(100, 0)
	servers := names("pbx", 1000)
	for _, copies := range []int{1, 2} {
		ten := fleetOf(t, repeated(servers, 10), repeated(1, 10), now)[0]
		eleven := fleetOf(t, repeated(servers, 11), repeated(1, 11), now)[0]
		moved := 0
		for _, s := range servers {
			before, after := ten.Ranked(s, now)[:copies], eleven.Ranked(s, now)[:copies]
			if slices.Equal(before, after) {
				continue
			}
			moved++
			if !slices.Contains(after, "b11") {
				t.Fatalf("%s moved from %v to %v", s, before, after)
			}
			if rest := slices.DeleteFunc(slices.Clone(after), func(n string) bool { return n == "b11" }); !slices.Equal(rest, before[:copies-1]) {
				t.Fatalf("%s: %v became %v", s, before, after)
			}
		}
		share := 1000 * copies / 11
		t.Logf("%d copies: %d of 1000 moved, the share is %d", copies, moved, share)
		if moved < share*3/4 || moved > share*5/4 {
			t.Errorf("%d moved, the share is %d", moved, share)
		}
	}
}

func TestRanked_HoldsWeights(t *testing.T) {
	now := time.Unix(100, 0)
	servers := names("pbx", 2000)
	r := fleetOf(t, repeated(servers, 3), []int{1, 2, 5}, now)[1]
	leads := map[string]int{}
	for _, s := range servers {
		leads[r.Ranked(s, now)[0]]++
	}
	for node, want := range map[string]int{"b1": 250, "b2": 500, "b3": 1250} {
		if got := leads[node]; got < want*85/100 || got > want*115/100 {
			t.Errorf("%s leads %d, its share is %d", node, got, want)
		}
	}
}

// Only who has a server and was heard lately is ranked.
func TestRanked_NamesCandidatesOnly(t *testing.T) {
	now := time.Unix(100, 0)
	all := fleetOf(t, [][]string{{"pbx1", "pbx2"}, {"pbx2"}, {"pbx1", "pbx2"}}, []int{1, 1, 1}, now)
	if got := all[1].Ranked("pbx1", now); len(got) != 2 || slices.Contains(got, "b2") {
		t.Errorf("%v", got)
	}
	later := now.Add(1400 * time.Millisecond)
	deliver(t, all, all[0].Beat(nil, nil, later), later)
	later = later.Add(200 * time.Millisecond)
	if got := all[0].Ranked("pbx2", later); !slices.Equal(got, []string{"b1"}) {
		t.Errorf("%v after a silence", got)
	}
	if got := all[1].Ranked("pbx2", later); len(got) != 2 || slices.Contains(got, "b3") {
		t.Errorf("%v: a bridge hears itself", got)
	}
}

// Bridges with one view have one order of who claims: there is a first one while any
// is alive that stands by, and never two.
func TestTurn_IsOneOrderForAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(100, 0)
		n := rapid.IntRange(1, 6).Draw(t, "bridges")
		all := fleetOf(t, repeated([]string{"pbx1"}, n), rapid.SliceOfN(rapid.IntRange(1, 5), n, n).Draw(t, "weights"), now)
		if rapid.Bool().Draw(t, "has a leader") {
			dead := &Heartbeat{Node: "dead", Incarnation: "x", Seq: 1, Weight: 1, Leads: []Leads{LeadsOf("pbx1", Mark{Term: 7, Epoch: "e"}, "")}}
			deliver(t, all, dead, now.Add(-time.Minute))
		}
		state := rapid.SampledFrom([]State{Joining, InSync, Apart})
		for _, r := range all {
			var stands []Stands
			if rapid.IntRange(0, 3).Draw(t, "stands by") > 0 {
				stands = []Stands{{
					Server: "pbx1", State: state.Draw(t, "state").String(), Term: rapid.SampledFrom([]uint64{0, 6, 7}).Draw(t, "term"),
					AgeMS: rapid.Int64Range(0, 3).Draw(t, "age"),
				}}
			}
			deliver(t, all, r.Beat(nil, stands, now), now)
		}
		turns := map[int]string{}
		standing := 0
		for _, r := range all {
			if r.stands("pbx1", r.self) == nil {
				continue
			}
			standing++
			turn := r.Turn("pbx1", now)
			if other, two := turns[turn]; two {
				t.Fatalf("%s and %s both have turn %d", other, r.self, turn)
			}
			turns[turn] = r.self
		}
		for i := range standing {
			if turns[i] == "" {
				t.Fatalf("of %d nobody has turn %d: %v", standing, i, turns)
			}
		}
		for _, r := range all { // the first one is whom a leader would yield to
			if to, _ := r.Successor("pbx1", now); to != turns[0] && to != turns[1] {
				t.Fatalf("%s would yield to %q: %v", r.self, to, turns)
			}
		}
	})
}

// Who is in sync claims first, and of the others the one with the oldest session.
func TestTurn_InSyncThenOldest(t *testing.T) {
	now := time.Unix(100, 0)
	all := fleetOf(t, repeated([]string{"pbx1"}, 4), repeated(1, 4), now)
	for i, s := range []Stands{
		{State: "joining", AgeMS: 5000}, {State: "in_sync", Term: 3, AgeMS: 10}, {State: "joining", AgeMS: 9000}, {State: "in_sync", Term: 2, AgeMS: 99999},
	} {
		s.Server = "pbx1"
		deliver(t, all, all[i].Beat(nil, []Stands{s}, now), now)
	}
	dead := &Heartbeat{Node: "dead", Incarnation: "x", Seq: 1, Weight: 1, Leads: []Leads{LeadsOf("pbx1", Mark{Term: 3, Epoch: "e"}, "")}}
	deliver(t, all, dead, now)
	for i, want := range []int{3, 0, 2, 1} { // b4 is in sync with a term that is over
		if got := all[i].Turn("pbx1", now); got != want {
			t.Errorf("b%d has turn %d, want %d", i+1, got, want)
		}
	}
	if to, inSync := all[1].Successor("pbx1", now); to != "b4" || inSync {
		t.Errorf("%s %v", to, inSync)
	}
	if to, inSync := all[0].Successor("pbx1", now); to != "b2" || !inSync {
		t.Errorf("%s %v", to, inSync)
	}
	// The leader was started anew at once: who is in sync is so still.
	deliver(t, all, &Heartbeat{Node: "dead", Incarnation: "y", Seq: 1, Weight: 1, Stands: []Stands{{Server: "pbx1", State: "joining", AgeMS: 99999}}}, now)
	if got := all[1].Turn("pbx1", now); got != 0 {
		t.Errorf("b2 has turn %d", got)
	}
}

func TestRoster_HearsTheNewestOnly(t *testing.T) {
	now := time.Unix(100, 0)
	r := NewRoster("b1", "x", 1, time.Second)
	r.Serve([]string{"pbx1"})
	say := func(incarnation string, seq, n uint64) {
		t.Helper()
		h := &Heartbeat{Node: "b2", Incarnation: incarnation, Seq: seq, Weight: 1, Leads: []Leads{LeadsOf("pbx1", Mark{Term: 1, Epoch: "e", N: n}, "")}}
		if err := r.Observe(h, now); err != nil {
			t.Fatal(err)
		}
	}
	want := func(n uint64) {
		t.Helper()
		if l, ok := r.Leader("pbx1"); !ok || l.Mark.N != n || l.Node != "b2" {
			t.Errorf("%+v, want %d", l, n)
		}
	}
	say("i1", 5, 50)
	say("i1", 4, 40)
	want(50)
	say("i1", 6, 60)
	want(60)
	say("i2", 1, 70) // it was started anew
	say("i1", 7, 65) // and the one before is heard once more
	want(70)
	now = now.Add(2 * time.Second) // the newer one of two of one name has gone
	say("i1", 8, 80)
	want(80)
}

// A word that another has said in a bridge's name, with a number that it never comes to, has it
// be silent for a while, and not for good.
func TestRoster_HearsABridgeBehindAForgedWord(t *testing.T) {
	now := time.Unix(1, 0)
	r := NewRoster("b1", "x", 1, time.Second)
	heard := func(seq uint64) bool {
		h := &Heartbeat{Node: "b2", Incarnation: "y", Seq: seq, Weight: 1}
		if err := r.Observe(h, now); err != nil {
			t.Fatal(err)
		}
		return r.Knows(h)
	}
	heard(1)
	heard(1 << 60)
	for seq := uint64(2); !heard(seq); seq++ {
		if now = now.Add(250 * time.Millisecond); now.After(time.Unix(4, 0)) {
			t.Fatal("it is not heard again")
		}
	}
}

func TestRoster_RefusesAnotherOfItsName(t *testing.T) {
	r := NewRoster("b1", "x", 1, time.Second)
	own := r.Beat(nil, nil, time.Unix(1, 0))
	if err := r.Observe(own, time.Unix(1, 0)); err != nil {
		t.Errorf("its own: %v", err)
	}
	other := *own
	other.Incarnation = "y"
	if err := r.Observe(&other, time.Unix(1, 0)); !errors.Is(err, ErrSameNode) {
		t.Errorf("%v", err)
	}
}

// The list goes out when it changes, when a bridge comes, and now and then.
func TestRoster_SaysItsListWhenItMatters(t *testing.T) {
	now := time.Unix(1, 0)
	r := NewRoster("b1", "x", 1, time.Second)
	r.Serve([]string{"pbx2", "pbx1"})
	lists := func(n int) (count int) {
		for range n {
			if len(r.Beat(nil, nil, now).Servers) > 0 {
				count++
			}
		}
		return count
	}
	if n := lists(20); n != listBeats {
		t.Errorf("%d of 20 at the start", n)
	}
	if n := lists(10 * listEvery); n != 10 {
		t.Errorf("%d of %d while nothing changes", n, 10*listEvery)
	}
	if err := r.Observe(&Heartbeat{Node: "b2", Incarnation: "y", Seq: 1, Weight: 1}, now); err != nil {
		t.Fatal(err)
	}
	if n := lists(20); n < listBeats {
		t.Errorf("%d of 20 when a bridge comes", n)
	}
	// A list that was lost is not known for empty.
	if err := r.Observe(&Heartbeat{Node: "b2", Incarnation: "y", Seq: 2, Weight: 1, Servers: []string{"pbx1"}, List: ListHash([]string{"pbx1"})}, now); err != nil {
		t.Fatal(err)
	}
	if err := r.Observe(&Heartbeat{Node: "b2", Incarnation: "y", Seq: 3, Weight: 1, List: ListHash([]string{"pbx1", "pbx2"})}, now); err != nil {
		t.Fatal(err)
	}
	if got := r.Ranked("pbx1", now); len(got) != 2 {
		t.Errorf("%v", got)
	}
	if err := r.Observe(&Heartbeat{Node: "b2", Incarnation: "y", Seq: 4, Weight: 1, List: ListHash(nil)}, now); err != nil {
		t.Fatal(err)
	}
	if got := r.Ranked("pbx1", now); len(got) != 1 {
		t.Errorf("%v: it has no server any more", got)
	}
}

func TestRoster_IsBounded(t *testing.T) {
	now := time.Unix(1, 0)
	r := NewRoster("b1", "x", 1, time.Second)
	hear := func(i int, now time.Time) error {
		return r.Observe(&Heartbeat{Node: fmt.Sprint("n", i), Incarnation: "x", Seq: 1, Weight: 1}, now)
	}
	for i := range maxBridges - 1 {
		if err := hear(i, now.Add(time.Duration(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := hear(999, now); err == nil {
		t.Error("one more is heard")
	}
	if err := hear(999, now.Add(time.Minute)); err != nil {
		t.Errorf("in the place of one that is gone: %v", err)
	}
	if _, ok := r.members["n0"]; ok || len(r.members) != maxBridges {
		t.Errorf("%d are known", len(r.members))
	}
}

// Most of four others that are silent at once are rather slow than dead; most of three may
// be dead, and whoever is silent for long is.
func TestRoster_SlowIfMostAreSilent(t *testing.T) {
	start := time.Unix(100, 0)
	for others, slow := range map[int]bool{3: false, 4: true} {
		all := fleetOf(t, repeated([]string{"pbx1"}, others+1), repeated(1, others+1), start)
		for at, want := range map[time.Duration]bool{time.Second: false, 1100 * time.Millisecond: slow, 16 * time.Second: false} {
			if got := all[0].Slow(start.Add(at)); got != want {
				t.Errorf("%d others, silent for %v: %v, want %v", others, at, got, want)
			}
		}
	}
}

// Others may take a bridge for dead sooner than it takes them, if their settings differ; those of a
// version that does not say count as alike. What no bridge can be set to counts as the least.
func TestRoster_TheShortestSilenceOfAllCounts(t *testing.T) {
	now := time.Unix(1, 0)
	r := NewRoster("b1", "x", 1, 10*time.Second)
	for i, silence := range []int64{0, 60_000, 700, 1, 600} {
		if err := r.Observe(&Heartbeat{Node: fmt.Sprint("n", i), Incarnation: "x", Seq: 1, Weight: 1, SilenceMS: silence}, now); err != nil {
			t.Fatal(err)
		}
		if got, want := r.Silence(now), []time.Duration{10_000, 10_000, 700, 500, 500}[i]*time.Millisecond; got != want {
			t.Errorf("%d: %v, want %v", i, got, want)
		}
	}
	if got := r.Silence(now.Add(time.Minute)); got != 10*time.Second {
		t.Errorf("%v when all are dead", got)
	}
	if h := r.Beat(nil, nil, now); h.SilenceMS != 10_000 {
		t.Errorf("it says %d ms", h.SilenceMS)
	}
}

// Other groups are those of a bridge that is alive, and says.
func TestRoster_OtherGroups(t *testing.T) {
	now := time.Unix(100, 0)
	r := NewRoster("b1", "i1", 1, time.Second)
	r.Group(GroupsHash(map[string][]string{"sales": {"pbx1", "pbx2"}}))
	seq := uint64(0)
	for name, test := range map[string]struct {
		groups Sum
		other  bool
	}{
		"a version before": {0, false},
		"the same":         {GroupsHash(map[string][]string{"sales": {"pbx1", "pbx2"}}), false},
		"none":             {GroupsHash(nil), true},
		"of other servers": {GroupsHash(map[string][]string{"sales": {"pbx1"}}), true},
	} {
		seq++
		if err := r.Observe(&Heartbeat{Node: "b2", Incarnation: "i2", Seq: seq, Weight: 1, Groups: test.groups}, now); err != nil {
			t.Fatal(err)
		}
		if got := r.OtherGroups(now); got != test.other || r.OtherGroups(now.Add(2*time.Second)) {
			t.Errorf("%s: other groups: %v", name, got)
		}
	}
}
