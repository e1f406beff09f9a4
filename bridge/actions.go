package bridge

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// ServiceName is the name of the micro service (NATS ADR-32).
const ServiceName = "ami-bridge"

// actionCounts is what became of a server's requests.
type actionCounts struct {
	Answered, Failed, Refused atomic.Uint64
}

// serveActions registers the service with one endpoint a server, so that
// discovery shows the servers and one server's requests wait for no other's.
func (b *Bridge) serveActions(nc *nats.Conn) (micro.Service, error) {
	service, err := micro.AddService(nc, micro.Config{
		Name: ServiceName, Version: serviceVersion(b.deps.Version),
		Description:  "Actions of Asterisk's Manager Interface",
		Metadata:     map[string]string{"node": b.cfg.Node},
		StatsHandler: b.endpointStats,
	})
	if err != nil {
		return nil, fmt.Errorf("add micro service: %w", err)
	}
	for _, s := range b.servers {
		subject := b.cfg.SubjectPrefix + ".actions." + s.cfg.Name + ".*"
		err := service.AddEndpoint(s.cfg.Name, micro.HandlerFunc(s.onRequest), micro.WithEndpointSubject(subject))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("add endpoint %s: %w", subject, err), service.Stop())
		}
	}
	// Only now do callers find the endpoints.
	return service, nc.FlushTimeout(flushTimeout)
}

const flushTimeout = 5 * time.Second

// endpointStats adds what became of the Actions, which end after the callback.
func (b *Bridge) endpointStats(e *micro.Endpoint) any {
	for _, s := range b.servers {
		if e.Name == s.cfg.Name {
			return map[string]uint64{
				"answered": s.actions.Answered.Load(), "failed": s.actions.Failed.Load(), "refused": s.actions.Refused.Load(),
			}
		}
	}
	return nil
}

