package standby

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/name"
)

const (
	// Version is that of the messages that bridges send one another. A reader ignores
	// fields that it does not know, and refuses a message only if that says that it
	// needs a newer one. So a bridge works beside those of the version before it and
	// after it, and a change that needs more is made in two versions.
	Version = 2
	needs   = 1 // the oldest version that reads what this one writes, but for parts
	parts   = 2 // the oldest version that reads parts of a Heartbeat

	// MaxMessage bounds a message; NATS takes 1 MiB, with headers, if it is not told
	// otherwise.
	MaxMessage = 1<<20 - 8<<10
	// MaxServers bounds the servers of one bridge with HA: all in one Heartbeat, or in its
	// parts.
	MaxServers = 2048

	maxToken  = 32 // bytes of an incarnation or of a reason
	maxWeight = 100

	// maxTerm is the highest term that is read: a million claims a second come to it after
	// hundreds of years. What is higher nobody has counted, and nobody could count on from it.
	maxTerm = 1 << 53
)

// Sum is a sum or hash. In JSON it is 16 hexadecimal digits: more than a reader's
// floating point holds.
type Sum uint64

// MarshalText writes the 16 digits.
func (s Sum) MarshalText() ([]byte, error) { return appendHex(nil, uint64(s)), nil }

// UnmarshalText reads the 16 digits.
func (s *Sum) UnmarshalText(text []byte) error {
	v, ok := parseHex(string(text))
	if !ok {
		return fmt.Errorf("%.20q: wants 16 hexadecimal digits", text)
	}
	*s = Sum(v)
	return nil
}

// Heartbeat is what a bridge says of itself on `ami.ha.<node>`, four times a second.
type Heartbeat struct {
	Version     int      `json:"v"`
	Needs       int      `json:"needs"`
	Node        string   `json:"node"`
	Incarnation string   `json:"incarnation"` // of the process: no other has the same
	Seq         uint64   `json:"seq"`         // counts its Heartbeats from 1
	Weight      int      `json:"weight"`      // 1 to 100: its share of the servers
	List        Sum      `json:"list"`        // ListHash of the servers that it has
	Servers     []string `json:"servers,omitempty"`
	Leads       []Leads  `json:"leads,omitempty"`
	Stands      []Stands `json:"stands,omitempty"`
	Tries       []Tries  `json:"tries,omitempty"`
	// SilenceMS is for how long another may be silent until the sender takes it for dead; a version
	// that does not know says 0.
	SilenceMS int64 `json:"silence_ms,omitempty"`
	// Groups is GroupsHash of those that the sender has; a version that does not know says 0.
	Groups Sum `json:"groups,omitempty"`
	// Part and Parts are of one that NATS does not take as a whole: see EncodeWithin.
	Part  int `json:"part,omitempty"` // from 1
	Parts int `json:"parts,omitempty"`
}

// Leads is a server that the sender leads: its Mark.
type Leads struct {
	Server  string `json:"server"`
	Term    uint64 `json:"term"`
	Epoch   string `json:"epoch"`
	N       uint64 `json:"n"`
	Sum     Sum    `json:"sum"`
	Window  *Sum   `json:"window,omitempty"` // of the last Width of them
	Width   uint64 `json:"width,omitempty"`  // 0 is 64
	Filters Sum    `json:"filters"`
	Yields  string `json:"yields,omitempty"` // the node that shall claim now
	Unable  Unable `json:"unable,omitempty"`
	// Answers are to the probes of those that are joining. A version that does not know them
	// makes none, and reads none.
	Answers []Answer `json:"answers,omitempty"`
}

// Stands is a server of which the sender has an event session that is up, and which it
// does not lead.
type Stands struct {
	Server string `json:"server"`
	State  string `json:"state"`
	Reason Reason `json:"reason,omitempty"`
	Term   uint64 `json:"term"` // that it follows
	Lag    uint64 `json:"lag"`
	AgeMS  int64  `json:"age_ms"` // of the session
	// LagMS is for how long there is a Lag, at least 1; a version that does not know says 0.
	LagMS  int64  `json:"lag_ms,omitempty"`
	Unable Unable `json:"unable,omitempty"`
	// OldestMS is how old the oldest event is that it holds; 0: it holds none.
	OldestMS int64 `json:"oldest_ms,omitempty"`
	// Probe asks the leader how far its session is now; 0: it asks nothing.
	Probe uint64 `json:"probe,omitempty"`
}

