package streams

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
)

const (
	// QuestionTimeout bounds each question about streams.
	QuestionTimeout = 5 * time.Second
	// Timeout bounds all of them together at the start.
	Timeout = 10 * time.Second
	// streamsInterval is how often the streams are looked at while all is well,
	// and half of it the longest wait between two tries while it is not, which is
	// half as long again at most.
	streamsInterval = 30 * time.Second
	// streamsGap is the least time from one look to the next.
	streamsGap = 250 * time.Millisecond
	// sizeSpan is the least time from one look that a message's size has caused to the next.
	sizeSpan = 5 * time.Second
)

// Reconciler keeps the streams as they are configured: it makes, changes or checks
// them as BRIDGE_STREAMS says, looks at them again and again, and knows how each
// stands. A change that could lose what is stored is reported and never made.
// Only its goroutine, or the start before it, asks JetStream; the other methods
// may be called from any goroutine and do not wait.
type Reconciler struct {
	cfg      *config.Config
	log      *zap.Logger
	dry      bool // make and change nothing
	conn     *natsconn.Conn
	onChange func() // called when something has changed; must not wait
	// onState is called by the goroutine that looks, each time that it has seen
	// how a stream stands.
	onState func(ctx context.Context, name string, state State)

	poke    chan struct{}          // of capacity 1: look now
	changed atomic.Bool            // since the status goroutine published it
	batches atomic.Bool            // AMI_EVENTS takes fast ingest
	waits   atomic.Pointer[error]  // why it is not given fast ingest yet, if it waits for other servers
	domain  atomic.Pointer[string] // see Domain

	// Of the goroutine that looks: updates that the bridge may not make, by
	// stream, since so many connects.
	refused  map[string]error
	connects uint64
	room     room // for what is missing

	denials   denials
	mu        sync.Mutex // protects the following
	rows      []*row
	sizeAt    time.Time // see sizeDue
	elsewhere elsewhere
}

// New returns what keeps the streams of cfg, and asks on the first of conns.
func New(cfg *config.Config, conns []*natsconn.Conn, onChange func(), onState func(context.Context, string, State), log *zap.Logger) *Reconciler {
	k := &Reconciler{
		cfg: cfg, conn: conns[0], log: log.Named("streams"), onChange: onChange, onState: onState,
		poke: make(chan struct{}, 1), refused: make(map[string]error),
	}
	for _, c := range conns {
		c.OnReconnect(k.reconnected)
		c.OnError(k.connectionError)
	}
	now := time.Now()
	k.rows = append(k.rows, &row{name: ActionSubjects, since: now})
	for _, want := range wantedStreams(cfg, 0) {
		k.rows = append(k.rows, &row{name: want.Name, subjects: want.Subjects, since: now})
	}
	return k
}

// js asks on the connection that there is now.
func (k *Reconciler) js() jetstream.JetStream { return k.conn.Get().JS }

// recheck has the streams looked at now.
func (k *Reconciler) recheck() { clock.Raise(k.poke) }

// Run looks at the streams until ctx ends: at an interval, when it is told to,
// and with growing waits while a stream cannot be used.
func (k *Reconciler) Run(ctx context.Context) {
	delays := backoff.NewExponentialBackOff()
	delays.InitialInterval, delays.MaxInterval = time.Second, streamsInterval/2
	well := k.Well()
	for {
		wait := delays.NextBackOff()
		if well {
			delays.Reset()
			wait = streamsInterval*3/4 + rand.N(streamsInterval/2)
		}
		if !k.wait(ctx, wait) {
			return
		}
		k.Check(ctx)
		well = k.Well()
	}
}

// wait lets d pass, or less if it is told to, and reports whether ctx goes on.
func (k *Reconciler) wait(ctx context.Context, d time.Duration) bool {
	least, most := time.NewTimer(streamsGap), time.NewTimer(d)
	defer least.Stop()
	defer most.Stop()
	select {
	case <-least.C:
	case <-ctx.Done():
		return false
	}
	select {
	case <-most.C:
	case <-k.poke:
	case <-ctx.Done():
		return false
	}
	return true
}

