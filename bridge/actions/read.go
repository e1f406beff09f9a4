package actions

import (
	"crypto/sha256"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/name"
)

// newRequest returns a request that has not been read yet.
func (e *Endpoint) newRequest(m *nats.Msg) *actionRequest {
	return &actionRequest{endpoint: e, subject: m.Subject, to: m.Reply, received: time.Now(), answer: (*actionRequest).replyNow}
}

// read reads the request, once for all that want to know of it, and keeps neither its body
// nor its headers as NATS had them. The error is the caller's.
func (a *actionRequest) read(m *nats.Msg) (err error) {
	e := a.endpoint
	a.action, err = name.ParseAction(a.subject[strings.LastIndexByte(a.subject, '.')+1:])
	if a.behind = e.behind.Load(); !e.routed && !e.every {
		a.server = a.behind.servers[0]
	}
	if odd := a.options.read(m.Header); err == nil {
		err = odd
	}
	var bad error
	if a.body, bad = parseBody(a.action, m.Data); err == nil {
		err = bad
	}
	if e.isShared() {
		a.body.raw = m
	}
	a.recorded = e.shared.audit.Record(m, a.action.String(), a.options.requester, a.body.fields, bad == nil)
	a.options.requester, a.body.fields = "", nil
	if err == nil && a.options.key != "" {
		a.bodyHash = sha256.Sum256(m.Data)
	}
	return err
}
