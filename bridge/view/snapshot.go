package view

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Snapshot is all there is to see at one time: what the terminal paints, and the JSON of
// docs/schemas/status.schema.json.
type Snapshot struct {
	At       Time     `json:"at"`
	Headline Headline `json:"headline"`
	Totals   Totals   `json:"totals"`
	NATS     NATS     `json:"nats"`
	Servers  []Server `json:"servers"` // worst first
	Bridges  []Bridge `json:"bridges"`
	Changes  []Change `json:"changes"` // the newest first
	Floor    *Floor   `json:"floor"`   // null: the state is off
	// Ignored is how many messages and objects were not what they should be, or too many.
	Ignored uint64 `json:"ignored"`
}

// Totals are of all servers.
type Totals struct {
	Servers int `json:"servers"`
	Ill     int `json:"ill"`
	Unknown int `json:"unknown"`
	Syncing int `json:"syncing"`
	// Rates are a second, of the servers that say theirs; null: none does yet.
	In      *float64 `json:"in"`     // events from Asterisk
	Stored  *float64 `json:"stored"` // events that NATS takes
	Actions *float64 `json:"actions"`
	Queued  uint64   `json:"queued"` // events that wait for NATS
	// Refused is how many requests were refused since the bridges began; null: none says.
	Refused *uint64 `json:"refused"`
	// Lost is how many events were lost since LostSince, at most an hour ago.
	// LostMore says that there are others, which nobody can count: the "+".
	Lost      uint64 `json:"lost"`
	LostMore  bool   `json:"lost_more"`
	LostSince Time   `json:"lost_since"`
	Calls     *int   `json:"calls"`   // null: the state is off
	Waiting   *int   `json:"waiting"` // null: the state is off
}

// NATS is how the bridges are connected to NATS.
type NATS struct {
	Up    bool `json:"up"` // at least one bridge that lives can give events away
	Since Time `json:"since"`
	// FirstFull is when the first outbox is forecast to be full, and whose it is.
	FirstFull Time   `json:"first_full"`
	First     string `json:"first"`
}

// Server is one of them. What is not known is null.
type Server struct {
	Name string `json:"name"`
	Node string `json:"node"` // who speaks for it
	Verdict
	Sessions []Session   `json:"sessions"`
	Breaker  *Breaker    `json:"breaker"`
	Rates    *Rates      `json:"rates"`
	Buffers  *Buffers    `json:"buffers"`
	Forecast *Forecast   `json:"forecast"` // null: not filling
	Account  *Accounting `json:"accounting"`
	Refused  *Refusals   `json:"refused"`
	Gaps     []Gap       `json:"gaps"`    // the newest first; one without an end is open
	Present  *Present    `json:"present"` // null: the state is off
	HA       *HA         `json:"ha"`
}

// Session is one session of a server.
type Session struct {
	Role     string `json:"role"`
	State    string `json:"state"`
	Since    Time   `json:"since"`
	Reason   string `json:"reason"`
	Error    string `json:"error"`
	Failures int    `json:"failures"`
	RetryAt  Time   `json:"retry_at"`
	Version  string `json:"version"`
}

// ReadsEvents reports whether events come by it: whether its loss is theirs.
func (c *Session) ReadsEvents() bool { return readsEvents(c.Role) }

// Breaker is a server's breaker.
type Breaker struct {
	State    string `json:"state"`
	Since    Time   `json:"since"`
	Reason   string `json:"reason"`
	Error    string `json:"error"`
	Failures int    `json:"failures"`
	RetryAt  Time   `json:"retry_at"`
}

// Rates are a second, between the last two words of a server or, if it has said one, as
// that says.
type Rates struct {
	In     float64 `json:"in"`
	Stored float64 `json:"stored"`
	// Actions are those that ended, P95 is the 95th percentile of how long they took, in
	// milliseconds; null: there were none of late, or the bridge does not say.
	Actions *float64 `json:"actions"`
	P95     *float64 `json:"p95_ms"`
	// P95Past is the most of it in each ten seconds of the last ten minutes, 0 where there
	// were none; empty if nobody has watched.
	P95Past []float64 `json:"p95_past"`
	// InPast and StoredPast are events in each ten seconds of the last ten minutes, the
	// oldest first; the last is not over. Empty if nobody has watched.
	InPast     []uint64 `json:"in_past"`
	StoredPast []uint64 `json:"stored_past"`
}

// Buffers are a server's.
type Buffers struct {
	At      Time   `json:"at"`
	Outbox  Buffer `json:"outbox"`
	Write   Buffer `json:"write_buffer"`
	Pending Buffer `json:"pending_actions"`
}

// Buffer is one: an outbox and a write buffer in bytes, of so many events or Actions;
// the pending Actions in Actions alone.
type Buffer struct {
	Depth     int64  `json:"depth"`
	Bytes     int64  `json:"bytes"`
	Capacity  int64  `json:"capacity"`
	HighWater int64  `json:"high_water"`
	Refused   uint64 `json:"refused"`
	Level     string `json:"level"`
}

