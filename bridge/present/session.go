package present

import (
	"strings"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/jsontext"
)

// State says how far the present is to be believed.
type State uint8

const (
	// Stale is without an event session: it is what was up when that ended.
	Stale State = iota
	// Syncing is with one, while the first lists are under way.
	Syncing
	// Live is with one, and each list has been asked for.
	Live
)

// String returns the word for s in the server's value.
func (s State) String() string { return [...]string{"stale", "syncing", "live"}[s] }

// session is the event session.
type session struct {
	epoch  uint64 // grows with each one and each loss
	mark   uint64 // the last event before it
	token  string
	state  State
	since  time.Time // that it is in state
	synced time.Time // when a list last ended, since each has
	booted bool
}

// maxDue is how many queues are asked for one by one; where more are due, all are.
const maxDue = 64

// Login says that an event session has begun, of the name token. Nothing that was
// remembered of another one holds: neither what has ended nor a list under way.
func (p *Present) Login(token string, now time.Time) {
	p.enter(now)
	defer p.mu.Unlock()
	p.become(Syncing, token, now)
}

// Lost says that the event session is over. All stays as it was, and stale.
func (p *Present) Lost(now time.Time) {
	p.enter(now)
	defer p.mu.Unlock()
	if p.session.state != Stale {
		p.become(Stale, p.session.token, now)
	}
}

func (p *Present) become(s State, token string, now time.Time) {
	p.session.epoch++
	p.session.mark = p.events
	p.session.state, p.session.since, p.session.token, p.session.booted = s, now, token, false
	clear(p.due)
	p.ended.reset()
	p.unlisted.reset()
	p.lacks = [Kinds]string{}
	for p.graves.first != nil {
		o := p.graves.first
		o.unlink(toBury)
		p.forget(o)
	}
	for l := range p.lists {
		h := &p.lists[l]
		h.asked, h.synced, h.why = false, false, ""
		p.dropHalves(h)
	}
}

// Booted says that Asterisk is fully booted: lists before that are partial. The
// event FullyBooted says so too; who may not read it is told here.
func (p *Present) Booted(now time.Time) {
	p.enter(now)
	defer p.mu.Unlock()
	p.boot()
}

func (p *Present) boot() {
	if !p.session.booted {
		p.session.booted = true
		p.allDue()
	}
}

// Again has each list asked for as behind a login: what changed in silence while another
// bridge asked for them is not known here.
func (p *Present) Again(now time.Time) {
	p.enter(now)
	defer p.mu.Unlock()
	if p.session.state == Stale {
		return
	}
	if p.session.state == Live {
		p.session.state, p.session.since = Syncing, now
	}
	for l := range p.lists {
		p.lists[l].asked = false
	}
	if p.session.booted {
		p.allDue()
	}
}

// Resync has each list asked for again.
func (p *Present) Resync(now time.Time) {
	p.enter(now)
	defer p.mu.Unlock()
	if p.session.booted {
		p.allDue()
	}
}

func (p *Present) allDue() {
	for l := range Lists {
		if l == Participants || !p.keeps(l) {
			continue
		}
		p.want(Ask{List: l}, p.now)
	}
}

// Acted says that the bridge has had an Action answered. Those whose effect no event
// tells make lists due: a member that QueueReload removes, a conference's Locked.
func (p *Present) Acted(action string, now time.Time) {
	p.enter(now)
	defer p.mu.Unlock()
	switch strings.ToLower(action) {
	case "reload":
		p.allDue()
	case "queuereload":
		p.wantKept(Queues)
	case "confbridgelock", "confbridgeunlock":
		p.wantKept(Conferences)
	}
}

func (p *Present) wantKept(l List) {
	if p.keeps(l) {
		p.want(Ask{List: l}, p.now)
	}
}

// want has ask due at a point since p began.
func (p *Present) want(ask Ask, at time.Duration) {
	if p.session.state == Stale {
		return
	}
	if ask.Scope != "" {
		if all, is := p.due[Ask{List: ask.List}]; is && all <= at {
			return
		}
		if _, is := p.due[ask]; !is && ask.List == Queues && len(p.due) >= maxDue {
			ask.Scope = ""
		}
	}
	if old, is := p.due[ask]; !is || at < old {
		p.due[ask] = at
	}
}

// Due returns the next list to ask for, and takes it off; none before Asterisk has
// booted. Who asks begins with Begin, one list of a server at a time.
func (p *Present) Due(now time.Time) (ask Ask, ok bool) {
	p.enter(now)
	defer p.mu.Unlock()
	if !p.session.booted {
		return Ask{}, false
	}
	for a, at := range p.due {
		if at <= p.now && (!ok || a.List < ask.List || a.List == ask.List && a.Scope < ask.Scope) {
			ask, ok = a, true
		}
	}
	if ok {
		delete(p.due, ask)
	}
	return ask, ok
}

