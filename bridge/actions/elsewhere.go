package actions

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
)

// Where several bridges share the servers, one of them has a request, and asks who leads a
// server that it does not lead itself, on <prefix>.ha.actions.<server>.<Action>: with the
// request's own headers and body, so that the audit of who writes the Action has who asked.
// What that one replies it hands on to the caller. It is asked once: a reply that does not
// come leaves unknown whether the Action was written.

// Others is what a Service knows of the bridges that share servers with this one. Its
// functions may be called from any goroutine and do not wait.
type Others struct {
	// Sure reports whether what comes to this bridge came just now: one that was frozen asks
	// nobody for what waited meanwhile.
	Sure func() bool
	// Elsewhere returns the servers that others lead, sorted.
	Elsewhere func() []string
	// LeaderOf returns the name of the process that leads a server; "" if that is not known.
	LeaderOf func(server string) string
	// Gone reports whether the process of that name is not heard any more.
	Gone func(process string) bool
	// OtherGroups reports whether one of them has other groups than this bridge: then each takes
	// the requests for its own, for who leads a server of a group may not have that.
	OtherGroups func() bool
}

const (
	// headerSubject, headerInbox and headerRouted are of a request that one bridge asks
	// another: its subject, the first token of its reply subject, and whether another
	// server may have it if this one does not take it.
	headerSubject = "Ami-Ha-Subject"
	headerInbox   = "Ami-Ha-Inbox"
	headerRouted  = "Ami-Ha-Routed"
	// replyGrace is how much longer than the Action may take its reply is waited for.
	replyGrace = 2 * time.Second
	// lookEvery is how often it is looked whether who was asked is there still.
	lookEvery = 500 * time.Millisecond
)

// askedOthers are the requests that other bridges were asked and have not replied to. Each
// holds its place at its endpoint, which bounds them.
type askedOthers struct {
	Others
	conn    *natsconn.Conn
	replies string // what the subjects of their replies begin with; no other process has the same

	last atomic.Uint64 // of what their reply subjects end with

	mu      sync.Mutex             // protects the following
	waiting map[string]*askedOther // by what their reply subjects end with
}

type askedOther struct {
	*actionRequest
	process string // that was heard to lead the server
	until   time.Time
	timer   *time.Timer
	// replies is a subscription of its own: those that are kept up are exchanged for fresh
	// ones, and the parts of a stream would come twice, or out of order, meanwhile.
	replies *nats.Subscription
}

func newAskedOthers(o *Options) *askedOthers {
	return &askedOthers{
		Others: *o.Others, conn: o.Conn, waiting: make(map[string]*askedOther),
		replies: o.Config.SubjectPrefix + ".ha.replies." + rand.Text() + ".",
	}
}

// isElsewhere reports whether another bridge leads s, or may.
func (s *Target) isElsewhere() bool { return s.leads != nil && !s.leads() }

// foreign is a server that this bridge does not have and others lead.
func foreign(name string) *Target {
	own := config.DefaultServerConfig()
	own.Name = name
	s := &Target{cfg: &own, leads: func() bool { return false }}
	s.permits.Store(&permits{own: &own})
	return s
}

// mayAskOthers reports whether a may go to the bridge that leads its server: not if it has come
// from another one, nor if it may have waited here for long.
func (a *actionRequest) mayAskOthers() bool {
	w := a.endpoint.shared.others
	return w != nil && a.handed == nil && a.body.raw != nil && w.Sure() && w.conn.Up()
}

// askOthers asks who leads a's server. The reply comes to onReply, or its time ends.
func (a *actionRequest) askOthers() {
	all := a.endpoint.shared
	w, server := all.others, a.server.cfg.Name
	left := time.Until(a.deadline)
	if left <= 0 {
		a.Refuse(timeOver())
		return
	}
	m := a.forOthers(all.prefix+".ha.actions."+server+"."+a.action.String(), left)
	if a.Later(); !a.more() {
		a.LetGo()
	}
	if a.options.stream {
		a.stream = a.newStream()
	}
	a.out = true
	id, err := w.add(a, left+replyGrace)
	if err == nil {
		m.Reply = w.replies + id
		if err = w.conn.Publish(w.conn.Get(), m); err == nil || w.take(id) == nil {
			a.endpoint.asked.asked.Add(1)
			return
		}
	}
	a.declinedElsewhere(a.server.ledByNobody(err.Error()))
}