func (b *Buffer) bound() {
	b.Depth, b.Bytes, b.Capacity, b.HighWater = max(b.Depth, 0), max(b.Bytes, 0), max(b.Capacity, 0), max(b.HighWater, 0)
	b.Level = cleanTo(b.Level, 16)
}

func (b *Buffer) isNormal() bool { return b.Level != "high" && b.Level != "full" }

// fill is what b holds in the unit of its capacity.
func (b *Buffer) fill() int64 {
	if b.Bytes == 0 {
		return b.Depth // of the pending Actions; an outbox without bytes has no depth
	}
	return b.Bytes
}

// Percent is how full b is.
func (b *Buffer) Percent() float64 {
	if b.Capacity <= 0 {
		return 0
	}
	return 100 * float64(b.fill()) / float64(b.Capacity)
}

// Forecast is when the outbox of a server, or all outboxes of its bridge, will be full.
type Forecast struct {
	Full  Time    `json:"full"`
	Rate  float64 `json:"rate"`  // bytes a second
	Total bool    `json:"total"` // it is all outboxes that will be full
}

// Accounting is the law of conservation: received is the sum of the rest. All of it is
// of one message, so that it adds up.
type Accounting struct {
	At        Time              `json:"at"`
	Received  uint64            `json:"received"`
	Published uint64            `json:"published"`
	Filtered  uint64            `json:"filtered"`
	Queued    uint64            `json:"queued"`
	InFlight  uint64            `json:"in_flight"`
	Released  uint64            `json:"released"`
	Dropped   map[string]uint64 `json:"dropped"`
}

// DroppedSum is the sum over all reasons.
func (a *Accounting) DroppedSum() uint64 { return sum(a.Dropped) }

// Gap is a hole in a server's events.
type Gap struct {
	From      Time    `json:"from"`
	To        Time    `json:"to"` // null: open
	Reason    string  `json:"reason"`
	Lost      *uint64 `json:"lost"`      // null: nobody can know
	Restarted *bool   `json:"restarted"` // null: unknown, or no session was lost
}

// Present is what is up at a server.
type Present struct {
	State   string `json:"state"` // live, syncing, stale
	AsOf    Time   `json:"as_of"` // of a stale one: when its numbers were right
	Calls   int    `json:"calls"`
	Waiting int    `json:"waiting"`
	Longest Time   `json:"longest"` // since when the one that waits longest does
	// Missing is of which kinds of a live one not all is known, and why; empty: all is.
	Missing string `json:"missing"`
}

// Snapshot returns what is to be seen at the time now, of which the zone is that of the
// times in words. It changes nothing.
func (m *Model) Snapshot(now time.Time, numbers Numbers) *Snapshot {
	snap := &Snapshot{At: Time{now}, Servers: make([]Server, 0, len(m.servers)), Changes: m.changes.newest(), Ignored: m.ignored}
	for _, s := range m.servers {
		snap.Servers = append(snap.Servers, m.serverAt(s, now))
	}
	slices.SortFunc(snap.Servers, func(a, b Server) int { return worse(&a, &b) })
	snap.Bridges = m.bridges(now)
	snap.Floor = m.floorAt(now, numbers)
	snap.NATS = m.natsAt(snap.Servers, now)
	snap.Totals = m.totals(snap, now)
	snap.Headline = headline(snap, now)
	return snap
}

// worse sorts by state, the worst first. Of those that lose it is who loses most, of those
// in trouble whose outbox is full first, then who has been so for longest.
func worse(a, b *Server) int {
	rate := func(s *Server) float64 {
		if s.Losing == nil {
			return 0
		}
		return s.Losing.Rate
	}
	switch c := cmp.Compare(a.State.rank(), b.State.rank()); {
	case c != 0:
		return c
	case a.State == StateLosing && rate(a) != rate(b):
		return cmp.Compare(rate(b), rate(a))
	case a.State == StateTrouble && a.Until != b.Until && a.UntilKind != UntilTry && b.UntilKind != UntilTry:
		switch {
		case a.Until.IsZero():
			return 1
		case b.Until.IsZero():
			return -1
		}
		return a.Until.Compare(b.Until.Time)
	case a.State.Ill():
		return cmp.Or(a.Since.Compare(b.Since.Time), cmp.Compare(a.Name, b.Name))
	}
	return cmp.Compare(a.Name, b.Name)
}

