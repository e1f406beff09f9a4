package bridge

import (
	"crypto/sha256"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
)

// key tells apart what an Ami-Idempotency-Key is given for, in as many bytes
// whatever a caller writes.
func (a *ask) key() key {
	name := a.subject + "\n" + a.options.key
	if a.endpoint.every {
		name += "\n" + a.server.cfg.Name
	}
	return key{name: sha256.Sum256([]byte(name)), body: a.body, patience: a.options.timeout}
}

// first lets a go on as the first of its key.
func (a *ask) first(k *keyed) {
	a.keyed = k
	a.proceed()
}

// later tells a that it goes on, or is answered, on another goroutine.
func (a *ask) later() { a.here = false }

// settle ends what waits for a, if it is the first of its key.
func (a *ask) settle(body []byte, fail *reply.Error) {
	if k := a.keyed; k != nil {
		a.keyed = nil
		a.endpoint.shared.repeats.settle(k, body, fail)
	}
}

// repeat answers a with the outcome of the first request of its key.
func (a *ask) repeat(o *outcome) {
	a.count(resultOf(o.failure), o.failure)
	body := o.body
	if body == nil {
		body = reply.Append(nil, a.head(), nil, o.failure)
	}
	a.endpoint.shared.audit.Repeat(a.audited(), o.failure)
	a.answer(reply.Message{Body: body, Error: o.failure, Head: a.head(), Repeat: true})
}
