package view

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The kinds of AMI_STATE that are looked at.
const (
	kindServer  = "server"
	kindChannel = "channel"
	kindQueue   = "queue"
	kindMember  = "member"
	kindCaller  = "caller"
)

// object is one of AMI_STATE.
type object struct {
	kind     string
	id       string // as in the key
	queue    string
	iface    string
	agent    string // a member's name
	status   byte   // a member's
	paused   bool
	pausedBy string // the reason
	inCall   bool
	position int
	number   string // the caller's
	with     string
	channel  string
	state    string
	linkedid string
	since    time.Time // begin; of a member, when its state was seen to change; by its bridge's clock
	lastCall time.Time
}

// present is what AMI_STATE says of itself for a server.
type present struct {
	state string    // live, syncing, stale; empty if it has never been there
	since time.Time // in this state
	// missing is of which kinds not all is known, and why; empty: all is.
	missing string
}

// State takes, at the time now, a value of the bucket AMI_STATE; value is nil for what
// was deleted. key is that of the bucket, <server>.<kind>.<id>. Nothing of value is held
// on to.
func (m *Model) State(key string, value []byte, now time.Time) {
	m.advance(now)
	if !m.takeState(key, value, now) {
		m.ignored++
	}
}

func (m *Model) takeState(key string, value []byte, now time.Time) bool {
	name, rest, _ := strings.Cut(key, ".")
	kind, id, _ := strings.Cut(rest, ".")
	if !isName(name, 32) || len(value) > maxPayload || len(key) > maxText*2 {
		return false
	}
	switch kind {
	case kindServer, kindChannel, kindQueue, kindMember, kindCaller:
	default:
		return true // of no use here
	}
	var msg objectMsg
	readable := value == nil || json.Unmarshal(value, &msg) == nil
	if !readable && kind != kindServer {
		return false
	}
	if value == nil && m.servers[name] == nil {
		return true
	}
	s := m.server(name)
	if s == nil {
		return false
	}
	if kind != kindServer && kind != kindChannel { // makeFloor reads neither
		s.floor = nil
	}
	if kind == kindServer {
		m.hasState = m.hasState || value != nil
		if !readable {
			msg = objectMsg{} // nobody vouches for what was up
		}
		s.takePresent(value != nil, &msg, s.skew(m), now)
		return readable
	}
	if value == nil {
		m.drop(s, rest)
		return true
	}
	return m.put(s, rest, kind, id, &msg, now)
}

func (s *server) takePresent(there bool, msg *objectMsg, skew time.Duration, now time.Time) {
	state, since := cleanTo(msg.State, 16), Time{readTime(msg.Since)}.shift(skew).Time
	switch {
	case !there && s.present.state == "":
		return
	case !there:
		state = stale // its bridge has not renewed it
	case state != live && state != syncing:
		state = stale
	}
	if since.IsZero() || since.After(now) {
		since = now
		if state == s.present.state {
			since = s.present.since
		}
	}
	s.present = present{state, since, ""}
	if state == live {
		s.present.missing = msg.missing()
	}
}

// missing says of which kinds that are looked at not all is known, and why. Of a module that is not loaded there is nothing.
func (msg *objectMsg) missing() string {
	var all []string
	for _, kind := range []string{kindChannel, kindQueue, kindMember, kindCaller} {
		if why := msg.NotKept[kind]; why != "" && why != "off" && !strings.HasPrefix(why, "Invalid") {
			all = append(all, kind+" ("+cleanTo(why, 64)+")")
		}
	}
	return strings.Join(all, ", ")
}

// The states of a server's present.
const (
	live    = "live"
	syncing = "syncing"
	stale   = "stale"
)

func (m *Model) drop(s *server, key string) {
	if o := s.objects[key]; o != nil {
		s.uncount(o)
		delete(s.objects, key)
		m.objects--
	}
}

func (m *Model) put(s *server, key, kind, id string, msg *objectMsg, now time.Time) bool {
	before := s.objects[key]
	if before == nil && (len(s.objects) >= maxObjects || m.objects >= maxPresent) {
		return false
	}
	o := newObject(kind, id, msg)
	if kind == kindMember {
		o.since = memberSince(before, o, msg, now.Add(-s.skew(m)))
	}
	if before == nil {
		m.objects++
		key = strings.Clone(key)
	} else {
		s.uncount(before)
	}
	s.objects[key] = o
	if o.linkedid != "" {
		s.calls[o.linkedid]++
	}
	return true
}