// Answer is how many events of the epoch the leader had read when its session had answered
// a Ping that was asked after the probe of the node was heard.
type Answer struct {
	Node  string `json:"node"`
	Probe uint64 `json:"probe"`
	N     uint64 `json:"n"`
}

// maxAnswers bounds those of a server: so many join at a time.
const maxAnswers = 4

// LeadsOf returns what a Heartbeat says of a server with this Mark.
func LeadsOf(server string, m Mark, yields string) Leads {
	l := Leads{Server: server, Term: m.Term, Epoch: m.Epoch, N: m.N, Sum: Sum(m.Sum), Filters: Sum(m.Filters), Yields: yields}
	if m.Width > 0 {
		window := Sum(m.Window)
		l.Window, l.Width = &window, m.Width
	}
	return l
}

// Mark returns the Mark.
func (l *Leads) Mark() Mark {
	m := Mark{Term: l.Term, Epoch: l.Epoch, N: l.N, Sum: uint64(l.Sum), Filters: uint64(l.Filters)}
	if l.Window != nil {
		m.Window, m.Width = uint64(*l.Window), cmp.Or(l.Width, Window)
	}
	return m
}

// Term is the record on `ami.terms.<server>` in the events' stream. Its sequence there is
// the fence of the leader whose term it is.
type Term struct {
	Version     int       `json:"v"`
	Needs       int       `json:"needs"`
	Server      string    `json:"server"`
	Term        uint64    `json:"term"` // counts the claims of the server, from 1
	Node        string    `json:"node"`
	Incarnation string    `json:"incarnation"`
	Since       time.Time `json:"since"`
	Reason      string    `json:"reason"` // why it was claimed
}

// Encode returns the Heartbeat as JSON, with this Version.
func (h *Heartbeat) Encode() ([]byte, error) {
	data, err := h.encode()
	if err == nil && len(data) > MaxMessage {
		err = tooLong(data)
	}
	return data, err
}

// encode returns the Heartbeat as JSON, with this Version, be it as long as it is.
func (h *Heartbeat) encode() ([]byte, error) {
	h.Version, h.Needs = Version, needs
	if err := h.check(); err != nil {
		return nil, err
	}
	return h.appendJSON(make([]byte, 0, 256+32*len(h.Servers)+192*len(h.Leads)+128*len(h.Stands)+64*len(h.Tries))), nil
}

// DecodeHeartbeat reads a Heartbeat.
func DecodeHeartbeat(data []byte) (*Heartbeat, error) {
	h := new(Heartbeat)
	if len(data) <= MaxMessage && h.scan(string(data)) && h.check() == nil {
		return h, nil
	}
	*h = Heartbeat{}
	return h, decode(data, h, h.check)
}

// Encode returns the Term as JSON, with this Version.
func (t *Term) Encode() ([]byte, error) {
	t.Version, t.Needs = Version, needs
	if err := t.check(); err != nil {
		return nil, err
	}
	return json.Marshal(t)
}

// DecodeTerm reads a Term.
func DecodeTerm(data []byte) (*Term, error) {
	t := new(Term)
	return t, decode(data, t, t.check)
}

// ErrNewer is a message of a bridge that is more than one version ahead: update this one.
var ErrNewer = errors.New("it needs a newer version of the bridge than this one")

func tooLong(data []byte) error {
	return fmt.Errorf("it is of %d bytes, at most %d are allowed", len(data), MaxMessage)
}