// Check looks at all streams once. While NATS is away what was seen last holds.
func (k *Reconciler) Check(ctx context.Context) {
	if !k.conn.Up() {
		return
	}
	k.forget()
	if n := k.conn.Connected(); n != k.connects {
		k.connects = n
		clear(k.refused) // rights may be others
	}
	level := 0
	k.room = room{}
	if k.cfg.Streams != config.StreamsOff {
		info, err := question(ctx, k, "INFO", k.js().AccountInfo)
		found := foundBy(err)
		switch {
		case err == nil:
			level = info.API.Level
			k.domain.Store(&info.Domain)
			k.room = room{info: info, alone: k.conn.Get().ConnectedClusterName() == "" && info.Domain == ""}
		case found.state != NoPermission:
			k.allAre(ctx, found)
			return
		case natsconn.FastIngestSince(k.conn.Get().ConnectedServerVersion()):
			level = batchLevel
		}
	}
	if level >= batchLevel && !k.knowBatches() {
		level = 0
	}
	k.set(ctx, ActionSubjects, k.actions(ctx))
	for _, want := range wantedStreams(k.cfg, level) {
		switch {
		case ctx.Err() != nil:
			return
		case k.cfg.Streams == config.StreamsOff && want.Name != KeyStream && want.Name != StateStream:
			k.set(ctx, want.Name, finding{state: Off})
		case want.Name == StateStream && !natsconn.MessageTTLSince(k.conn.Get().ConnectedServerVersion()):
			k.set(ctx, want.Name, finding{state: Off, err: errNoTTL})
		default:
			k.set(ctx, want.Name, k.reconcile(ctx, want))
		}
	}
}

// errNoTTL is why there is no bucket of the state beside an old server.
var errNoTTL = errors.New("it wants nats-server 2.11 or later, where a message may have a time to live")

// knowBatches reports whether a stream may be given fast ingest: while a cluster is
// upgraded its leader may know it, and each older server stops a stream that has what
// it does not know (nats-server, "Detected unsupported stream"). One that has it
// already, or a server that is alone, is not asked about.
func (k *Reconciler) knowBatches() bool {
	if k.batches.Load() || k.cfg.Streams != config.StreamsManage || k.dry {
		return true
	}
	err := k.conn.FastIngestEverywhere()
	if err == nil {
		return true
	}
	if before := k.waits.Swap(&err); before == nil || (*before).Error() != err.Error() {
		k.log.Info("fast ingest waits until every server has it", zap.Error(err))
	}
	return false
}

// actions looks for a stream that captures requests: its acknowledgement would
// reach the caller as the first reply.
func (k *Reconciler) actions(ctx context.Context) finding {
	subject := k.cfg.SubjectPrefix + ".actions.>"
	names, err := k.streamsOn(ctx, subject)
	switch {
	case err != nil:
		return foundBy(err)
	case len(names) > 0:
		return finding{state: Captured, err: fmt.Errorf(
			"stream %s captures %s, so that its acknowledgement reaches callers as the reply: change its subjects", names[0], subject)}
	}
	return finding{state: OK}
}

