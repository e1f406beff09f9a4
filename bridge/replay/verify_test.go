package replay

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// ledger is a stream of records that somebody writes by hand.
type ledger struct {
	v      Verifier
	seq    uint64
	prev   map[string]string // by run
	number map[string]int
}

func newLedger() *ledger {
	return &ledger{v: Verifier{Prefix: "ami"}, prev: make(map[string]string), number: make(map[string]int)}
}

// add stores a record of a node's run, which follows the one before it, or first
// if it is the first, and returns its hash.
func (l *ledger) add(node, run, first string, members ...string) string {
	l.seq++
	l.number[run]++
	if l.prev[run] == "" {
		l.prev[run] = first
	}
	data := fmt.Appendf(nil, `{"at":"2026-11-24T10:00:00.000000Z","server":"pbx1","node":%q,"run":%q,"seq":%d,"prev":%q%s}`,
		node, run, l.number[run], l.prev[run], strings.Join(members, ""))
	l.prev[run] = digest(data)
	l.v.See(&Message{
		Subject: "ami.audit.pbx1.Ping", Sequence: l.seq, Stored: time.Unix(1, 0), Data: data,
		Header: nats.Header{"Nats-Msg-Id": {fmt.Sprintf("%s.%s.%d", node, run, l.number[run])}},
	})
	return l.prev[run]
}

// found is what is to be said of pbx1: kinds of breaks, and whether there are
// live heads of one node.
func (l *ledger) found() string {
	var all []string
	for _, v := range l.v.Verdicts() {
		for _, b := range v.Breaks {
			all = append(all, fmt.Sprintf("%s at %d", b.Kind, b.Sequence))
		}
		for _, note := range v.Notes {
			if strings.Contains(note, "live heads") {
				all = append(all, note[:strings.Index(note, ":")])
			}
		}
	}
	return strings.Join(all, "; ")
}

