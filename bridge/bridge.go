package bridge

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"iter"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/actions"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/audit"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/beside"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/delivery"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/ha"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/idempotency"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/journal"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/state"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/status"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/watch"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/web"
	"github.com/ami-nats-bridge/ami-nats-bridge/fairness"
)

// Deps is what a Bridge works with. The zero value will do.
type Deps struct {
	Logger *zap.Logger
	// Registerer is where the metrics are registered and what /metrics shows;
	// one of its own if nil.
	Registerer *prometheus.Registry
	// InProcess connects to a nats-server in this process.
	InProcess nats.InProcessConnProvider
	// Leaf reports whether a nats-server in this process is connected to the one
	// that it is a leaf of; nil if it is no leaf.
	Leaf func() bool
	// Dial connects to the servers; net.Dialer.DialContext if nil.
	Dial amiconn.DialFunc
	// Version is that of the program.
	Version string
	// Learn is told the secrets that become known while the bridge runs, before
	// they are used, so that they can be kept out of the log. It may be nil.
	Learn func(secrets ...string)
	// LogLost returns how many log lines could not be written.
	LogLost func() uint64
}

// Bridge joins any number of Asterisk servers and NATS. It is used once.
type Bridge struct {
	cfg         config.Config // but for its Servers and Groups, which come and go
	deps        Deps
	log         *zap.Logger
	registry    *prometheus.Registry
	gate        *fairness.Gate
	budget      *outbox.Budget
	status      *status.Publisher
	picture     *watch.Watch // of what status publishes
	replier     *reply.Sender
	audit       *audit.Recorder
	records     *journal.Journal // the audit's
	claims      *journal.Journal // of idempotency keys
	natsLogin   *natsconn.Login
	idempotency *idempotency.Cache
	streams     *streams.Reconciler
	state       *state.State
	leaf        *status.Leaf
	servers     servers
	started     time.Time
	ready       chan struct{}
	publisher   *delivery.Publisher
	ha          *ha.Node // nil unless bridges share the servers
	beside      *beside.Watch
	actions     *actions.Service
	page        atomic.Pointer[servedPage] // nil before it is served

	events, control *natsconn.Conn
	refusalsEvery   time.Duration      // refusals without a record of their own are recorded
	dialGuard       delivery.DialGuard // of events
}

// New returns a Bridge for cfg, which must be valid, with all its parts. It
// connects in Run.
func New(cfg config.Config, deps Deps) (*Bridge, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Logger == nil {
		deps.Logger = zap.NewNop()
	}
	log, registry := deps.Logger.Named("bridge"), deps.Registerer
	if registry == nil {
		registry = prometheus.NewRegistry()
	}
	b := &Bridge{
		cfg: cfg, deps: deps, registry: registry,
		log:    log,
		gate:   fairness.NewGate(cfg.ConnectConcurrency, cfg.ConnectRate),
		budget: outbox.NewBudget(int64(cfg.OutboxTotalBytes), len(cfg.Servers)),
		ready:  make(chan struct{}),

		refusalsEvery: audit.RefusalSpan,
		started:       time.Now(),
		dialGuard:     delivery.DialGuard{InProcess: deps.InProcess},
		leaf:          status.NewLeaf(deps.Leaf, log.Named("leaf")),
	}
	b.servers.now.Store(new(roster))
	b.natsLogin = natsconn.NewLogin(cfg.NATS, b.learnOne, b.log.Named("nats"))
	// Waiting happens in the outbox and nowhere else, so the connection for
	// events buffers nothing while it is down.
	b.events = b.newConn("events", nats.ReconnectBufSize(-1), nats.NoEcho(), b.dialGuard.Option())
	b.control = b.newConn("control")
	b.picture = watch.New(watch.Options{
		View: view.Options{Prefix: cfg.SubjectPrefix, Interval: cfg.StatusInterval, OutboxTotal: int64(cfg.OutboxTotalBytes)},
		Look: b.show, Objects: func() iter.Seq2[string, []byte] { return b.state.Objects() },
	})
	b.status = status.NewPublisher(b.control, b.picture.Observe, b.log)
	b.events.OnReconnect(b.status.Repeat)
	b.streams = streams.New(&b.cfg, []*natsconn.Conn{b.control, b.events}, b.status.Notify, b.streamSeen, b.log)
	b.replier = reply.NewSender(b.control, b.log)
	run := strings.ToLower(rand.Text()[:12]) // names this process
	b.records = journal.New(b.control, audit.QueueBytes, b.stored(streams.AuditStream), b.log.Named("audit"))
	b.audit = audit.New(&b.cfg, run, b.records, b.log)
	b.claims = journal.New(b.control, idempotency.QueueBytes, b.stored(streams.KeyStream), b.log.Named("keys"))
	b.idempotency = idempotency.New(&b.cfg, run, b.control, b.claims, b.stored(streams.KeyStream), b.log)
	if err := b.newShared(run); err != nil {
		return nil, err
	}
	_, err := b.have(&cfg)
	return b, err
}

