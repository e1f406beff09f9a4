package replay

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Verifier walks the audit's chain. Each record names the hash of the one before
// it of the same run, which is one start of a bridge, on the same server; the
// first of a run names the last that was stored for that server before.
type Verifier struct {
	Prefix string   // of the bridge's subjects
	Nodes  []string // whose records there may be; none: any
	Pins   []string // hashes of records that must be there

	first, last uint64 // sequences in the stream
	chains      map[string]*chain
}

// chain is what is known of one server's records. It keeps 16 bytes for each.
type chain struct {
	Verdict
	runs    map[string]*run
	current map[string]*run // the run of each node that began last
	digests [][16]byte
	open    map[string]bool // heads: hashes that no later record names
}

// run is the last record of a run.
type run struct {
	token  string
	node   string
	began  place
	index  int // of its last record among the chain's
	forked bool
	past   bool // the node's next run follows it, or what came after it
	number uint64
	digest string
	place  place
	// absent are breaks whose records may come yet, out of order.
	absent []*Break
}

// place is where a record is.
type place struct {
	Sequence uint64 `json:"sequence"`
	Subject  string `json:"subject"`
	At       string `json:"at"`
}

// Verify reads the whole stream into v.
func (s *Source) Verify(ctx context.Context, v *Verifier, onProgress func(Progress)) error {
	return s.scan(ctx, []string{">"}, time.Time{}, 1, onProgress, func(m *Message) (more bool, err error) {
		v.See(m)
		return true, nil
	})
}

// CheckPin reports a text that is no hash.
func CheckPin(pin string) error {
	if raw, err := hex.DecodeString(pin); err != nil || len(raw) != sha256.Size {
		return fmt.Errorf("%.80q is not a hash: wants 64 hexadecimal digits, as --verify prints them", pin)
	}
	return nil
}

// See takes the next message of the stream.
func (v *Verifier) See(m *Message) {
	if v.first == 0 {
		v.first = m.Sequence
	} else if m.Sequence != v.last+1 {
		c := v.of("")
		c.broken(&Break{Kind: Missing, place: place{Sequence: m.Sequence, Subject: m.Subject}, Count: m.Sequence - v.last - 1,
			Text: fmt.Sprintf("the stream has nothing from sequence %d to %d", v.last+1, m.Sequence-1)})
	}
	v.last = m.Sequence
	r, err := RecordOf(m)
	at := place{Sequence: m.Sequence, Subject: m.Subject, At: r.At}
	rest, ours := strings.CutPrefix(m.Subject, v.Prefix+".audit.")
	if !ours {
		v.of("").broken(&Break{Kind: Foreign, place: at, Text: "it is on no subject of the audit"})
		return
	}
	server, _, _ := strings.Cut(rest, ".")
	c := v.of(server)
	if why := misplaced(&r, server, err); why != "" {
		c.broken(&Break{Kind: Foreign, place: at, Text: why})
		return
	}
	if why := v.foreign(&r); why != "" {
		c.broken(&Break{Kind: Foreign, place: at, Node: r.Node, Run: r.Run, Text: why})
	}
	c.see(&r, at, v.first > 1)
}

func (v *Verifier) of(server string) *chain {
	c := v.chains[server]
	if c == nil {
		if v.chains == nil {
			v.chains = make(map[string]*chain)
		}
		c = &chain{runs: make(map[string]*run), current: make(map[string]*run), open: make(map[string]bool)}
		c.Server = server
		v.chains[server] = c
	}
	return c
}

// misplaced returns why a message has no place in a server's chain.
func misplaced(r *Record, server string, err error) string {
	switch {
	case err != nil:
		return "it is not a record"
	case r.Server != server:
		return fmt.Sprintf("it is a record of %.40q", r.Server)
	case r.Run == "" || r.Number == 0:
		return "it has no place in a chain"
	}
	return ""
}

// foreign returns why a record is of no bridge that may make one.
func (v *Verifier) foreign(r *Record) string {
	id := r.Header.Get("Nats-Msg-Id")
	switch {
	case id != "" && !strings.HasPrefix(id, r.Node+"."+r.Run+"."):
		return fmt.Sprintf("it has the id %.80q and says that it is of %.40q", id, r.Node+"."+r.Run)
	case len(v.Nodes) > 0 && !slices.Contains(v.Nodes, r.Node):
		return fmt.Sprintf("it is of the node %.40q", r.Node)
	}
	return ""
}

