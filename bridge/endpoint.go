package bridge

import (
	"errors"
	"strings"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
)

// endpoint is where requests arrive for one server, for one of several (any, or
// a group), or for all of them.
type endpoint struct {
	b       *Bridge
	name    string // the subject's token
	servers []*server
	routed  bool // one of them has it, which the endpoint chooses
	every   bool // each of them has it
	group   bool
	next    atomic.Uint64
	tally   tally
}

// newEndpoints returns those of b: one a server, one a group, any and all.
func (b *Bridge) newEndpoints() []*endpoint {
	var all []*endpoint
	byName := make(map[string]*server)
	for _, s := range b.servers {
		byName[s.cfg.Name] = s
		all = append(all, &endpoint{b: b, name: s.cfg.Name, servers: []*server{s}})
	}
	for _, g := range b.cfg.Groups {
		e := &endpoint{b: b, name: g.Name, routed: true, group: true}
		for _, name := range g.Servers {
			e.servers = append(e.servers, byName[name])
		}
		all = append(all, e)
	}
	return append(all,
		&endpoint{b: b, name: "any", servers: b.servers, routed: true},
		&endpoint{b: b, name: "all", servers: b.servers, every: true})
}

// subject is what e is subscribed to.
func (e *endpoint) subject() string { return e.b.cfg.SubjectPrefix + ".actions." + e.name + ".*" }

// kind is what e is, for discovery.
func (e *endpoint) kind() string {
	switch {
	case e.group:
		return "group"
	case e.routed:
		return "any"
	case e.every:
		return "all"
	}
	return "server"
}

func (e *endpoint) serverNames() (names []string) {
	for _, s := range e.servers {
		names = append(names, s.cfg.Name)
	}
	return names
}

// onRequest takes a request. It runs on the endpoint's goroutine, one request
// at a time, and waits neither for Asterisk nor for JetStream.
func (e *endpoint) onRequest(m *nats.Msg) {
	a := e.newAsk(m)
	if !isInbox(a.to, e.b.cfg.Node) {
		// Answering elsewhere would publish under the bridge's own rights.
		fail := &failure{Kind: kindNoInbox, Sent: "no", Message: "its reply subject is not an inbox"}
		a.count(resultRefused, fail)
		e.b.audit.outcome(a, nil, fail)
		e.b.log.Warn("request refused", zap.String("reason", fail.Message),
			zap.String("subject", a.subject))
		return
	}
	if e.every {
		a.after = a.endOf(1) // of a refusal
	}
	if err := a.options.read(m.Header); err != nil {
		a.refuse(badRequest(err))
		return
	}
	switch {
	case a.options.group != "" && !e.every:
		a.refuse(badRequest(errors.New("Ami-Group is for requests to all: call the group by its name")))
	case e.every:
		a.fanOut()
	case e.routed:
		a.others = e.turn()
		a.begin()
	default:
		a.server, a.others = e.servers[0], e.servers
		a.begin()
	}
}

// turn returns the servers in the order in which they are to be tried: round
// robin.
func (e *endpoint) turn() []*server {
	first := int(e.next.Add(1)-1) % len(e.servers)
	return append(append([]*server(nil), e.servers[first:]...), e.servers[:first]...)
}

// isInbox reports whether subject is an inbox: _INBOX.… or a caller's own prefix
// such as _INBOX_dialer.…, but not that of node, where acknowledgements arrive;
// or _R_.…, behind which nats-server hides that of a caller in another account.
func isInbox(subject, node string) bool {
	prefix, _, ok := strings.Cut(subject, ".")
	return ok && (prefix == "_INBOX" || prefix == "_R_" || strings.HasPrefix(prefix, "_INBOX_")) && prefix != inboxPrefix(node)
}