// newShared makes what servers have a part in: their state, delivery and Actions, and,
// where several bridges share them, who leads. run names this process.
func (b *Bridge) newShared(run string) (err error) {
	o := state.Options{
		Config: &b.cfg, Conn: b.control, Changed: b.status.Notify, Log: b.log,
		Stream: func() (streams.State, error) { return b.streams.State(streams.StateStream) }, Stored: b.stored(streams.StateStream),
	}
	p := delivery.Options{Config: &b.cfg, Conn: b.events, Guard: &b.dialGuard, Streams: b.streams, Log: b.log}
	var others *actions.Others
	if b.cfg.HA {
		if b.ha, err = ha.New(ha.Options{
			Config: &b.cfg, Conn: b.control, Events: b.events, Incarnation: run, Epoch: newEpoch, Unshared: b.streams.Unshared, Place: b.place,
			Regroup: b.regroup, Log: b.log,
		}); err != nil {
			return err
		}
		o.Leader, p.Incarnation = b.ha, run
		others = &actions.Others{Sure: b.ha.Sure, Elsewhere: b.ha.Elsewhere, LeaderOf: b.ha.LeaderOf, Gone: b.ha.Gone, OtherGroups: b.ha.OtherGroups}
		if b.idempotency.IsShared() {
			b.idempotency.AskGone(b.ha.Gone)
		}
	}
	b.state = state.New(o)
	b.beside = beside.New(beside.Options{
		Node: b.cfg.Node, HA: bool(b.cfg.HA), Conn: b.control, Every: cmp.Or(b.cfg.BesideEvery, b.cfg.StatusInterval), Servers: b.published, Log: b.log,
	})
	if b.publisher, err = delivery.New(p); err != nil {
		return err
	}
	b.actions, err = actions.New(actions.Options{
		Config: &b.cfg, Version: b.deps.Version, Conn: b.control, Audit: b.audit, Idempotency: b.idempotency, Sender: b.replier, Others: others, Log: b.log,
	})
	return err
}

// New returns one of the connections, which open begins.
func (b *Bridge) newConn(name string, own ...nats.Option) *natsconn.Conn {
	return natsconn.New(natsconn.Options{
		Name: name, Config: &b.cfg, Login: b.natsLogin, InProcess: b.deps.InProcess, Own: own, Log: b.log,
	})
}

// newEpoch makes the name of an epoch: no other has the same.
func newEpoch() string { return strings.ToLower(rand.Text()[:16]) }

// stored returns what hears of the messages for a stream.
func (b *Bridge) stored(stream string) func(error) {
	return func(err error) { b.streams.Stored(stream, err) }
}

// Ready is closed once NATS is up and callers find the endpoints.
func (b *Bridge) Ready() <-chan struct{} { return b.ready }

