package replay

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Kind is what is wrong at a place of the chain.
type Kind string

// The kinds of a Break.
const (
	Changed   Kind = "changed"            // the record is not what the next one of its run followed
	Missing   Kind = "missing"            // records before it are not there
	Reordered Kind = "reordered"          // records stand behind later ones
	Repeated  Kind = "repeated"           // a number of a run is there again
	Restarted Kind = "restarted"          // a node says that it found no record, and had made some
	Unlinked  Kind = "changed or missing" // a run follows a record that is not there
	Foreign   Kind = "foreign"            // no bridge, or none that may, made it
	Forked    Kind = "forked"             // two runs of one node are alive at once
	Absent    Kind = "absent"             // a pinned record is not there
)

// Break is one place where the chain does not hold.
type Break struct {
	Kind Kind `json:"kind"`
	place
	Node     string `json:"node,omitempty"`
	Run      string `json:"run,omitempty"`
	Count    uint64 `json:"count,omitempty"`    // of records that are missing
	Expected string `json:"expected,omitempty"` // the hash that the later record names
	Found    string `json:"found,omitempty"`    // the hash that the earlier one has
	Text     string `json:"text"`

	after uint64 // the number before the missing ones
}

// Head is a record that no later one names: whoever notes its hash can tell
// later that it, and all before it, is still there.
type Head struct {
	Hash string `json:"hash"`
	Node string `json:"node"`
	Run  string `json:"run"`
	place
}

// Verdict is what was found of one server's records, or, without a name, of the
// stream.
type Verdict struct {
	Server  string   `json:"server"`
	Records uint64   `json:"records"`
	Runs    int      `json:"runs"`
	Nodes   []string `json:"nodes"`
	First   *place   `json:"first,omitempty"`
	Last    *place   `json:"last,omitempty"`
	Lost    uint64   `json:"lost,omitempty"`    // as the bridge itself told
	Counted uint64   `json:"counted,omitempty"` // refused requests that records stand for
	Heads   []Head   `json:"heads,omitempty"`
	Notes   []string `json:"notes,omitempty"`
	Breaks  []*Break `json:"breaks,omitempty"` // at most 100
	Broken  uint64   `json:"broken"`           // how many there are
}

// maxBreaks is how many breaks and notes are kept for each server.
const maxBreaks = 100

func (v *Verdict) broken(b *Break) {
	if v.Broken++; len(v.Breaks) < maxBreaks {
		v.Breaks = append(v.Breaks, b)
	}
}

func (v *Verdict) note(format string, args ...any) {
	if len(v.Notes) < maxBreaks {
		v.Notes = append(v.Notes, fmt.Sprintf(format, args...))
	}
}

func (v *Verdict) node(name string) {
	v.Runs++
	if !slices.Contains(v.Nodes, name) {
		v.Nodes = append(v.Nodes, name)
	}
}

// count takes in a record.
func (c *chain) count(r *Record, at place, hash string) {
	c.Records++
	c.Lost += r.Lost
	c.Counted += r.Count
	if c.First == nil {
		c.First = &at
	}
	c.Last = &at
	var short [16]byte
	if _, err := hex.Decode(short[:], []byte(hash[:32])); err == nil {
		c.digests = append(c.digests, short)
	}
}

// Verdicts ends the walk, once: what was found, the stream itself first if there
// is something to say of it.
func (v *Verifier) Verdicts() (all []Verdict) {
	switch {
	case v.first == 0:
		v.of("").note("the stream is empty")
	case v.first > 1:
		v.of("").note("the stream begins with sequence %d: older records are gone, by age, by a limit, or with the stream that was there before", v.first)
	}
	for _, pin := range v.Pins {
		if !v.holds(pin) {
			v.of("").broken(&Break{Kind: Absent, place: place{Sequence: v.last}, Expected: pin,
				Text: "no record has this hash: it was changed, or it and what came after it were taken away"})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v.chains)) {
		c := v.chains[name]
		for token, run := range c.runs {
			if c.open[run.digest] {
				c.Heads = append(c.Heads, Head{Hash: run.digest, Node: run.node, Run: token, place: run.place})
			}
		}
		c.noteHeads()
		slices.SortFunc(c.Heads, func(a, b Head) int { return int(a.Sequence) - int(b.Sequence) })
		all = append(all, c.Verdict)
	}
	return all
}

// noteHeads notes nodes with several ends that nobody has gone on from: one
// process of a name has one.
func (c *chain) noteHeads() {
	live := make(map[string][]string)
	for token, run := range c.runs {
		if c.open[run.digest] && !run.past {
			live[run.node] = append(live[run.node], token)
		}
	}
	for _, node := range slices.Sorted(maps.Keys(live)) {
		if runs := live[node]; len(runs) > 1 {
			slices.Sort(runs)
			c.note("%s has %d live heads, of the runs %s: one process of a name has one; a run that could not say what it follows has one of its own, and so has a run that somebody else made",
				node, len(runs), strings.Join(runs, ", "))
		}
	}
}

func (v *Verifier) holds(pin string) bool {
	for _, c := range v.chains {
		if _, ok := c.find(pin); ok {
			return true
		}
	}
	return false
}
