package bridge

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/micro"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/audit"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/idempotency"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
)

// shared is what all endpoints work with.
type shared struct {
	node, prefix string
	audit        *audit.Recorder
	repeats      *idempotency.Cache
	replier      *reply.Sender
	probes       *reply.NoResponders
	inFlight     *flight // Actions until their reply is published
	log          *zap.Logger
}

// serviceOptions is what a service works with. All of it is wanted but Version.
type serviceOptions struct {
	Config  *config.Config
	Version string         // the program's
	Conn    *natsconn.Conn // by which requests come
	Audit   *audit.Recorder
	Repeats *idempotency.Cache
	Sender  *reply.Sender
	Log     *zap.Logger
}

// service takes requests for Actions at its endpoints, and shows these as a micro
// service. It answers discovery itself, with package micro's messages: that package
// measures its callbacks, which here only hand over, and would show neither an error
// nor a duration of Asterisk's.
type service struct {
	info      micro.Info
	started   time.Time
	shared    *shared
	endpoints []*endpoint
	conn      *natsconn.Conn
	subs      []*natsconn.Subscription
}

// newService returns the service of targets, of which each is an endpoint, as is
// each group, any and all.
func newService(o serviceOptions, targets []*target) (*service, error) {
	probes, err := reply.NewNoResponders(o.Conn)
	if err != nil {
		return nil, err
	}
	s := &service{conn: o.Conn, started: time.Now().UTC(), shared: &shared{
		node: o.Config.Node, prefix: o.Config.SubjectPrefix, audit: o.Audit, repeats: o.Repeats, replier: o.Sender, probes: probes,
		inFlight: newFlight(), log: o.Log,
	}}
	s.endpoints = newEndpoints(s.shared, targets, o.Config.Groups)
	s.info, err = describe(o.Config.Node, o.Version, s.endpoints)
	return s, err
}

// serve subscribes one endpoint a server, a group, any and all, so that
// discovery shows them and one server's requests wait for no other's.
func (s *service) serve() error {
	for i, e := range s.endpoints {
		shown := s.info.Endpoints[i]
		sub := &natsconn.Subscription{Subject: shown.Subject, Queue: shown.QueueGroup, Handle: e.onRequest, Made: e.arrive, Look: e.dropped.look}
		if err := s.add(sub); err != nil {
			return errors.Join(err, s.stop())
		}
	}
	for verb, answer := range map[micro.Verb]func() any{
		micro.PingVerb:  func() any { return micro.Ping{ServiceIdentity: s.info.ServiceIdentity, Type: micro.PingResponseType} },
		micro.InfoVerb:  func() any { return s.info },
		micro.StatsVerb: func() any { return s.stats() },
	} {
		if err := s.discover(verb, answer); err != nil {
			return errors.Join(err, s.stop())
		}
	}
	// Only now do callers find the endpoints.
	return s.conn.Get().FlushTimeout(natsconn.FlushTimeout)
}

// add keeps up sub, which others share by its queue, or which this process alone
// is to have without one.
func (s *service) add(sub *natsconn.Subscription) error {
	sub.Queue = cmp.Or(sub.Queue, s.info.ID)
	if err := s.conn.Keep(sub); err != nil {
		return err
	}
	s.subs = append(s.subs, sub)
	return nil
}

// stop takes no more requests; those that have come are still handled.
func (s *service) stop() error {
	var failed []error
	for _, sub := range s.subs {
		if err := s.conn.Stop(sub); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// all are its endpoints, which do not change.
func (s *service) all() []*endpoint { return s.endpoints }

// refuseNew has every request refused that comes from now on. It is called once.
func (s *service) refuseNew() { s.shared.inFlight.close() }

// wait reports whether all requests were answered before ctx ended. It is called
// after refuseNew.
func (s *service) wait(ctx context.Context) bool { return s.shared.inFlight.wait(ctx) }

// tellDropped logs how many requests were dropped. It is for the status goroutine.
func (s *service) tellDropped(now time.Time) {
	for _, e := range s.endpoints {
		e.tellDropped(now)
	}
}

// EndSums has the next tellDropped log all that no line has told of yet.
func (s *service) endSums() {
	for _, e := range s.endpoints {
		e.dropped.told.End()
	}
}

// dropped is how many requests were dropped since the start, at all endpoints.
func (s *service) dropped() (n uint64) {
	for _, e := range s.endpoints {
		n += e.dropped.total()
	}
	return n
}
