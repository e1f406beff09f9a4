package standby

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// What is found by a server is what the last Heartbeats of all say of it, and who ranks for it
// is who has it, whatever came in which order, and of whom nothing is known any more.
func TestRow_IsWhatAllSay(t *testing.T) {
	servers := []string{"pbx1", "pbx2", "pbx3", "pbx4"}
	rapid.Check(t, func(t *rapid.T) {
		some := func(name string) (some []string) {
			for _, s := range servers {
				if rapid.Bool().Draw(t, name) {
					some = append(some, s)
				}
			}
			return some
		}
		r, now, seq := NewRoster("b0", "x", 1, time.Second), time.Unix(100, 0), uint64(0)
		for i := range maxBridges - 4 { // so that soon there is no room
			h := &Heartbeat{Node: fmt.Sprint("old", i), Incarnation: "x", Seq: 1, Weight: 1, List: 1, Servers: []string{"pbx1"}, Stands: []Stands{{Server: "gone"}}}
			if err := r.Observe(h, now); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(time.Minute)
		t.Repeat(map[string]func(*rapid.T){
			"passes": func(*rapid.T) { now = now.Add(time.Duration(rapid.IntRange(1, 2000).Draw(t, "ms")) * time.Millisecond) },
			"serves": func(*rapid.T) { r.Serve(some("has")) },
			"beats": func(*rapid.T) {
				h := anySaying(some)
				r.Try(h.Tries)
				r.Beat(h.Leads, h.Stands, now)
			},
			"hears": func(*rapid.T) {
				seq++
				h := anySaying(some)
				h.Node, h.Incarnation = fmt.Sprint("b", rapid.IntRange(1, 8).Draw(t, "node")), rapid.SampledFrom([]string{"x", "y"}).Draw(t, "incarnation")
				h.Seq, h.Weight = seq, rapid.IntRange(1, 2).Draw(t, "weight")
				if h.List = 1; rapid.Bool().Draw(t, "with its list") {
					h.Servers = some("list")
				}
				_ = r.Observe(h, now) // there may be too many
			},
			"": func(*rapid.T) { rowsAre(t, r, append(servers, "gone", "never")) },
		})
	})
}

// anySaying is a Heartbeat that says something of some servers.
func anySaying(some func(string) []string) *Heartbeat {
	h := new(Heartbeat)
	for _, s := range some("leads") {
		h.Leads = append(h.Leads, Leads{Server: s, Term: 1, Epoch: "e"})
	}
	for _, s := range some("stands") {
		h.Stands = append(h.Stands, Stands{Server: s})
	}
	for _, s := range some("tries") {
		h.Tries = append(h.Tries, Tries{Server: s})
	}
	return h
}

func rowsAre(t *rapid.T, r *Roster, servers []string) {
	kept := 0
	for _, server := range servers {
		var want []said
		var ranks []rank
		for _, m := range r.members {
			one := said{m: m}
			for i := range m.Leads {
				if m.Leads[i].Server == server {
					one.leads = &m.Leads[i]
				}
			}
			for i := range m.Stands {
				if m.Stands[i].Server == server {
					one.stands = &m.Stands[i]
				}
			}
			for i := range m.Tries {
				if m.Tries[i].Server == server {
					one.tries = &m.Tries[i]
				}
			}
			if one != (said{m: m}) {
				want = append(want, one)
			}
			if slices.Contains(m.has, server) {
				ranks = append(ranks, rank{m, ranked{m.Node, score(server, m.Node, m.Weight)}})
			}
		}
		if len(want) > 0 || slices.Contains(r.members[r.self].has, server) {
			kept++
		}
		got := r.said(server)
		if len(got) != len(want) || slices.ContainsFunc(want, func(s said) bool { return got.of(s.m) != s }) {
			t.Fatalf("of %s is said %+v, want %+v", server, got, want)
		}
		slices.SortFunc(ranks, func(a, b rank) int { return byScore(a.ranked, b.ranked) })
		if got := r.ranks(server); !slices.Equal(got, ranks) {
			t.Fatalf("for %s rank %+v, want %+v", server, got, ranks)
		}
	}
	if len(r.rows) != kept {
		t.Fatalf("%d servers are kept, want %d", len(r.rows), kept)
	}
}