// decode reads data into v. What a newer version needs may not fit v: then that it is
// newer is the error.
func decode(data []byte, v any, check func() error) error {
	if len(data) > MaxMessage {
		return fmt.Errorf("it is of %d bytes, at most %d are read", len(data), MaxMessage)
	}
	err := json.Unmarshal(data, v)
	if err == nil {
		err = check()
	}
	if err == nil {
		return nil
	}
	var newer struct {
		Needs int `json:"needs"`
	}
	if json.Unmarshal(data, &newer) == nil && newer.Needs > Version {
		return ErrNewer
	}
	return fmt.Errorf("no message of a bridge: %w", err)
}

func (h *Heartbeat) check() error {
	switch {
	case badVersion(h.Version, h.Needs):
		return errVersion
	case !name.Valid(h.Node, maxNode):
		return fmt.Errorf("%.40q names no node", h.Node)
	case !name.Valid(h.Incarnation, maxToken):
		return fmt.Errorf("%.40q names no incarnation", h.Incarnation)
	case h.Weight < 1 || h.Weight > maxWeight:
		return fmt.Errorf("weight %d: wants 1 to %d", h.Weight, maxWeight)
	case h.SilenceMS < 0:
		return errors.New("a silence of less than nothing")
	case len(h.Servers) > MaxServers || len(h.Leads)+len(h.Stands) > MaxServers || len(h.Tries) > MaxServers:
		return fmt.Errorf("it names more than %d servers", MaxServers)
	case h.Parts < 0 || h.Parts > maxParts || h.Part > h.Parts || h.Part < min(1, h.Parts):
		return fmt.Errorf("part %d of %d: wants 1 to %d", h.Part, h.Parts, maxParts)
	}
	for _, s := range h.Servers {
		if !name.Valid(s, maxServer) {
			return noServer(s)
		}
	}
	for i := range h.Leads {
		if l := &h.Leads[i]; !name.Valid(l.Server, maxServer) || !ValidEpoch(l.Epoch) || badTerm(l.Term) || badWidth(l.Width) || len(l.Unable) > maxToken || l.Yields != "" && !name.Valid(l.Yields, maxNode) || badAnswers(l.Answers) {
			return fmt.Errorf("what is led has no server, epoch, term, width or node that is valid: %.40q", l.Server)
		}
	}
	for i := range h.Stands {
		if s := &h.Stands[i]; !name.Valid(s.Server, maxServer) || !name.Valid(s.State, maxToken) || len(s.Reason) > maxToken || len(s.Unable) > maxToken || s.AgeMS < 0 || s.LagMS < 0 || s.OldestMS < 0 {
			return fmt.Errorf("what is stood by for has no server or state that is valid: %.40q", s.Server)
		}
	}
	for i := range h.Tries {
		if t := &h.Tries[i]; !name.Valid(t.Server, maxServer) || t.ForMS < 0 {
			return fmt.Errorf("what is tried has no server or time that is valid: %.40q", t.Server)
		}
	}
	return nil
}

func (t *Term) check() error {
	switch {
	case badVersion(t.Version, t.Needs):
		return errVersion
	case !name.Valid(t.Server, maxServer):
		return noServer(t.Server)
	case !name.Valid(t.Node, maxNode) || !name.Valid(t.Incarnation, maxToken):
		return fmt.Errorf("%.40q of %.40q is no node's incarnation", t.Incarnation, t.Node)
	case badTerm(t.Term):
		return fmt.Errorf("term %d: wants 1 to %d", t.Term, uint64(maxTerm))
	case len(t.Reason) > maxToken:
		return fmt.Errorf("a reason of %d bytes, at most %d are allowed", len(t.Reason), maxToken)
	}
	return nil
}

var errVersion = errors.New("it names no version that this one reads")

func badVersion(v, needs int) bool { return needs < 1 || needs > Version || v < needs }

func badTerm(term uint64) bool { return term == 0 || term > maxTerm }

func badWidth(w uint64) bool { return w != 0 && (w < Window || w >= 2*Window) }

func badAnswers(all []Answer) bool {
	return len(all) > maxAnswers || slices.ContainsFunc(all, func(a Answer) bool { return !name.Valid(a.Node, maxNode) })
}

func noServer(s string) error { return fmt.Errorf("%.40q names no server", s) }
