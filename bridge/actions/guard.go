package actions

import (
	"fmt"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/audit"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
)

// guarded has a do what is next of it; a panic over it stays with it. Its caller is told, its key and
// what it holds are free again, and whoever else asks is served. On most goroutines that do the next
// thing for a request a panic would end the process.
func (a *actionRequest) guarded(do func()) {
	defer func() {
		if p := recover(); p != nil {
			a.logPanic(p)
			a.fault()
		}
	}()
	do()
}

func (a *actionRequest) logPanic(p any) {
	a.endpoint.shared.log.Error("request handler panicked", zap.String("cause", fmt.Sprint(p)), zap.String("subject", a.subject), zap.Stack("stack"))
}

// fault ends a over a fault of the bridge, unless somebody else still has it, and ends it.
func (a *actionRequest) fault() {
	if a.out {
		return
	}
	defer func() { // of what has been lost for good the log tells
		if p := recover(); p != nil {
			a.logPanic(p)
		}
	}()
	if a.handed == nil && !reply.IsInbox(a.to) {
		return // it holds nothing yet
	}
	sent, ends := a.sent, resultFailed
	if sent == "" {
		sent, ends = "no", resultRefused
	}
	fail := &reply.Error{Code: 500, Kind: reply.KindInternal, Sent: sent, Message: "a fault of the bridge, whose log has it: report it"}
	a.count(ends, fail)
	body := reply.Append(nil, a.head(), nil, fail)
	a.finishKey(body, fail)
	var recorded *audit.Request
	if a.recorded != nil {
		recorded = a.audited()
	}
	a.answer(a, reply.Message{To: a.to, Body: body, Error: fail, Head: a.head(), Stream: a.stream, Done: func() {
		defer a.ended()
		if a.result != nil {
			a.result.Release()
		}
		if recorded != nil {
			a.endpoint.shared.audit.Outcome(recorded, nil, fail)
		}
	}})
}