// reconcile makes want, or looks at the stream and changes what loses nothing.
func (k *Reconciler) reconcile(ctx context.Context, want jetstream.StreamConfig) finding {
	stream, err := question(ctx, k, "STREAM.INFO."+want.Name, func(ctx context.Context) (jetstream.Stream, error) {
		return k.js().Stream(ctx, want.Name)
	})
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if k.cfg.Streams != config.StreamsManage {
			return finding{state: Missing, err: errors.New("make it, or set BRIDGE_STREAMS=manage")}
		}
		if k.dry {
			return k.wouldMake(ctx, want)
		}
		stream, err = question(ctx, k, "STREAM.CREATE."+want.Name, func(ctx context.Context) (jetstream.Stream, error) {
			return k.js().CreateStream(ctx, want)
		})
		if err != nil {
			return notMade(k.named(ctx, want, err))
		}
		k.room.take(want)
		k.log.Info("stream made", zap.String("stream", want.Name))
	}
	if err != nil {
		f := foundBy(err)
		if f.state == NoPermission && want.Name == EventStream {
			f.unread = f.err
		}
		return f
	}
	info := stream.CachedInfo()
	diffs := differences(info.Config, want)
	switch {
	case k.cfg.Streams == config.StreamsOff:
		diffs = nil
	case k.cfg.Streams == config.StreamsVerify:
		for i := range diffs {
			diffs[i].Left = cmp.Or(diffs[i].Left, leftVerify)
		}
	case !k.dry:
		info, diffs = k.applyChanges(ctx, info, want, diffs)
	case bool(k.cfg.HA) && want.Name == EventStream && len(diffs) > 0: // much hangs on it
		if err := k.mayAsk(ctx, "STREAM.UPDATE."+want.Name); err != nil {
			for i := range diffs {
				diffs[i].Left = cmp.Or(diffs[i].Left, err.Error())
			}
		}
	}
	k.room.foresee(want, diffs) // what was not changed has something in Left
	k.nameTakers(ctx, want, diffs)
	diffs = k.nameElsewhere(info.Config, want, diffs)
	if want.Name == EventStream {
		k.batches.Store(info.Config.AllowBatchPublish)
	}
	f := stateOf(info, diffs)
	if bool(k.cfg.HA) && want.Name == EventStream {
		f.unread = k.mayRead(ctx)
	}
	if err := k.room.usedUp(info); err != nil && f.state.There() {
		f.state, f.err = Full, err
	}
	return f
}

// wouldMake is what a bridge that starts would find out on making want, as far as can be told without.
func (k *Reconciler) wouldMake(ctx context.Context, want jetstream.StreamConfig) finding {
	if lacks := k.room.lacks(want); lacks != nil {
		return finding{state: Missing, err: fmt.Errorf("it cannot be made: %w", lacks)}
	}
	k.room.take(want)
	return finding{state: Missing, err: k.taken(ctx, want)}
}

// stateOf says how a stream stands that is there.
func stateOf(info *jetstream.StreamInfo, diffs []Difference) finding {
	f := finding{state: OK, diffs: diffs, messages: info.State.Msgs, bytes: info.State.Bytes}
	switch {
	case info.Cluster != nil && info.Cluster.Name != "" && info.Cluster.Leader == "":
		f.state, f.err = Unavailable, errors.New("it has no leader")
	case info.Config.Sealed:
		f.state, f.err = ReadOnly, errors.New("it is sealed, for good: delete it, or keep it under another name, and let it be made anew")
	case info.Config.Mirror != nil:
		f.state, f.err = ReadOnly, fmt.Errorf("it is a mirror of %s: give the mirror another name", info.Config.Mirror.Name)
	case full(info):
		f.state, f.err = Full, errors.New("it is at its limit and discards what is new: raise max_bytes or max_msgs, or shorten max_age")
	case len(diffs) > 0:
		f.state = Differs
	}
	return f
}

// HasChanged reports whether a state has changed since MarkPublished was last called.
func (k *Reconciler) HasChanged() bool { return k.changed.Load() }

// MarkPublished notes that the states are published as they are.
func (k *Reconciler) MarkPublished() { k.changed.Store(false) }

// TakesBatches reports whether AMI_EVENTS takes fast ingest, as far as is known.
func (k *Reconciler) TakesBatches() bool { return k.batches.Load() }

// RefusedBatch observes that it did not, which holds until it is seen to do so.
func (k *Reconciler) RefusedBatch() { k.batches.Store(false) }
