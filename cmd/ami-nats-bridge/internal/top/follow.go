package top

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// statusSubjects are all on which bridges say how they and their servers are.
func statusSubjects(prefix string) []string {
	return []string{prefix + ".status.>", prefix + ".nodes.>"}
}

// statusSubs are what comes on the status subjects, until its connection is closed.
type statusSubs struct {
	live  chan *nats.Msg
	subs  []*nats.Subscription
	since time.Time // that it was subscribed to last
}

// subscribe subscribes, in place of what was before: nats-server takes a subscription away with the
// right to it, and does not bring it back.
func (s *statusSubs) subscribe(nc *nats.Conn, prefix string) error {
	before := s.subs
	s.subs, s.since = nil, time.Now()
	for _, subject := range statusSubjects(prefix) {
		sub, err := nc.ChanSubscribe(subject, s.live)
		if err != nil {
			return err
		}
		s.subs = append(s.subs, sub)
	}
	for _, sub := range before {
		_ = sub.Unsubscribe() // one that was taken away fails
	}
	return nil
}

// listen returns what comes from now on.
func listen(nc *nats.Conn, prefix string) (*statusSubs, error) {
	s := &statusSubs{live: make(chan *nats.Msg, liveQueue)}
	return s, s.subscribe(nc, prefix)
}

// follow reads what NATS brings: first the last values that are kept, then what comes.
func (r *Reader) follow(ctx context.Context, nc *nats.Conn) error {
	status, err := listen(nc, r.opts.Prefix)
	if err != nil {
		return err
	}
	js, err := r.opts.jetStream(nc)
	if err != nil {
		return err
	}
	state := newStateWatch(js)
	defer state.stop()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	var tried time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case m := <-status.live:
			r.take(m.Subject, m.Data, time.Now())
		case e, ok := <-state.updates():
			if !ok {
				state.stop()
				continue
			}
			r.takeState(state, e)
		case <-r.again:
			tried = time.Time{}
			state.stop() // what ended meanwhile is told only to a new watch
		case <-ticker.C:
			if r.isUp() {
				state.check(ctx, time.Now())
			}
			if time.Since(status.since) > loadAgain && r.isDeaf(time.Now()) {
				_ = status.subscribe(nc, r.opts.Prefix) // where the connection has just gone it is tried again
			}
			r.mu.Lock()
			r.model.Tick(time.Now())
			r.mu.Unlock()
		}
		if r.wants() && time.Since(tried) > loadAgain {
			tried = time.Now()
			r.load(ctx, js)
		}
		if r.isUp() {
			r.watch(ctx, state, time.Now())
		}
	}
}

func (r *Reader) isUp() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.up
}

// isDeaf says whether NATS is there and brings nothing, or not all. Then it forgets what was denied: it is
// tried again.
func (r *Reader) isDeaf(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.up || r.receives(now) && !r.denied {
		return false
	}
	r.natsErr, r.denied = "", false
	return true
}

// wants says whether the last values are to be read.
func (r *Reader) wants() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.up && !r.loaded
}

func (r *Reader) take(subject string, data []byte, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.model.Status(subject, data, now)
	r.lastMessage = now
}

func (r *Reader) takeKept(subject string, data []byte, stored time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.model.Kept(subject, data, stored, time.Now())
}

// load reads the last value of each subject in AMI_STATUS. Without that stream what
// comes is all there is.
func (r *Reader) load(ctx context.Context, js jetstream.JetStream) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	kept, asked := false, time.Now()
	err := LastValues(ctx, js, statusSubjects(r.opts.Prefix), func(m jetstream.Msg, age time.Duration) bool {
		r.takeKept(m.Subject(), m.Data(), asked.Add(-age))
		kept = true
		return true
	})
	if IsNotKept(err) {
		err = nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if kept {
		r.lastMessage = time.Now() // what comes next shows within an interval whether they are old
	}
	if r.loaded, r.kept, r.unread = err == nil, kept && err == nil, ""; err != nil {
		r.unread = err.Error()
	}
	r.model.Tick(time.Now())
}
