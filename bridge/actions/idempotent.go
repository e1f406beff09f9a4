package actions

import (
	"crypto/sha256"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/idempotency"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
)

// key tells apart what an Ami-Idempotency-Key is given for, in as many bytes
// whatever a caller writes.
func (a *actionRequest) key() idempotency.Key {
	name := a.subject + "\n" + a.options.key
	if a.endpoint.every {
		name += "\n" + a.server.cfg.Name
	}
	return idempotency.Key{Name: sha256.Sum256([]byte(name)), Body: a.bodyHash, Patience: a.options.timeout}
}

// First lets a go on as the first of its key.
func (a *actionRequest) First(k *idempotency.Entry) {
	a.entry = k
	a.guarded(a.proceed)
}

// Later tells a that it goes on, or is answered, on another goroutine.
func (a *actionRequest) Later() { a.answer = (*actionRequest).replyLater }

// finishKey ends what waits for a, if it is the first of its key.
func (a *actionRequest) finishKey(body []byte, fail *reply.Error) {
	if k := a.entry; k != nil {
		a.entry = nil
		a.endpoint.shared.cache.Finish(k, body, fail)
	}
}

// Repeat answers a with the outcome of the first request of its key.
func (a *actionRequest) Repeat(o *idempotency.Outcome) {
	a.guarded(func() { a.repeat(o) })
}

func (a *actionRequest) repeat(o *idempotency.Outcome) {
	a.count(resultOf(o.Error), o.Error)
	body := o.Body
	if body == nil {
		body = reply.Append(nil, a.head(), nil, o.Error)
	}
	a.endpoint.shared.audit.Repeat(a.audited(), o.Error)
	a.answer(a, reply.Message{To: a.to, Body: body, Error: o.Error, Head: a.head(), Repeat: true, Done: a.ended})
}
