package actions

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
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
	watch        *reply.NoResponderWatch
	inFlight     *inFlight    // Actions until their reply is published
	refused      refusals     // before a server had them
	others       *askedOthers // nil where none share servers with this bridge
	log          *zap.Logger
}

// Options is what a service works with. All of it is wanted but Version and Others.
type Options struct {
	Config      *config.Config
	Version     string         // the program's
	Conn        *natsconn.Conn // by which requests come
	Audit       *audit.Recorder
	Idempotency *idempotency.Cache
	Sender      *reply.Sender
	Others      *Others // of bridges that share servers with this one; nil: none do
	Log         *zap.Logger
}

// Service takes requests for Actions at its endpoints, and shows these as a micro
// service. It answers discovery itself, with package micro's messages: that package
// measures its callbacks, which here only hand over, and would show neither an error
// nor a duration of Asterisk's.
type Service struct {
	info      micro.Info // but for its endpoints
	started   time.Time
	shared    *shared
	endpoints atomic.Pointer[[]*Endpoint] // now
	gone      atomic.Uint64               // requests dropped at endpoints that there are no more
	conn      *natsconn.Conn

	mu      sync.Mutex               // held while endpoints come and go; protects the following
	serving bool                     // from Serve to Stop
	subs    []*natsconn.Subscription // of discovery
	led     map[string]bool          // servers that this bridge leads, of those that others share
}

// New returns a Service without servers. It takes nothing before Serve.
func New(o Options) (*Service, error) {
	watch, err := reply.NewNoResponderWatch(o.Conn)
	if err != nil {
		return nil, err
	}
	s := &Service{conn: o.Conn, started: time.Now().UTC(), led: make(map[string]bool), shared: &shared{
		node: o.Config.Node, prefix: o.Config.SubjectPrefix, audit: o.Audit, cache: o.Idempotency, sender: o.Sender, watch: watch,
		inFlight: newInFlight(), log: o.Log,
	}}
	if o.Others != nil {
		s.shared.others = newAskedOthers(&o)
	}
	s.endpoints.Store(new([]*Endpoint))
	s.info, err = describe(o.Config.Node, o.Version)
	return s, err
}

// Has says which servers it has from now on, and which groups of them: there is one
// endpoint for each, one for any and one for all. While it serves, those that it has not
// had are subscribed and those that it has no more are ended; requests that have come to
// them are still handled. It may be called from any goroutine. After an error, which is
// NATS's, it may be called again.
func (s *Service) Has(targets []*Target, groups []config.Group) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.Endpoints()
	all := endpointsOf(before, s.shared, targets, groups)
	s.endpoints.Store(&all)
	var failed []error
	for _, e := range before {
		if slices.Contains(all, e) {
			continue
		}
		failed = append(failed, s.end(e))
		s.gone.Add(e.dropped.total())
	}
	return errors.Join(append(failed, s.subscribe())...)
}

// Serve subscribes one endpoint a server, a group, any and all, so that
// discovery shows them and one server's requests wait for no other's.
func (s *Service) Serve() error {
	s.mu.Lock()
	s.serving = true
	err := s.subscribe()
	for verb, answer := range map[micro.Verb]func() any{
		micro.PingVerb:  func() any { return micro.Ping{ServiceIdentity: s.info.ServiceIdentity, Type: micro.PingResponseType} },
		micro.InfoVerb:  func() any { return s.shown() },
		micro.StatsVerb: func() any { return s.stats() },
	} {
		if err == nil {
			err = s.discover(verb, answer)
		}
	}
	s.mu.Unlock()
	if err != nil {
		return errors.Join(err, s.Stop())
	}
	// Only now do callers find the endpoints.
	return s.conn.Get().FlushTimeout(natsconn.FlushTimeout)
}

// Lead says whether this bridge leads a server that others share: requests come here to
// endpoints of which it leads a server, and to no others. It may wait for NATS.
func (s *Service) Lead(server string, leads bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.led, server) // one that is gone for good is told of no more
	if leads {
		s.led[server] = true
	}
	return s.subscribe()
}

// Subscribe has requests come here as Others says now. It may wait for NATS.
func (s *Service) Subscribe() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.subscribe()
}

// subscribe subscribes the endpoints that are not, if s serves, and ends those of servers
// that other bridges lead. It needs mu.
func (s *Service) subscribe() error {
	if !s.serving {
		return nil
	}
	for _, e := range s.Endpoints() {
		switch wanted := e.isFor(s.led); {
		case wanted == (e.subs != nil):
		case !wanted:
			if err := s.end(e); err != nil {
				return err
			}
		default:
			for _, sub := range e.subscriptions(s.info.ID) {
				if err := s.conn.Add(sub); err != nil {
					return err
				}
				e.subs = append(e.subs, sub)
			}
		}
	}
	return nil
}

// end has no more requests come to e. It needs mu.
func (s *Service) end(e *Endpoint) error {
	var failed []error
	for _, sub := range e.subs {
		failed = append(failed, s.conn.Stop(sub))
	}
	e.subs = nil
	return errors.Join(failed...)
}

// Stop takes no more requests; those that have come are still handled, but for what other
// bridges were asked: that ends.
func (s *Service) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serving = false
	var failed []error
	for _, sub := range s.subs {
		failed = append(failed, s.conn.Stop(sub))
	}
	for _, e := range s.Endpoints() {
		failed = append(failed, s.end(e))
	}
	if s.shared.others != nil {
		s.shared.others.end()
	}
	return errors.Join(failed...)
}

// Endpoints are its endpoints now.
func (s *Service) Endpoints() []*Endpoint { return *s.endpoints.Load() }

// Taken are those of them whose requests come here: of a server that others share the one
// has it that leads.
func (s *Service) Taken() []*Endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.Endpoints()), func(e *Endpoint) bool { return !e.isFor(s.led) })
}

// Refuse has every request refused that comes from now on. It is called once.
func (s *Service) Refuse() { s.shared.inFlight.close() }

// Wait returns how many requests were not answered when ctx ended, 0 as soon as all are. It is
// called after Refuse.
func (s *Service) Wait(ctx context.Context) (left int) { return s.shared.inFlight.wait(ctx) }

// LogDropped logs how many requests were dropped. It is for the status goroutine.
func (s *Service) LogDropped(now time.Time) {
	for _, e := range s.Endpoints() {
		e.logDropped(now)
	}
}

// EndSums has the next LogDropped log all that no line has had yet.
func (s *Service) EndSums() {
	for _, e := range s.Endpoints() {
		e.dropped.logged.End()
	}
}

// Dropped is how many requests were dropped since the start, at all endpoints.
func (s *Service) Dropped() (n uint64) {
	n = s.gone.Load()
	for _, e := range s.Endpoints() {
		n += e.dropped.total()
	}
	return n
}
