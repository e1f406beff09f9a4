package streams

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
)

// reportedFor is how long the word of one who publishes holds, unless it is said
// again. It outlasts the longest wait between two tries to publish.
const reportedFor = time.Minute

// finding is what a look at a stream has shown, or a try to publish into it.
type finding struct {
	state           State
	err             error
	diffs           []Difference
	messages, bytes uint64
	unread          error // why a bridge may not read it, where that is asked: see mayRead
}

// row is how one stream stands.
type row struct {
	name       string
	subjects   []string
	seen       finding   // by the last look
	reported   finding   // from those who publish, unknown if nothing
	reportedAt time.Time // the last time
	vouched    bool      // a look found it well after nothing was stored in it, and nothing has been since
	since      time.Time // when the state changed
}

// now is what the row says of its stream. The last look counts. If it found nothing
// wrong, a failure counts that those who publish have reported since.
func (r *row) now() finding {
	switch {
	case r.reported.state == OK:
		f := r.seen
		if f.state == NoJetStream {
			f.state = Unseen // it is stored, whoever does
		}
		return f
	case r.reported.state == Unknown, !r.seen.state.There() && r.seen.state != Off && r.seen.state != Unknown:
		return r.seen
	}
	f := r.seen
	f.state, f.err = r.reported.state, r.reported.err
	return f
}

// States is how all streams stand.
func (k *Reconciler) States() []Report {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := make([]Report, len(k.rows))
	for i, r := range k.rows {
		f := r.now()
		all[i] = Report{
			Name: r.name, State: f.state.String(), Error: clock.Text(f.err), Differences: append([]Difference{}, f.diffs...),
			Messages: f.messages, Bytes: f.bytes, Since: clock.Stamp(r.since),
			unread: f.unread,
		}
	}
	return all
}

// Well reports whether there is nothing to be tried again soon.
func (k *Reconciler) Well() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !slices.ContainsFunc(k.rows, func(r *row) bool {
		state := r.now().state
		return !state.There() && state != Off && state != Unseen
	})
}

// State is how the stream called name stands, and why.
func (k *Reconciler) State(name string) (State, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range k.rows {
		if r.name == name {
			f := r.now()
			return f.state, f.err
		}
	}
	return Unknown, nil
}

// blind reports whether f says nothing about a stream: the bridge ends, or NATS
// went away while it was asked.
func (k *Reconciler) blind(ctx context.Context, f finding) bool {
	return errors.Is(ctx.Err(), context.Canceled) || f.state == Unavailable && (!k.conn.Up() || errors.Is(f.err, nats.ErrDisconnected))
}

// set notes what a look has shown.
func (k *Reconciler) set(ctx context.Context, name string, f finding) {
	if k.blind(ctx, f) {
		return
	}
	k.update(name, func(r *row) {
		r.seen = f
		// It is there, and does not take what was published on subjects that it lacks.
		lacks := r.reported.state == Missing && slices.ContainsFunc(f.diffs, func(d Difference) bool { return d.Field == "subjects" })
		if f.state.There() && r.reported.state == Missing {
			lacks = lacks || r.vouched // or it would be said to be well between any two tries to publish
			r.vouched = true
		}
		if f.state.There() && r.reported.state != OK && r.reported.state != Full && r.reported.state != NoPermission && !lacks {
			r.reported = finding{} // the look is newer, and sees as much
		}
	})
	k.onState(ctx, name, f.state)
}

// allAre notes that none of the streams can be used, and logs it once.
func (k *Reconciler) allAre(ctx context.Context, f finding) {
	if k.blind(ctx, f) {
		return
	}
	changed := false
	k.mu.Lock()
	for _, r := range k.rows {
		changed = r.replace(func() { r.seen = f }) || changed
	}
	k.mu.Unlock()
	if changed {
		if state, _ := k.State(EventStream); state == Unseen {
			f.state = state
		}
		k.logState("", OK, f)
		k.notify() // as in update
	}
	for _, r := range k.rows { // the rows themselves do not change
		k.onState(ctx, r.name, f.state)
	}
}

// update changes one row, and tells and logs a change of its state.
func (k *Reconciler) update(name string, change func(*row)) {
	k.mu.Lock()
	i := slices.IndexFunc(k.rows, func(r *row) bool { return r.name == name })
	if i < 0 {
		k.mu.Unlock()
		return
	}
	r := k.rows[i]
	before := r.now()
	changed := r.replace(func() { change(r) })
	f := r.now()
	k.mu.Unlock()
	if changed {
		k.logState(name, before.state, f)
		k.notify() // whoever is told finds it in the log
	}
}

// replace makes a change and reports whether the state, or what differs, is
// another.
func (r *row) replace(change func()) bool {
	before := r.now()
	change()
	after := r.now()
	if before.state != after.state {
		r.since = time.Now()
	}
	return before.state != after.state || !slices.Equal(before.diffs, after.diffs)
}

// notify has the status goroutine publish the node's state at once.
func (k *Reconciler) notify() {
	k.changed.Store(true)
	k.onChange()
}

// logState writes one line of a state that is another now. An empty name is all
// of them.
func (k *Reconciler) logState(name string, before State, f finding) {
	log := k.log
	fields := []zap.Field{zap.String("stream", name), zap.Stringer("from", before), zap.Stringer("to", f.state), zap.Error(f.err)}
	if len(f.diffs) > 0 {
		var all []string
		for _, d := range f.diffs {
			all = append(all, d.Field+" is "+d.Have+", not "+d.Want+": "+d.Left)
		}
		fields = append(fields, zap.Strings("differences", all))
	}
	switch f.state {
	case OK, Off:
		if before != Unknown {
			log.Info("stream as configured", fields...)
		}
	case Unseen:
		log.Warn("stream takes messages, and cannot be looked at", fields...)
	case Differs:
		log.Warn("stream differs from the configuration", fields...)
	case NoJetStream:
		if k.cfg.Delivery == config.DeliverCore {
			log.Warn("no JetStream: events are delivered at most once", fields...)
			return
		}
		log.Error("no JetStream: events wait in the outbox", fields...)
	case Unavailable:
		log.Warn("stream cannot be used", fields...)
	default:
		log.Error("stream cannot be used", fields...)
	}
}