// keeps reports whether l tells of a kind that is kept.
func (p *Present) keeps(l List) bool { return p.opts.Keep&l.kinds() != 0 }

// endFirstRound has it live once each list of the first round has ended.
func (p *Present) endFirstRound() {
	for a := range p.due {
		if a.List == Participants {
			return
		}
	}
	for l := range Lists {
		h := &p.lists[l]
		if !h.asked && p.keeps(l) && (l != Participants || p.lists[Conferences].synced) {
			return
		}
	}
	now := p.began.Add(p.now)
	p.session.synced = now
	if p.session.state == Syncing {
		p.session.state, p.session.since = Live, now
	}
}

// reason returns why a list is not kept in the words of the server's value.
func reason(why string) string {
	why = strings.TrimSpace(why)
	switch {
	case why == "Permission denied":
		return denied
	case strings.HasPrefix(why, unknownAction):
		return unknownAction
	}
	return why[:min(len(why), 200)]
}

// denied is how this says what Asterisk says for want of a right.
const denied = "denied"

// unknownAction is how manager.c begins its Error for an Action that no loaded
// module has.
const unknownAction = "Invalid/unknown command"

// notKept returns why k is not kept right, "" if it is.
func (p *Present) notKept(k Kind) string {
	if !p.opts.Keep.Has(k) {
		return "off"
	}
	if p.opts.NoClass[k] != "" {
		return "no events of class " + p.opts.NoClass[k]
	}
	if p.lacks[k] != "" { // a release of which no more is known than its lists have
		return "events without " + p.lacks[k]
	}
	if p.unfit[k] > 0 {
		return "too large"
	}
	why, kept := "", false
	for l := range Lists {
		if !l.kinds().Has(k) {
			continue
		}
		switch h := &p.lists[l]; {
		case h.full:
			return "full"
		case h.why == unknownAction:
			// Another list may have the kind: chan_sip's, or PJSIP's.
		case h.why != "":
			return h.why
		case !h.synced:
			return "not listed yet"
		default:
			kept = true
		}
		why = p.lists[l].why
	}
	if kept {
		return ""
	}
	return why
}

// AppendServer appends the value of <server>.server, which node writes. It is not live as long
// as that node does not know whether the bucket has what is up, and nothing else.
func (p *Present) AppendServer(dst []byte, node string, knows bool, now time.Time) []byte {
	p.enter(now)
	defer p.mu.Unlock()
	dst = append(appendName(append(dst, '{'), "state"), '"')
	state := p.session.state
	if state == Live && !knows {
		state = Syncing
	}
	dst = append(append(dst, state.String()...), '"', ',')
	dst = appendTime(appendName(dst, "since"), p.session.since.UnixNano())
	dst = jsontext.AppendMember(dst, "session", p.session.token)
	dst = jsontext.AppendMember(dst, "node", node)
	if !p.session.synced.IsZero() {
		dst = appendTime(appendName(append(dst, ','), "synced_at"), p.session.synced.UnixNano())
	}
	dst = append(appendName(append(dst, ','), "kinds"), '[')
	var why [Kinds]string
	first := true
	for k := range Kinds {
		if why[k] = p.notKept(k); why[k] == "" {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = append(append(append(dst, '"'), k.String()...), '"')
		}
	}
	dst = append(appendName(append(dst, ']', ','), "not_kept"), '{')
	first = true
	for k := range Kinds {
		if why[k] != "" {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = appendName(dst, k.String())
			dst = jsontext.AppendString(dst, why[k])
		}
	}
	return append(dst, '}', '}')
}

// Correction is what a list does to an object that events had otherwise.
type Correction uint8

// The corrections.
const (
	Begun Correction = iota
	Changed
	Ended
	Corrections // how many there are
)

// String returns the word for c.
func (c Correction) String() string { return [...]string{"begun", "changed", "ended"}[c] }

// Counts are figures of a Present.
type Counts struct {
	Objects     [Kinds]int                 // alive
	Corrections [Kinds][Corrections]uint64 // by lists, while live: the drift
	Refused     [Kinds]uint64              // for want of room
	Held        int                        // objects, ended ones that are not forgotten yet included
	Bytes       int64                      // of them
	State       State
}

// Counts returns p's figures.
func (p *Present) Counts() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.counts
	c.Held, c.Bytes, c.State = p.objects, p.bytes, p.session.state
	return c
}

// onlyListed are the kinds that no event begins.
var onlyListed = SetOf(Queue, Device)

// correct counts what a list has brought right. The first lists of a session
// bring what no event could tell, which is no drift; nor is what no event begins.
func (p *Present) correct(k Kind, c Correction) {
	if p.session.state == Live && !(c == Begun && onlyListed.Has(k)) {
		p.counts.Corrections[k][c]++
	}
}
