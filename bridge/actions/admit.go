package actions

import (
	"errors"
	"fmt"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/catalog"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/policy"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// admit puts the headers into the charset of s and says why s may not have the
// request.
func (a *actionRequest) admit(s *Target) *reply.Error {
	var err error
	if a.headers, err = a.body.in(s.cfg.Charset); err != nil {
		return reply.BadRequest(err)
	}
	if err := policy.Uncut(a.action, a.headers); err != nil {
		return reply.BadRequest(err)
	}
	permits := s.permits.Load()
	if refused := permits.policy.Refuses(a.action, a.headers); refused != nil {
		return &reply.Error{Code: 403, Kind: reply.KindForbidden, Sent: "no", Message: refused.Reason, Rule: refused.Rule}
	}
	// AMI ignores case and NATS permissions do not: originate must not slip
	// past a rule on Originate.
	name := a.action.String()
	if spelling := catalog.Canonical(name); spelling != name {
		return reply.BadRequest(fmt.Errorf("the subject has the Action %s, which Asterisk spells %s", name, spelling))
	}
	if a.options.strict {
		if err := catalog.Check(name, a.body.names()); err != nil {
			return reply.BadRequest(err)
		}
	}
	if a.awaitsOriginate() && !s.cfg.Events.Has("call") {
		return reply.BadRequest(fmt.Errorf("Ami-Wait: complete waits for OriginateResponse, an event of class call, which %s=%s does not ask for",
			s.cfg.Variable("EVENTS"), s.cfg.Events))
	}
	if (a.endpoint.routed || a.handed != nil && a.handed.routed) && !s.link.Takes() {
		return s.refusal(amiconn.ErrNotConnected)
	}
	if wait := permits.rates.Allow(name); wait > 0 {
		return &reply.Error{
			Code: 429, Kind: reply.KindBusy, Sent: "no", RetryAfter: wait.Milliseconds(),
			Message: name + " is asked for more often than " + s.cfg.Variable("ACTION_RATES") + " lets it", Rule: "ACTION_RATES",
		}
	}
	return nil
}

// otherLeads is after how long a caller finds the bridge that leads a server: it takes the
// requests then.
const otherLeads = time.Second

// ledElsewhere is the refusal of a bridge that does not lead s, or may not any more.
func (s *Target) ledElsewhere() *reply.Error {
	return &reply.Error{
		Code: 503, Kind: reply.KindNotConnected, Sent: "no", Message: "another bridge leads " + s.cfg.Name, RetryAfter: otherLeads.Milliseconds(),
	}
}

// refusal says why the Link did not take an Action.
func (s *Target) refusal(err error) *reply.Error { return refusalOf(err, s.link.RetryIn()) }

// refusalOf says what it means that nothing was sent because of err. The action
// session, or the server, is tried again after retryIn.
func refusalOf(err error, retryIn time.Duration) *reply.Error {
	f := &reply.Error{Code: 503, Kind: reply.KindNotConnected, Sent: "no", Message: err.Error(), RetryAfter: retryIn.Milliseconds()}
	_, header := errors.AsType[*frames.HeaderError](err)
	switch {
	case header, errors.Is(err, amiconn.ErrNoActionID):
		return reply.BadRequest(err)
	case errors.Is(err, amiconn.ErrStopping):
		f.Kind, f.RetryAfter = reply.KindShuttingDown, 0
	case errors.Is(err, amiconn.ErrBreakerOpen):
		f.Kind = reply.KindBreakerOpen
	case errors.Is(err, amiconn.ErrBusy):
		f.Code, f.Kind, f.RetryAfter = 429, reply.KindBusy, reply.BusyRetry.Milliseconds()
	}
	return f
}
