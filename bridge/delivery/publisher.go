package delivery

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/fairness"
)

const (
	// quantum is how many bytes one server may publish before it is the next one's
	// turn: some twenty events.
	quantum = 16 << 10
	// ackCheck is how often it is looked at whether an acknowledgement is late.
	ackCheck = 250 * time.Millisecond
)

// Publisher is the only one that publishes events. It drains the outboxes in
// the scheduler's order, on a connection of its own. What it sent waits in the
// window until it is acknowledged; when that fails, what was not is sent again
// from the oldest on, so that the order holds, and the message id makes the
// repeats harmless.
type Publisher struct {
	conn      *natsconn.Conn
	link      *natsconn.Link // of conn, that is in use
	nc        *nats.Conn     // of link
	guard     *DialGuard     // of conn
	dialled   uint64         // those that were seen
	mode      ackMode        // that is in use; modeName is its name, for others
	modeName  atomic.Value
	fast      *fastMode   // nil unless there is a stream
	windowed  *windowMode // likewise
	scheduler *fairness.Scheduler
	sources   atomic.Pointer[[]*Source] // by their numbers; see all
	cloud     *cloudEvents              // nil unless asked for
	lead      *leadMode                 // nil unless several bridges share the servers
	streams   *streams.Reconciler       // hears what becomes of events
	node      string
	log       *zap.Logger
	window    *window

	msg     nats.Msg
	payload []byte
	text    []byte // what the headers' strings point into
	times   clock.Stamps

	lingering
	forgets time.Duration   // see forgetsAfter
	asking  sync.WaitGroup  // of those who ask what the stream holds
	answers chan heldAnswer // who brings one waits until it is taken
	// mayNotRead is why the stream cannot be asked, if NATS has said so.
	mayNotRead atomic.Pointer[error]

	lateAt  time.Time // when tellLate told it last
	stored  uint64    // events, when the streams were last told
	retries []retry   // by the sources' numbers, see retry
	failing []int     // the sources that have a retry

	changing   sync.Mutex  // held while sources come and go; protects the following
	free       []int       // numbers of sources that have left
	leaving    []*Source   // they keep their numbers yet
	departures atomic.Bool // there are some
}

// Options is what a Publisher works with. All of it is wanted.
type Options struct {
	Config  *config.Config
	Conn    *natsconn.Conn // of the events alone, which buffers nothing while it is down
	Guard   *DialGuard     // whose Option Conn has
	Streams *streams.Reconciler
	Log     *zap.Logger
	// Incarnation names this process where several bridges share the servers; then
	// each Source has a Lead.
	Incarnation string
}

// New returns a Publisher without sources. It subscribes to acknowledgements, which
// an error is about.
func New(o Options) (*Publisher, error) {
	p := &Publisher{
		conn: o.Conn, guard: o.Guard, streams: o.Streams, scheduler: fairness.NewScheduler(quantum), node: o.Config.Node,
		log: o.Log.Named("publisher"), answers: make(chan heldAnswer),
		lingering: lingering{linger: o.Config.Linger}, forgets: forgetsAfter(o.Config),
	}
	p.sources.Store(new([]*Source))
	p.window = newWindow(p.scheduler.Ready)
	p.msg.Header = nats.Header{"Nats-Msg-Id": {""}, "Ami-Seq": {""}, "Ami-Time": {""}}
	if o.Config.EventHeaders == config.EventHeadersCloudEvents {
		p.cloud = new(cloudEvents)
	}
	if o.Config.Delivery == config.DeliverCore {
		p.use(&coreMode{conn: p.conn, guard: p.guard, window: p.window}, nil)
		return p, nil
	}
	p.msg.Header["Nats-Expected-Stream"] = []string{streams.EventStream}
	p.conn.OnError(p.denied)
	var err error
	if p.fast, err = newFastMode(p.conn, p.window); err != nil {
		return nil, err
	}
	if o.Incarnation != "" {
		p.lead = &leadMode{incarnation: o.Incarnation, source: p.source, seq: []string{""}, on: []string{""}}
		p.fast.lead = p.lead
	}
	p.windowed, err = newWindowMode(p.conn, p.window)
	return p, err
}

// Mode is how events are acknowledged now, one of Modes; before Run, how the first
// are to be. It may be called from any goroutine.
func (p *Publisher) Mode() string {
	if name, ok := p.modeName.Load().(string); ok {
		return name
	}
	mode, _ := p.modeAt(p.conn.Get().ConnectedServerVersion())
	return mode.name()
}

// begin takes up the connection, which is up.
func (p *Publisher) begin() {
	p.dialled = p.guard.begun.Load()
	p.follow()
	p.choose()
}

// Run publishes until ctx ends. What is left in the outboxes then is the
// caller's to report.
func (p *Publisher) Run(ctx context.Context) {
	defer p.asking.Wait()
	p.begin()
	changed := p.conn.Watch()
	check := time.NewTicker(ackCheck)
	defer check.Stop()
	for ctx.Err() == nil {
		// A reconnect is looked at before anything is sent behind it: what was
		// lost with the old connection comes first.
		if n := p.guard.begun.Load(); n != p.dialled {
			p.dialled = n
			p.failAll(nats.ErrDisconnected)
		}
		p.follow()
		select {
		case <-changed:
			p.onChange()
		case a := <-p.answers:
			p.onHeld(a, time.Now())
		default:
		}
		due := p.recover(ctx, time.Now())
		room := p.room()
		if room && p.sendTurn() {
			continue
		}
		if err := p.mode.pause(room); err != nil {
			p.failAll(err)
			continue
		}
		var wake <-chan struct{}
		if p.room() {
			wake = p.scheduler.Wake()
		}
		select {
		case <-ctx.Done():
		case <-wake:
			p.gather(ctx)
		case <-p.kept:
			p.gather(ctx)
		case <-due:
		case <-p.window.changed:
		case a := <-p.answers:
			p.onHeld(a, time.Now())
		case <-changed:
			p.follow()
			p.onChange()
		case now := <-check.C:
			p.check(now)
		}
	}
}