// Run serves until ctx ends and then shuts down in order, which takes
// ShutdownTimeout at most. It returns nil if nothing was left behind.
func (b *Bridge) Run(ctx context.Context) (err error) {
	var listener net.Listener
	if b.cfg.HTTPAddr != "" {
		if listener, err = web.Listen(ctx, b.cfg.HTTPAddr); err != nil {
			return fmt.Errorf("listen: %w: set BRIDGE_HTTP_ADDR to a free address, or to nothing", err)
		}
		defer listener.Close()
	}
	if err := b.connectAll(); err != nil {
		return err
	}
	defer func() { b.events.Get().Close(); b.control.Get().Close() }()
	stage := newStages(ctx)
	defer func() {
		stage.endBack()
		stage.back.Wait()
	}()
	stage.back.Go(func() { b.events.Run(stage.backCtx) })
	stage.back.Go(func() { b.control.Run(stage.backCtx) })
	stage.back.Go(func() { b.picture.Run(stage.backCtx) })
	if listener != nil {
		// First of all, so that an operator can ask why nothing else works.
		stage.back.Go(func() {
			if err := b.serveHTTP(stage.backCtx, listener); err != nil {
				b.log.Error("http server ended", zap.Error(err))
			}
		})
	}
	if err := b.await(ctx); err != nil {
		return err
	}
	if err := b.prepareStreams(ctx); err != nil {
		return err
	}
	return b.serve(ctx, stage)
}

// connectAll opens both connections. Neither has to be up yet.
func (b *Bridge) connectAll() error {
	if err := b.events.Open(); err != nil {
		return err
	}
	if err := b.control.Open(); err != nil {
		b.events.Get().Close()
		return err
	}
	if err := b.registry.Register(newMetrics(b)); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	return nil
}

// await waits for both connections: without NATS there is no use in logging in
// to Asterisk, and what is wrong with it would be hidden.
func (b *Bridge) await(ctx context.Context) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	if !b.events.Up() || !b.control.Up() {
		b.log.Warn("waiting for NATS")
	}
	for !b.events.Up() || !b.control.Up() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("NATS was never reached: %w", context.Cause(ctx))
		case <-ticker.C:
		}
	}
	return nil
}

// serve runs everything until ctx ends, and shuts down.
func (b *Bridge) serve(ctx context.Context, stage *stages) error {
	if err := b.actions.Serve(); err != nil {
		return err
	}
	b.tick()
	stage.back.Go(func() { b.publisher.Run(stage.backCtx) })
	stage.back.Go(func() { b.replier.Run(stage.backCtx) })
	stage.back.Go(func() { b.records.Run(stage.backCtx) })
	stage.back.Go(func() { b.audit.Run(stage.backCtx, b.refusalsEvery) })
	stage.back.Go(func() { b.streams.Run(stage.backCtx) })
	stage.back.Go(func() { b.state.Run(stage.backCtx) })
	if b.idempotency.IsShared() {
		stage.back.Go(func() { b.idempotency.Run(stage.frontCtx) })
		stage.back.Go(func() { b.claims.Run(stage.backCtx) })
	}
	stage.back.Go(func() { b.status.Run(stage.backCtx, b.cfg.StatusInterval, b.tick, b.look) })
	if b.cfg.Delivery != config.DeliverCore {
		stage.back.Go(func() { b.beside.Run(stage.backCtx) })
	}
	n := b.runServers(stage)
	if b.ha != nil {
		stage.back.Go(func() { b.ha.Run(stage.backCtx) })
	}
	close(b.ready)
	b.log.Info("bridge ready", zap.Int("servers", n), zap.Stringer("delivery", b.cfg.Delivery))
	<-ctx.Done()
	b.log.Info("shutting down", zap.NamedError("cause", context.Cause(ctx)))
	return b.shutdown(stage)
}

// prepareStreams looks at the streams for the first time, and makes those that
// are to be made. What is not as it should be may come to be while the bridge
// runs; but for a stream that captures requests, which somebody has to change.
func (b *Bridge) prepareStreams(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, streams.Timeout)
	defer cancel()
	b.streams.Check(ctx)
	if state, err := b.streams.State(streams.ActionSubjects); state == streams.Captured {
		return err
	}
	return nil
}

// streamSeen hands on how a stream stands to whoever waits for it.
func (b *Bridge) streamSeen(ctx context.Context, name string, state streams.State) {
	switch name {
	case streams.AuditStream:
		ctx, cancel := b.control.Question(ctx, streams.QuestionTimeout)
		defer cancel()
		b.audit.Seen(ctx, b.control.Get().JS, state)
	case streams.KeyStream:
		b.idempotency.Seen(state, b.cfg.Streams)
	case streams.StateStream:
		b.state.Seen(state)
	}
}