// forOthers is a as another bridge gets it.
func (a *actionRequest) forOthers(subject string, left time.Duration) *nats.Msg {
	m := nats.NewMsg(subject)
	m.Data = a.body.raw.Data
	for name, values := range a.body.raw.Header {
		switch strings.ToLower(name) {
		case "ami-timeout", "ami-idempotency-key", "ami-group": // what they ask for is seen to here
		default:
			m.Header[name] = values
		}
	}
	m.Header.Set("Ami-Timeout", left.String())
	m.Header.Set(headerSubject, a.subject)
	inbox, _, _ := strings.Cut(a.to, ".")
	m.Header.Set(headerInbox, inbox)
	if a.endpoint.routed {
		m.Header.Set(headerRouted, "true")
	}
	return m
}

// add has a wait for its reply. After an error, which is NATS's, it does not.
func (w *askedOthers) add(a *actionRequest, wait time.Duration) (id string, err error) {
	one := &askedOther{actionRequest: a, process: w.LeaderOf(a.server.cfg.Name), until: time.Now().Add(wait)}
	if w.Gone(one.process) {
		one.process = "" // who leads now has not been heard yet
	}
	id = strconv.FormatUint(w.last.Add(1), 36)
	if one.replies, err = w.conn.Get().Subscribe(w.replies+id, func(m *nats.Msg) { w.onReply(id, m) }); err != nil {
		return "", err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting[id] = one
	one.timer = time.AfterFunc(min(lookEvery, wait), func() { w.look(id, one) })
	return id, nil
}

// look ends one whose time is over, or that a process was asked which is gone: nobody will
// ever reply.
func (w *askedOthers) look(id string, one *askedOther) {
	left := time.Until(one.until)
	if left <= 0 || one.process != "" && w.Gone(one.process) {
		if a := w.take(id); a != nil {
			a.guarded(func() { a.unheard(noReply(a)) })
		}
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting[id] == one {
		one.timer.Reset(min(lookEvery, left))
	}
}

// take takes out the request of that id: whoever does so ends it, or has it go on.
func (w *askedOthers) take(id string) *actionRequest {
	w.mu.Lock()
	one := w.waiting[id]
	delete(w.waiting, id)
	w.mu.Unlock()
	if one == nil {
		return nil
	}
	one.out, one.sent = false, "unknown"
	one.timer.Stop()
	_ = one.replies.Unsubscribe() // it fails only where the connection is gone
	return one.actionRequest
}

// peek returns the request of that id, which goes on waiting.
func (w *askedOthers) peek(id string) *actionRequest {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one := w.waiting[id]; one != nil {
		return one.actionRequest
	}
	return nil
}

// onReply takes what another bridge says, on the goroutine of its subscription. What is no
// reply of a bridge, as of a stream that takes the requests, is not looked at.
func (w *askedOthers) onReply(id string, m *nats.Msg) {
	nobody := len(m.Data) == 0 && m.Header.Get("Status") == "503"
	part, _ := strconv.Atoi(m.Header.Get("Ami-Part"))
	switch {
	case part > 0:
		if a := w.peek(id); a != nil && a.stream != nil {
			a.stream.Relay(part, m.Data, m.Header.Get("Ami-Masked"))
		}
	case nobody:
		if a := w.take(id); a != nil {
			a.endpoint.asked.unled.Add(1)
			a.guarded(func() { a.declinedElsewhere(a.server.ledByNobody("no bridge leads " + a.server.cfg.Name)) })
		}
	case bytes.HasPrefix(m.Data, []byte(`{"server":`)):
		if a := w.take(id); a != nil {
			a.guarded(func() { a.repliedElsewhere(m) })
		}
	}
}

// repliedElsewhere hands on what the bridge that leads the server has replied, unless it did
// not take the Action and another server may have it. It was recorded there.
func (a *actionRequest) repliedElsewhere(m *nats.Msg) {
	var said struct{ Error *reply.Error }
	if m.Header.Get("Nats-Service-Error-Code") != "" && json.Unmarshal(m.Data, &said) != nil {
		a.unheard(noReply(a))
		return
	}
	fail := said.Error
	if fail == nil || fail.Sent != "no" {
		a.endpoint.asked.answered.Add(1)
	} else {
		a.endpoint.asked.refused.Add(1)
	}
	if fail != nil && fail.Sent == "no" {
		if a.endpoint.routed {
			a.declinedElsewhere(fail)
			return
		}
		a.count(resultRefused, fail)
	} else {
		a.count(resultOf(fail), fail)
	}
	a.finishKey(m.Data, fail)
	a.endpoint.shared.sender.Queue(reply.Message{To: a.to, Body: m.Data, Error: fail, Head: a.head(), Stream: a.stream, Done: a.ended})
}

// declinedElsewhere gives a to the next server.
func (a *actionRequest) declinedElsewhere(fail *reply.Error) {
	a.out, a.sent = false, ""
	if a.stream != nil {
		a.stream.End()
		a.stream = nil
	}
	a.decline(fail)
	a.proceed()
}

// end ends all that wait: this bridge stops, and does not learn what became of them.
func (w *askedOthers) end() {
	w.mu.Lock()
	ids := slices.Collect(maps.Keys(w.waiting))
	w.mu.Unlock()
	for _, id := range ids {
		if a := w.take(id); a != nil {
			a.unheard(&reply.Error{
				Code: 503, Kind: reply.KindShuttingDown, Sent: "unknown",
				Message: "the bridge stopped before the reply of the one that leads " + a.server.cfg.Name,
			})
		}
	}
}

// noReply is why nobody knows what became of a.
func noReply(a *actionRequest) *reply.Error {
	return &reply.Error{Code: 504, Kind: reply.KindTimeout, Sent: "unknown", Message: "no reply in time from the bridge that leads " + a.server.cfg.Name}
}

// unheard ends a with fail, to which nobody has replied: who had it may have been killed behind it.
func (a *actionRequest) unheard(fail *reply.Error) {
	a.count(resultFailed, fail)
	a.endpoint.asked.unanswered.Add(1)
	a.endpoint.shared.audit.Outcome(a.audited(), nil, fail)
	body := reply.Append(nil, a.head(), nil, fail)
	a.finishKey(body, fail)
	a.endpoint.shared.sender.Queue(reply.Message{To: a.to, Body: body, Error: fail, Head: a.head(), Stream: a.stream, Done: a.ended})
}

// ledByNobody is the refusal of a server of which no bridge takes requests.
func (s *Target) ledByNobody(why string) *reply.Error {
	return &reply.Error{Code: 503, Kind: reply.KindNotConnected, Sent: "no", Message: why, RetryAfter: otherLeads.Milliseconds()}
}

// more reports whether there is another server that a may be with: to any, once this bridge's own
// are through, one that only others have.
func (a *actionRequest) more() bool {
	if e := a.endpoint; len(a.others) == 0 && !a.widened && e.routed && !e.group {
		a.others, a.widened = e.shared.withForeign(a.behind.servers)[len(a.behind.servers):], true
	}
	return len(a.others) > 0
}

// withForeign adds to servers those that others lead and this bridge does not have.
func (s *shared) withForeign(servers []*Target) []*Target {
	if s.others == nil {
		return servers
	}
	all := servers[:len(servers):len(servers)]
	for _, name := range s.others.Elsewhere() {
		if !hasServer(servers, name) {
			all = append(all, foreign(name))
		}
	}
	return all
}

func hasServer(servers []*Target, name string) bool {
	for _, s := range servers {
		if s.cfg.Name == name {
			return true
		}
	}
	return false
}