// check looks for what has waited too long for its acknowledgement. In a batch it
// is all that is behind it as well.
func (p *Publisher) check(now time.Time) {
	if p.window.expire(now) && p.batched() {
		p.failAll(errAckTimeout)
	}
	p.reconsider()
	p.tellLate(now)
	p.release()
}

// room reports whether more may be sent now.
func (p *Publisher) room() bool { return !p.window.full() && p.mode.room() }

// failAll has all that is in flight be sent again.
func (p *Publisher) failAll(err error) {
	if p.lead != nil && errors.Is(err, errNoFastIngest) {
		err = errSharedNeedsFast
	}
	p.window.failAll(err)
	if p.fast != nil {
		p.fast.abandon()
	}
	if errors.Is(err, errNoFastIngest) {
		p.streams.RefusedBatch() // until it is seen to have it
		p.use(p.windowed, err)
	}
}

// follow takes up the link that there is now.
func (p *Publisher) follow() {
	if l := p.conn.Get(); l != p.link {
		p.link, p.nc = l, l.Conn
	}
}

// onChange hears that the connection went or came. A new server may have what the
// one before had not.
func (p *Publisher) onChange() {
	if !p.nc.IsConnected() {
		p.failAll(nats.ErrDisconnected)
		return
	}
	p.mayNotRead.Store(nil)
	p.choose()
	for _, id := range p.failing {
		if r := p.retry(id); !r.due.IsZero() {
			r.due = time.Now()
		}
	}
}

// sendTurn serves the next server and reports whether there was one.
func (p *Publisher) sendTurn() bool {
	id, budget, ok := p.scheduler.Next()
	if !ok {
		return false
	}
	s := p.source(id)
	o := s.Outbox
	p.letGo(id)
	used, held := 0, false
	for used < budget && p.window.room(id) && p.mode.room() {
		if held = !p.leads(id); held {
			break // whoever lets it go makes it ready
		}
		if !p.begins(id) || p.keeps(id) {
			break
		}
		e, payload, gap, ok := o.Take(p.payload)
		p.payload = payload
		if !ok {
			break
		}
		if gap != nil {
			s.TellGap(*gap)
		}
		p.send(id, e)
		used += len(payload) + outbox.EntryBytes
	}
	if cap(p.payload) > outbox.KeptPayload {
		p.payload = nil
	}
	p.scheduler.Served(id, used, !held && !p.isKept(id) && p.window.open(id) && o.Waiting())
	return true
}

// send publishes p.payload as the event e and notes what came of it.
func (p *Publisher) send(id int, e outbox.Entry) {
	now := time.Now()
	number := p.window.add(id, len(p.payload)+outbox.EntryBytes, now)
	err := p.publish(id, number, e, now)
	switch {
	case err == nil:
	case errors.Is(err, nats.ErrMaxPayload) && e.Gap == 0:
		p.log.Error("event dropped", zap.String("reason", outbox.DropOversize), zap.String("subject", e.Subject),
			zap.Int("bytes", len(p.payload)), zap.Int64("max_payload", p.nc.MaxPayload()))
		p.window.refuse(id, number, err)
		err = errRefused
	default:
		err = fmt.Errorf("publish: %w", err)
		p.window.fail(id, err)
	}
	if err != nil && p.batched() {
		p.failAll(err)
	}
}

// publish sends p.payload as the event e. Its own part allocates nothing: the
// headers' strings point into p.text, which is safe because PublishMsg copies
// the headers and the payload into the connection's buffer before it returns
// (nats.go, Conn.publish). They must not be kept.
func (p *Publisher) publish(id int, number uint64, e outbox.Entry, now time.Time) error {
	t := p.appendID(p.text[:0], id, &e)
	a := len(t)
	t = append(append(t, e.Session...), ':')
	t = strconv.AppendUint(t, e.Seq, 10)
	b := len(t)
	t = p.times.Append(t, e.At)
	p.text = t
	p.msg.Header["Nats-Msg-Id"][0] = borrow(t[:a])
	p.msg.Header["Ami-Seq"][0] = borrow(t[a:b])
	p.msg.Header["Ami-Time"][0] = borrow(t[b:])
	p.msg.Subject, p.msg.Data = e.Subject, p.payload
	if p.cloud != nil {
		p.cloud.describe(&p.msg, p.source(id).uri)
	}
	p.mode.prepare(&p.msg, id, number, p.last(id), now)
	if p.lead != nil {
		p.fence(id)
	}
	if !p.guard.enter(p.dialled) {
		return nats.ErrDisconnected
	}
	defer p.guard.leave()
	return p.conn.Publish(p.link, &p.msg)
}

// last reports whether nothing follows the event of id that is sent now. It looks
// only where that matters.
func (p *Publisher) last(id int) bool {
	if !p.batched() || !p.fast.wantsLast() {
		return false
	}
	return !p.hasMore(id) && !p.scheduler.Any(p.hasMore)
}

// hasMore reports whether id has something that may be sent now.
func (p *Publisher) hasMore(id int) bool {
	return p.window.room(id) && p.source(id).Outbox.Waiting()
}

func borrow(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