// semVer is what micro accepts as a version, near enough.
var semVer = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?$`)

// serviceVersion is version if it is a SemVer, which micro insists on.
func serviceVersion(version string) string {
	if version = strings.TrimPrefix(version, "v"); semVer.MatchString(version) {
		return version
	}
	return "0.0.0"
}

// onRequest checks a request and hands it to the Link. It runs on the
// endpoint's goroutine, one request at a time, and does not wait for Asterisk.
func (s *server) onRequest(r micro.Request) {
	if !s.isInbox(r.Reply()) {
		// Answering elsewhere would publish under the bridge's own rights.
		s.actions.Refused.Add(1)
		s.log.Warn("request refused", zap.String("reason", "its reply subject is not an inbox"),
			zap.String("subject", r.Subject()))
		return
	}
	subject := r.Subject()
	head := replyHead{server: s.cfg.Name, node: s.node, action: subject[strings.LastIndexByte(subject, '.')+1:]}
	request, fail := s.check(head.action, r)
	head.requestID = request.requestID
	if fail == nil {
		fail = s.submit(head, request, r.Reply())
	}
	if fail != nil {
		s.actions.Refused.Add(1)
		s.replier.publish(reply{to: r.Reply(), body: appendReply(nil, head, nil, fail), failure: fail})
	}
}

// check reads a request and applies the policy.
func (s *server) check(action string, r micro.Request) (request, *failure) {
	if reason := s.policy.refuses(action); reason != "" {
		return request{}, &failure{Code: 403, Kind: "forbidden", Sent: "no", Message: reason}
	}
	// AMI ignores case and NATS permissions do not: originate must not slip
	// past a rule on Originate.
	if spelling := canonical(action); spelling != action {
		return request{}, badRequest(fmt.Errorf("the subject spells %s otherwise than Asterisk: %s", action, spelling))
	}
	request, err := parseRequest(action, r.Data(), s.cfg.Charset)
	if err == nil {
		err = request.options(r.Headers())
	}
	if err != nil {
		return request, badRequest(err)
	}
	return request, nil
}

// options reads the headers of the request.
func (r *request) options(h micro.Headers) error {
	if text := h.Get("Ami-Timeout"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			return errors.New("Ami-Timeout wants a positive duration such as 10s")
		}
		r.timeout = d
	}
	switch wait := h.Get("Ami-Wait"); wait {
	case "":
	case "complete":
		r.complete = r.action == "Originate" && r.isAsync()
	default:
		return errors.New("Ami-Wait wants complete")
	}
	if h.Get("Ami-Reply") != "" {
		return errors.New("Ami-Reply is not served yet: leave it out")
	}
	return nil
}

// isAsync reports whether an Originate asks to be answered before the call is
// (manager.c action_originate, ast_true).
func (r *request) isAsync() bool {
	for _, h := range r.headers {
		if strings.EqualFold(string(h.Key), "Async") {
			switch strings.ToLower(string(h.Value)) {
			case "yes", "true", "y", "t", "1", "on":
				return true
			}
			return false
		}
	}
	return false
}

// submit hands the request to the Link. The reply is queued when it has ended.
func (s *server) submit(head replyHead, r request, to string) *failure {
	if !s.inFlight.enter() {
		return s.refusal(amiconn.ErrStopping)
	}
	action := amiconn.Action{
		Name: r.action, Headers: r.headers, Timeout: r.timeout, WaitComplete: r.complete,
		Done: func(result *correlation.Result) {
			head.actionID = result.ActionID
			s.finish(head, result, to)
		},
	}
	_, err := s.link.Do(action)
	s.watchActions(errors.Is(err, amiconn.ErrBusy))
	if err != nil {
		s.inFlight.leave()
		return s.refusal(err)
	}
	return nil
}

// finish queues the reply of an ended call.
func (s *server) finish(head replyHead, result *correlation.Result, to string) {
	fail := failureOf(result)
	if fail == nil {
		s.actions.Answered.Add(1)
	} else {
		s.actions.Failed.Add(1)
	}
	s.replier.queue(reply{
		to: to, body: appendReply(nil, head, result, fail), failure: fail,
		head: head, done: func() { result.Release(); s.inFlight.leave(); s.watchActions(false) },
	})
}

// refusal says why the Link did not take an Action.
func (s *server) refusal(err error) *failure {
	_, header := errors.AsType[*frames.HeaderError](err)
	switch {
	case header:
		return badRequest(err)
	case errors.Is(err, amiconn.ErrStopping):
		return &failure{Code: 503, Kind: "shutting_down", Sent: "no", Message: err.Error()}
	case errors.Is(err, amiconn.ErrBreakerOpen):
		return &failure{
			Code: 503, Kind: "breaker_open", Sent: "no", Message: err.Error(), RetryAfter: s.link.RetryIn().Milliseconds(),
		}
	case errors.Is(err, amiconn.ErrBusy):
		return &failure{Code: 429, Kind: "busy", Sent: "no", Message: err.Error(), RetryAfter: busyRetry.Milliseconds()}
	}
	return &failure{
		Code: 503, Kind: "not_connected", Sent: "no", Message: err.Error(), RetryAfter: s.link.RetryIn().Milliseconds(),
	}
}

// busyRetry is what a caller is told when buffers are full: about the time in
// which a healthy Asterisk answers a hundred Actions.
const busyRetry = 100 * time.Millisecond

func badRequest(err error) *failure {
	return &failure{Code: 400, Kind: "bad_request", Sent: "no", Message: err.Error()}
}

// isInbox reports whether a reply subject is an inbox: _INBOX.… or a caller's
// own prefix such as _INBOX_dialer.…, but not this node's own, where the
// acknowledgements of events arrive.
func (s *server) isInbox(subject string) bool {
	prefix, _, ok := strings.Cut(subject, ".")
	return ok && (prefix == "_INBOX" || strings.HasPrefix(prefix, "_INBOX_")) && prefix != inboxPrefix(s.node)
}