func (m *Model) serverAt(s *server, now time.Time) Server {
	view := Server{Name: s.name, Node: s.node, Verdict: m.verdictOf(s, now), HA: s.ha, Refused: s.refusals}
	view.Gaps = s.allGaps(view.Losing, view.Reason)
	view.Sessions = append([]Session{}, s.sessions...)
	if s.breaker.State != "" {
		view.Breaker = new(s.breaker)
	}
	if b := s.buffers; b != nil {
		view.Buffers = &Buffers{At: Time{s.buffersAt}, Outbox: b.Outbox, Write: b.Write, Pending: b.Pending}
		view.Account = &Accounting{
			At: Time{s.buffersAt}, Received: b.Received, Published: b.Published, Filtered: b.Filtered, Queued: b.Queued, InFlight: b.InFlight,
			Released: b.Released, Dropped: b.Dropped,
		}
	}
	if !m.isSilent(m.nodes[s.node], s.lastSeen, now) {
		view.Rates = s.ratesAt(now)
		if left, total, ok := m.fills(s, now); ok {
			view.Forecast = &Forecast{Full: Time{now.Add(left)}, Rate: s.growth.average, Total: total}
		}
	}
	view.Present = m.presentAt(s, now)
	return view
}

// said are the rates that the server's last word has; zeros if it has none.
func (s *server) said() (rates ratesMsg, ok bool) {
	if s.buffers == nil || s.buffers.Rates == nil {
		return ratesMsg{}, false
	}
	return *s.buffers.Rates, true
}

// rates are how fast events come in and are taken: as it was seen or, by who has seen one
// word, as that says.
func (s *server) rates() (in, stored float64, ok bool) {
	if s.in.seen {
		return tenths(s.in.rate), tenths(s.out.rate), true
	}
	said, ok := s.said()
	return tenths(max(said.Received, 0)), tenths(max(said.Published, 0)), ok
}

func (s *server) ratesAt(now time.Time) *Rates {
	in, stored, ok := s.rates()
	if !ok {
		return nil
	}
	r := &Rates{In: in, Stored: stored, InPast: []uint64{}, StoredPast: []uint64{}, P95Past: []float64{}}
	if s.in.seen {
		r.InPast, r.StoredPast = s.inPast.all(now, ringStep), s.outPast.all(now, ringStep)
	}
	s.actionRates(r, now)
	return r
}

// tenths is x as far as anybody reads it.
func tenths(x float64) float64 { return math.Round(x*10) / 10 }

func (m *Model) presentAt(s *server, now time.Time) *Present {
	if s.present.state == "" {
		return nil
	}
	f := s.look()
	p := &Present{State: s.present.state, Calls: len(s.calls), Waiting: f.waiting, Longest: Time{f.longest}.shift(s.skew(m)), Missing: s.present.missing}
	if frozen, since := m.isStale(s, now); frozen {
		p.State, p.AsOf, p.Missing = stale, Time{since}, ""
	}
	return p
}

func (m *Model) totals(snap *Snapshot, now time.Time) Totals {
	t := Totals{Servers: len(snap.Servers), Lost: m.lost.sum(now), LostSince: Time{m.lost.since}}
	if hour := now.Add(-lostSpan); t.LostSince.Before(hour) {
		t.LostSince = Time{hour}
	}
	t.LostMore = !m.lost.unknown.IsZero() && now.Sub(m.lost.unknown) < lostSpan
	for i := range snap.Bridges {
		if r := snap.Bridges[i].Refused; r != nil {
			t.Refused = new(orZero(t.Refused) + r.Count)
		}
	}
	if f := snap.Floor; f != nil {
		t.Calls, t.Waiting = new(f.Calls), new(f.Waiting)
	}
	for i := range snap.Servers {
		s := &snap.Servers[i]
		switch {
		case s.State.Ill():
			t.Ill++
		case s.State == StateUnknown:
			t.Unknown++
		case s.State == StateSyncing:
			t.Syncing++
		}
		t.LostMore = t.LostMore || s.Losing != nil && s.Losing.Events == nil
		if s.Refused != nil {
			t.Refused = new(orZero(t.Refused) + s.Refused.Count)
		}
		if s.Rates != nil && !s.LedElsewhere() { // who leads it says them
			t.In, t.Stored = new(orZero(t.In)+s.Rates.In), new(orZero(t.Stored)+s.Rates.Stored)
			if s.Rates.Actions != nil {
				t.Actions = new(orZero(t.Actions) + *s.Rates.Actions)
			}
		}
		if s.Account != nil && s.State != StateUnknown && !s.LedElsewhere() {
			t.Queued += s.Account.Queued + s.Account.InFlight
		}
	}
	return t
}

func orZero[T any](p *T) (zero T) {
	if p == nil {
		return zero
	}
	return *p
}

// ExitCode is that of the subcommand status: 0 for well or syncing, 2 if something is
// not known and nothing is ill, 1 for the rest.
func (s *Snapshot) ExitCode() int {
	switch {
	case s.Totals.Ill > 0:
		return 1
	case s.Totals.Unknown > 0 || s.Totals.Servers == 0:
		return 2
	}
	return 0
}