// see follows r's run.
func (c *chain) see(r *Record, at place, aged bool) {
	hash := digest(r.Data)
	known := c.runs[r.Run]
	switch {
	case known == nil:
		c.begin(r, at, aged)
		known = &run{token: r.Run, node: r.Node, began: at}
		c.runs[r.Run], c.current[r.Node] = known, known
		c.node(r.Node)
	case known.node != r.Node:
		c.broken(&Break{Kind: Foreign, place: at, Text: fmt.Sprintf("its run is of the node %.40q, and not of %.40q", known.node, r.Node)})
	case r.Number <= known.number:
		c.late(known, r, at, hash)
	case r.Number > known.number+1:
		b := &Break{
			Kind: Missing, place: at, Node: r.Node, Run: r.Run, Count: r.Number - known.number - 1, Expected: r.Prev, Found: known.digest,
			Text:  fmt.Sprintf("numbers %d to %d of its run are not there", known.number+1, r.Number-1),
			after: known.number,
		}
		known.absent = append(known.absent, b)
		c.broken(b)
	case r.Prev != known.digest:
		c.broken(&Break{
			Kind: Changed, place: known.place, Node: r.Node, Run: r.Run, Expected: r.Prev, Found: known.digest,
			Text: fmt.Sprintf("the record behind it, sequence %d, knows it with another hash", at.Sequence),
		})
	}
	if known.digest != "" {
		delete(c.open, known.digest)
	}
	c.alive(known, at)
	c.count(r, at, hash)
	known.index = len(c.digests) - 1
	if r.Number > known.number {
		known.number, known.digest, known.place = r.Number, hash, at
	}
	c.open[known.digest] = true
}

// alive tells, once, of a run that goes on although its node has begun another:
// one process of a name is alive at a time, so that one of the two is not the
// bridge's.
func (c *chain) alive(known *run, at place) {
	known.past = false
	now := c.current[known.node]
	if now == nil || now == known || known.forked {
		return
	}
	known.forked = true
	c.broken(&Break{Kind: Forked, place: at, Node: known.node, Run: known.token, Text: fmt.Sprintf(
		"it is of a run that goes on although run %.40q of the same node began at sequence %d: two processes of one name, or somebody else's records",
		now.token, now.began.Sequence)})
}

// late takes a record whose number the run has passed.
func (c *chain) late(known *run, r *Record, at place, hash string) {
	for _, b := range known.absent {
		if r.Number <= b.after || r.Number > b.after+b.Count {
			continue
		}
		b.Kind = Reordered
		b.Text = fmt.Sprintf("number %d of its run stands behind number %d, at sequence %d", r.Number, b.after+b.Count+1, at.Sequence)
		return
	}
	text := fmt.Sprintf("number %d of its run is there already, with another hash", r.Number)
	if _, there := c.find(hash); there {
		text = fmt.Sprintf("number %d of its run is there twice", r.Number)
	}
	c.broken(&Break{Kind: Repeated, place: at, Node: r.Node, Run: r.Run, Text: text})
}

// begin takes the first record of a run that is there. aged says that the
// stream no longer has its beginning.
func (c *chain) begin(r *Record, at place, aged bool) {
	headless := aged && !slices.Contains(c.Nodes, r.Node)
	b := &Break{place: at, Node: r.Node, Run: r.Run, Expected: r.Prev}
	switch {
	case r.Number > 1 && headless:
		c.note("run %s of %s begins with number %d, sequence %d: what was before is no longer in the stream", r.Run, r.Node, r.Number, at.Sequence)
	case r.Number > 1:
		b.Kind, b.Count, b.Text = Missing, r.Number-1, fmt.Sprintf("numbers 1 to %d of its run are not there", r.Number-1)
		c.broken(b)
	case r.Prev == "unknown":
		c.note("run %s of %s, sequence %d, does not say what it follows: the stream did not answer at its start", r.Run, r.Node, at.Sequence)
	case r.Prev == "genesis" && slices.Contains(c.Nodes, r.Node):
		b.Kind, b.Text = Restarted, fmt.Sprintf("it says that no record was before it, and %d are there", c.Records)
		c.broken(b)
	case r.Prev == "genesis" && c.Records > 0:
		c.note("run %s of %s, sequence %d, began when no record was there: beside another node", r.Run, r.Node, at.Sequence)
	case r.Prev == "genesis":
	default:
		c.follow(r, at, b, headless)
	}
}

// follow looks for the record that a run says it follows.
func (c *chain) follow(r *Record, at place, b *Break, headless bool) {
	if i, ok := c.find(r.Prev); ok {
		delete(c.open, r.Prev)
		switch before := c.current[r.Node]; {
		case before == nil:
		case i >= before.index:
			before.past = true
		default:
			b.Kind, b.Found = Forked, before.digest
			b.Text = fmt.Sprintf("it begins a run and follows a record from before the last one of its node, sequence %d: "+
				"two processes of one name, or somebody else's records", before.place.Sequence)
			c.broken(b)
		}
		return
	}
	if headless {
		c.note("run %s of %s, sequence %d, follows a record that is no longer in the stream", r.Run, r.Node, at.Sequence)
		return
	}
	b.Kind, b.Found = Unlinked, c.last()
	b.Text = "it begins a run, and what it follows is not there: the last record before it was changed or is missing"
	c.broken(b)
}

// find looks for a record with a hash.
func (c *chain) find(hash string) (index int, ok bool) {
	var want [16]byte
	if n, err := hex.Decode(want[:], []byte(hash[:min(len(hash), 32)])); err != nil || n < len(want) {
		return 0, false
	}
	for i := len(c.digests) - 1; i >= 0; i-- {
		if bytes.Equal(c.digests[i][:], want[:]) {
			return i, true
		}
	}
	return 0, false
}

// last is the beginning of the last record's hash.
func (c *chain) last() string {
	if n := len(c.digests); n > 0 {
		return hex.EncodeToString(c.digests[n-1][:])
	}
	return "nothing"
}
