package actions

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
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
	cache        *idempotency.Cache
	sender       *reply.Sender
	watch        *reply.NoResponders
	inFlight     *inFlight // Actions until their reply is published
	log          *zap.Logger
}

// Options is what a service works with. All of it is wanted but Version.
type Options struct {
	Config      *config.Config
	Version     string         // the program's
	Conn        *natsconn.Conn // by which requests come
	Audit       *audit.Recorder
	Idempotency *idempotency.Cache
	Sender      *reply.Sender
	Log         *zap.Logger
}

// Service takes requests for Actions at its endpoints, and shows these as a micro
// service. It answers discovery itself, with package micro's messages: that package
// measures its callbacks, which here only hand over, and would show neither an error
// nor a duration of Asterisk's.
type Service struct {
	info      micro.Info
	started   time.Time
	shared    *shared
	endpoints []*Endpoint
	conn      *natsconn.Conn
	subs      []*natsconn.Subscription // of discovery

	mu      sync.Mutex                           // protects the following
	led     map[string]bool                      // servers that this bridge leads, of those that others share
	taken   map[*Endpoint]*natsconn.Subscription // of requests
	stopped bool
}

// New returns the Service of targets, which has one endpoint each, and one for each
// group, any and all. It takes nothing before Serve.
func New(o Options, targets []*Target) (*Service, error) {
	probes, err := reply.NewNoResponders(o.Conn)
	if err != nil {
		return nil, err
	}
	s := &Service{conn: o.Conn, started: time.Now().UTC(), led: make(map[string]bool), taken: make(map[*Endpoint]*natsconn.Subscription), shared: &shared{
		node: o.Config.Node, prefix: o.Config.SubjectPrefix, audit: o.Audit, cache: o.Idempotency, sender: o.Sender, watch: probes,
		inFlight: newInFlight(), log: o.Log,
	}}
	s.endpoints = newEndpoints(s.shared, targets, o.Config.Groups)
	s.info, err = describe(o.Config.Node, o.Version, s.endpoints)
	return s, err
}

// Serve subscribes one endpoint a server, a group, any and all, so that
// discovery shows them and one server's requests wait for no other's.
func (s *Service) Serve() error {
	if err := s.take(); err != nil {
		return errors.Join(err, s.Stop())
	}
	for verb, answer := range map[micro.Verb]func() any{
		micro.PingVerb:  func() any { return micro.Ping{ServiceIdentity: s.info.ServiceIdentity, Type: micro.PingResponseType} },
		micro.InfoVerb:  func() any { return s.info },
		micro.StatsVerb: func() any { return s.stats() },
	} {
		if err := s.discover(verb, answer); err != nil {
			return errors.Join(err, s.Stop())
		}
	}
	// Only now do callers find the endpoints.
	return s.conn.Get().FlushTimeout(natsconn.FlushTimeout)
}

// Lead says whether this bridge leads a server that others share: its requests come here
// only then. It may wait for NATS.
func (s *Service) Lead(server string, leads bool) error {
	s.mu.Lock()
	s.led[server] = leads
	s.mu.Unlock()
	return s.take()
}

// take takes the requests for endpoints of which this bridge has a server, and no others.
func (s *Service) take() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil
	}
	for i, e := range s.endpoints {
		wanted := slices.ContainsFunc(e.servers, func(t *Target) bool { return t.leads == nil || s.led[t.cfg.Name] })
		switch sub := s.taken[e]; {
		case wanted && sub == nil:
			shown := s.info.Endpoints[i]
			sub = &natsconn.Subscription{
				Subject: shown.Subject, Queue: cmp.Or(shown.QueueGroup, s.info.ID), Handle: e.onRequest, Made: e.arrive, Look: e.dropped.look,
			}
			if err := s.conn.Keep(sub); err != nil {
				return err
			}
			s.taken[e] = sub
		case !wanted && sub != nil:
			if err := s.conn.Stop(sub); err != nil {
				return err
			}
			delete(s.taken, e)
		}
	}
	return nil
}

// add keeps up sub, which others share by its queue, or which this process alone
// is to have without one.
func (s *Service) add(sub *natsconn.Subscription) error {
	sub.Queue = cmp.Or(sub.Queue, s.info.ID)
	if err := s.conn.Keep(sub); err != nil {
		return err
	}
	s.subs = append(s.subs, sub)
	return nil
}

// Stop takes no more requests; those that have come are still handled.
func (s *Service) Stop() error {
	var failed []error
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	all := slices.AppendSeq(slices.Clone(s.subs), maps.Values(s.taken))
	clear(s.taken)
	for _, sub := range all {
		if err := s.conn.Stop(sub); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// Endpoints are its endpoints, which do not change.
func (s *Service) Endpoints() []*Endpoint { return s.endpoints }

// Refuse has every request refused that comes from now on. It is called once.
func (s *Service) Refuse() { s.shared.inFlight.close() }

// Wait reports whether all requests were answered before ctx ended. It is called
// after Refuse.
func (s *Service) Wait(ctx context.Context) bool { return s.shared.inFlight.wait(ctx) }

// TellDropped logs how many requests were dropped. It is for the status goroutine.
func (s *Service) TellDropped(now time.Time) {
	for _, e := range s.endpoints {
		e.tellDropped(now)
	}
}

// EndSums has the next TellDropped log all that no line has told of yet.
func (s *Service) EndSums() {
	for _, e := range s.endpoints {
		e.dropped.told.End()
	}
}

// Dropped is how many requests were dropped since the start, at all endpoints.
func (s *Service) Dropped() (n uint64) {
	for _, e := range s.endpoints {
		n += e.dropped.total()
	}
	return n
}
