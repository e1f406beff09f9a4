package actions

import (
	"maps"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
)

// handed is of a request that another bridge asks, which leads the server not.
type handed struct {
	inbox  string // of the caller: the first token of its reply subject
	routed bool   // another server may have it
}

// handedSubject is where other bridges ask for an Action of e's server. Only bridges may
// publish there: its headers are taken at their word.
func (e *Endpoint) handedSubject() string { return e.shared.prefix + ".ha.actions." + e.Name + ".*" }

// onHanded takes a request from another bridge. That one has seen to its key and its group,
// and waits for the reply; this one checks it and records it as it does its own.
func (e *Endpoint) onHanded(m *nats.Msg) {
	subject, prefix := m.Header.Get(headerSubject), e.shared.prefix
	if !strings.HasPrefix(m.Reply, prefix+".ha.replies.") || !strings.HasPrefix(subject, prefix+".actions.") {
		return // of no bridge, or of one that nobody knows yet
	}
	from := &handed{inbox: m.Header.Get(headerInbox), routed: m.Header.Get(headerRouted) != ""}
	header := maps.Clone(m.Header)
	for _, name := range []string{headerSubject, headerInbox, headerRouted} {
		header.Del(name)
	}
	own := &nats.Msg{Subject: subject, Reply: m.Reply, Header: header, Data: m.Data}
	a := e.newRequest(own)
	a.handed = from
	a.guarded(func() {
		err := a.read(own)
		a.body.raw = nil
		if err != nil {
			a.Refuse(reply.BadRequest(err))
			return
		}
		a.others = a.behind.servers
		a.begin()
	})
}

// isShared reports whether others share servers with this bridge.
func (e *Endpoint) isShared() bool { return e.shared.others != nil }

// subscriptions are those that e has while its requests come here, in groups of that name
// where it has none of its own. Where others share a server its leader takes what they ask,
// too.
func (e *Endpoint) subscriptions(own string) []*natsconn.Subscription {
	group := e.queue()
	if group == "" {
		group = own
	}
	all := []*natsconn.Subscription{{Subject: e.Subject(), Queue: group, Handle: e.onRequest, Made: e.arrive, Look: e.dropped.look}}
	if e.isShared() && e.kind() == "server" {
		inner := &natsconn.Subscription{Subject: e.handedSubject(), Queue: group, Handle: e.onHanded, Made: e.arrive, Look: e.dropped.look}
		all = append([]*natsconn.Subscription{inner}, all...)
	}
	return all
}