// A run that somebody makes under the name of a bridge shows as soon as that
// bridge goes on, and at once if it does not follow the bridge's last record.
// What honest bridges do is none of it.
func TestVerify_TwoRunsOfOneNode(t *testing.T) {
	for name, test := range map[string]struct {
		write func(l *ledger)
		want  string
	}{
		"a node that starts again": {func(l *ledger) {
			l.add("b1", "r1", "genesis")
			l.add("b1", "r2", l.add("b1", "r1", ""))
			l.add("b1", "r2", "")
		}, ""},
		"behind what another node said": {func(l *ledger) {
			l.add("b1", "r1", "genesis")
			l.add("b2", "s1", l.add("b1", "r1", ""))
			l.add("b1", "r2", l.add("b2", "s1", ""))
			l.add("b2", "s1", "")
			l.add("b2", "s2", l.add("b1", "r2", ""))
		}, ""},
		"another spoke between its start and its first word": {func(l *ledger) {
			last := l.add("b1", "r1", "genesis")
			l.add("b2", "s1", last)
			l.add("b1", "r2", last)
		}, ""},
		"the bridge goes on": {func(l *ledger) {
			l.add("b1", "r1", "genesis")
			l.add("b1", "forged", l.add("b1", "r1", ""))
			l.add("b1", "r1", "")
			l.add("b1", "r1", "")
		}, "forked at 4; b1 has 2 live heads, of the runs forged, r1"},
		"it goes on between the forger's": {func(l *ledger) {
			l.add("b1", "forged", l.add("b1", "r1", "genesis"))
			l.add("b1", "r1", "")
			l.add("b1", "forged", "")
		}, "forked at 3; b1 has 2 live heads, of the runs forged, r1"},
		"from the middle": {func(l *ledger) {
			first := l.add("b1", "r1", "genesis")
			l.add("b1", "r1", "")
			l.add("b1", "forged", first)
		}, "forked at 3; b1 has 2 live heads, of the runs forged, r1"},
		"it does not say from where": {func(l *ledger) {
			l.add("b1", "r1", "genesis")
			l.add("b1", "forged", "unknown")
		}, "b1 has 2 live heads, of the runs forged, r1"},
		"and the bridge starts again": {func(l *ledger) {
			l.add("b1", "r1", "genesis")
			l.add("b1", "r2", l.add("b1", "forged", "unknown"))
		}, "b1 has 2 live heads, of the runs r1, r2"},
		"from nowhere": {func(l *ledger) {
			l.add("b1", "r1", "genesis")
			l.add("b1", "forged", "genesis")
		}, "restarted at 2; b1 has 2 live heads, of the runs forged, r1"},
	} {
		l := newLedger()
		test.write(l)
		if got := l.found(); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// A record that stands for many is one of the chain, and says for how many.
func TestVerify_CountsRefusals(t *testing.T) {
	l := newLedger()
	l.add("b1", "r1", "genesis")
	l.add("b1", "r1", "", `,"phase":"refusals","decision":"refused","count":40,"outcomes":{"forbidden":30,"busy":10}`)
	l.add("b1", "r1", "")
	if v := l.v.Verdicts()[0]; v.Broken > 0 || v.Records != 3 || v.Counted != 40 {
		t.Errorf("%+v", v)
	}
	r := Record{Phase: "refusals", Decision: "refused", Outcomes: map[string]uint64{"forbidden": 30, "busy": 10}}
	for outcome, want := range map[string]bool{"refusals": true, "busy": true, "forb*": true, "timeout": false} {
		if w := (&Wanted{Outcomes: []string{outcome}}); w.Has(&r) != want {
			t.Errorf("%s selects it: %v", outcome, !want)
		}
	}
}

// honest are the messages of one run of so many records, from a sequence on.
func honest(first uint64, records int) (all []*Message) {
	prev := "genesis"
	for i := range records {
		data := fmt.Appendf(nil, `{"at":"2026-11-24T10:00:00.000000Z","server":"pbx1","node":"b1","run":"r1","seq":%d,"prev":%q}`, i+1, prev)
		prev = digest(data)
		all = append(all, &Message{
			Subject: "ami.audit.pbx1.Ping", Sequence: first + uint64(i), Stored: time.Unix(1, 0), Data: data,
			Header: nats.Header{"Nats-Msg-Id": {fmt.Sprintf("b1.r1.%d", i+1)}},
		})
	}
	return all
}

// Each thing that somebody may have done to the records is named.
func TestVerify_NamesEachBreak(t *testing.T) {
	replaced := func(m *Message, old, by string) { m.Data = []byte(strings.Replace(string(m.Data), old, by, 1)) }
	numbered := func(all []*Message) []*Message {
		for i, m := range all {
			m.Sequence = uint64(i + 1)
		}
		return all
	}
	for name, test := range map[string]struct {
		do    func(all []*Message) []*Message
		nodes []string
		pins  []string
		want  string
	}{
		"nothing":                   {func(all []*Message) []*Message { return all }, []string{"b1"}, []string{digest(honest(1, 5)[4].Data)}, ""},
		"a changed one":             {func(all []*Message) []*Message { replaced(all[2], "10:00", "11:00"); return all }, nil, nil, "changed at 3"},
		"one that is gone":          {func(all []*Message) []*Message { return numbered(append(all[:2:2], all[3:]...)) }, nil, nil, "missing at 3"},
		"a sequence that is gone":   {func(all []*Message) []*Message { return append(all[:2:2], all[3:]...) }, nil, nil, "missing at 4; missing at 4"},
		"the first that is gone":    {func(all []*Message) []*Message { return numbered(all[1:]) }, nil, nil, "missing at 1"},
		"two that changed places":   {func(all []*Message) []*Message { all[1], all[2] = all[2], all[1]; return numbered(all) }, nil, nil, "reordered at 2"},
		"one that is there again":   {func(all []*Message) []*Message { return numbered(append(all, honest(1, 5)[1])) }, nil, nil, "repeated at 6"},
		"one of another server":     {func(all []*Message) []*Message { all[4].Subject = "ami.audit.pbx2.Ping"; return all }, nil, nil, "foreign at 5"},
		"one on another subject":    {func(all []*Message) []*Message { all[4].Subject = "ami.events.pbx1.Ping"; return all }, nil, nil, "foreign at 5"},
		"one that is none":          {func(all []*Message) []*Message { all[4].Data = []byte("x"); return all }, nil, nil, "foreign at 5"},
		"one without a place":       {func(all []*Message) []*Message { replaced(all[4], `"run":"r1"`, `"run":""`); return all }, nil, nil, "foreign at 5"},
		"one with another's id":     {func(all []*Message) []*Message { all[4].Header["Nats-Msg-Id"][0] = "b2.r1.5"; return all }, nil, nil, "foreign at 5"},
		"one of a node that is not": {func(all []*Message) []*Message { return all[:1] }, []string{"b2", "b3"}, nil, "foreign at 1"},
		"another node's in the run": {func(all []*Message) []*Message {
			replaced(all[4], `"b1"`, `"b2"`)
			all[4].Header = nil
			return all
		}, nil, nil, "foreign at 5"},
		"a head that is gone": {func(all []*Message) []*Message { return all[:4] }, nil, []string{digest(honest(1, 5)[4].Data)}, "absent at 4"},
	} {
		l := ledger{v: Verifier{Prefix: "ami", Nodes: test.nodes, Pins: test.pins}}
		for _, m := range test.do(honest(1, 5)) {
			l.v.See(m)
		}
		if got := l.found(); got != test.want {
			t.Errorf("%s: found %q, want %q", name, got, test.want)
		}
	}
}

// A stream whose beginning has gone by age is no break, and told.
func TestVerify_AStreamThatBeginsLater(t *testing.T) {
	v := Verifier{Prefix: "ami"}
	for _, m := range honest(1, 5)[2:] {
		v.See(m)
	}
	var notes []string
	for _, verdict := range v.Verdicts() {
		if notes = append(notes, verdict.Notes...); verdict.Broken != 0 {
			t.Errorf("broken: %+v", verdict.Breaks)
		}
	}
	if text := strings.Join(notes, "\n"); !strings.Contains(text, "the stream begins with sequence 3") || !strings.Contains(text, "begins with number 3") {
		t.Errorf("told: %s", text)
	}
}

// A run that follows another is its continuation: one head is left. One that
// follows what is not there is a break, and what a bridge says it lost is summed.
func TestVerify_ARunFollowsAnother(t *testing.T) {
	l := newLedger()
	last := l.add("b1", "r1", "genesis")
	last = l.add("b1", "r2", last, `,"lost":3`)
	l.add("b2", "r3", last, `,"lost":4`)
	for _, v := range l.v.Verdicts() {
		if v.Broken != 0 || len(v.Heads) != 1 || v.Heads[0].Run != "r3" || v.Lost != 7 || v.Runs != 3 {
			t.Errorf("%+v", v)
		}
	}
	l = newLedger()
	l.add("b1", "r1", "genesis")
	l.add("b1", "r2", strings.Repeat("ab", 32))
	if got := l.found(); !strings.HasPrefix(got, "changed or missing at 2") {
		t.Errorf("found %q", got)
	}
}