func (s *server) uncount(o *object) {
	if o.linkedid == "" {
		return
	}
	if s.calls[o.linkedid]--; s.calls[o.linkedid] <= 0 {
		delete(s.calls, o.linkedid)
	}
}

func newObject(kind, id string, msg *objectMsg) *object {
	first, second, _ := strings.Cut(id, ".")
	o := &object{kind: kind, id: cleanTo(id, maxText), since: readTime(msg.Since)}
	switch kind {
	case kindChannel:
		o.linkedid = clean(cmp.Or(msg.Linkedid, msg.Uniqueid, unescape(first)))
		o.number, o.with = cleanTo(msg.CallerIDNum, 64), cleanTo(msg.ConnectedLineNum, 64)
		o.channel, o.state = cleanTo(msg.Channel, 128), cleanTo(msg.ChannelStateDesc, 32)
	case kindQueue:
		o.queue = clean(cmp.Or(msg.Queue, unescape(first)))
	case kindCaller:
		o.queue = clean(cmp.Or(msg.Queue, unescape(first)))
		o.number, o.position = cleanTo(msg.CallerIDNum, 64), readInt(msg.Position)
	case kindMember:
		o.queue, o.iface = clean(cmp.Or(msg.Queue, unescape(first))), clean(cmp.Or(msg.Interface, unescape(second)))
		o.agent = cmp.Or(clean(msg.MemberName), o.iface)
		o.status, o.paused = byte(min(max(readInt(msg.Status), 0), 255)), isTrue(msg.Paused)
		o.pausedBy, o.inCall = cleanTo(msg.PausedReason, 64), isTrue(msg.InCall)
		if n, err := strconv.ParseInt(msg.LastCall, 10, 64); err == nil && n > 0 && n < 1<<36 {
			o.lastCall = time.Unix(n, 0)
		}
	}
	return o
}

// memberSince is since when the member is as it is: as the object says for one that is
// seen first or has changed.
func memberSince(before, o *object, msg *objectMsg, now time.Time) time.Time {
	if before != nil && before.status == o.status && before.paused == o.paused && before.inCall == o.inCall {
		return before.since
	}
	if at := readTime(msg.At); !at.IsZero() && !at.After(now) {
		return at
	}
	return now
}

// readTime reads RFC 3339 or seconds since 1970; the zero time if it is neither.
func readTime(text string) time.Time {
	if len(text) > 64 {
		return time.Time{}
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 && n < 1<<36 {
		return time.Unix(n, 0)
	}
	return parseTime(text)
}

func readInt(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}

// isTrue reads AMI's words for a truth, as Asterisk's ast_true has them.
func isTrue(text string) bool {
	switch strings.ToLower(text) {
	case "1", "yes", "true", "y", "t", "on":
		return true
	}
	return false
}

// isStale says whether the numbers of the server's present are frozen, and since when.
func (m *Model) isStale(s *server, now time.Time) (frozen bool, since time.Time) {
	switch {
	case s.present.state == "":
		return false, time.Time{}
	case s.present.state == stale:
		return true, s.present.since
	case !s.lastSeen.IsZero() && m.isSilent(m.nodes[s.node], s.lastSeen, now):
		return true, s.lastSeen
	}
	return false, time.Time{}
}

// sample notes how many wait in each queue now.
func (s *server) sample(now time.Time) {
	if s.present.state != live && s.present.state != syncing {
		return
	}
	f := s.look()
	for name := range s.queues {
		if _, there := slices.BinarySearchFunc(f.queues, name, func(q Queue, name string) int { return cmp.Compare(q.Name, name) }); !there {
			delete(s.queues, name)
		}
	}
	for _, q := range f.queues {
		r := s.queues[q.Name]
		if r == nil {
			r = new(ring)
			s.queues[q.Name] = r
		}
		r.raise(now, queueStep, uint64(q.Waiting))
	}
}

// tick is a server's part of Model.Tick.
func (s *server) tick(m *Model, now time.Time) {
	if frozen, _ := m.isStale(s, now); !frozen {
		s.sample(now)
	}
}
