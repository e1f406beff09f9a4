package top

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// ReaderOptions are what a Reader needs.
type ReaderOptions struct {
	Prefix   string        // BRIDGE_SUBJECT_PREFIX
	Interval time.Duration // BRIDGE_STATUS_INTERVAL
	// NATS is the server's address without secrets; Connect connects to it, with
	// these options. NATS need not be there. A nil Connect is none.
	NATS    string
	Connect func(...nats.Option) (*nats.Conn, error)
	// HTTP is the bridge's own address, such as http://127.0.0.1:9108; empty for none.
	HTTP string
}

// Reader reads how all is: from NATS or, while that does not answer, from the bridge
// itself. It implements Feed; all its methods may be called from any goroutine.
type Reader struct {
	opts  ReaderOptions
	http  *httpSource
	again chan struct{} // of capacity 1: try at once

	mu      sync.Mutex // protects the following
	model   *view.Model
	heard   time.Time // when NATS brought the last word
	up      bool      // connected to NATS
	natsErr string
	loaded  bool // the last values have been read since it is up
	shown   *view.Snapshot
	silent  time.Time // since when nothing answers
}

// NewReader returns a Reader; Run reads.
func NewReader(opts ReaderOptions) *Reader {
	r := &Reader{
		opts: opts, again: make(chan struct{}, 1),
		model: view.New(view.Options{Prefix: opts.Prefix, Interval: opts.Interval}),
	}
	if opts.Connect != nil {
		r.natsErr = "not connected yet"
	}
	if opts.HTTP != "" {
		r.http = newHTTPSource(opts.HTTP)
	}
	return r
}

const (
	liveQueue   = 8192             // messages of NATS that wait to be read; more are dropped, and the next interval tells them again
	loadTimeout = 5 * time.Second  // of the last values
	loadAgain   = 10 * time.Second // after they could not be had
	asking      = 3 * time.Second  // from the start on, until nothing answers
	askEvery    = time.Second      // of the bridge itself, while NATS does not answer
)

// Run reads until ctx ends. It returns an error only if nothing can be read at all.
func (r *Reader) Run(ctx context.Context) error {
	var group sync.WaitGroup
	defer group.Wait()
	if r.http != nil {
		group.Go(func() { r.askBridge(ctx) })
	}
	if r.opts.Connect == nil {
		<-ctx.Done()
		return nil
	}
	nc, err := r.opts.Connect(
		nats.RetryOnFailedConnect(true),
		nats.ConnectHandler(func(*nats.Conn) { r.connected() }), nats.ReconnectHandler(func(*nats.Conn) { r.connected() }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { r.disconnected(err) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { r.disconnected(err) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { r.denied(err) }),
	)
	if err != nil {
		return err
	}
	defer nc.Close()
	return r.follow(ctx, nc)
}

func (r *Reader) connected() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.up, r.loaded, r.natsErr = true, false, ""
	r.raise()
}

func (r *Reader) disconnected(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.up = false
	if err != nil {
		r.natsErr = reasonOf(err)
	} else if r.natsErr == "" {
		r.natsErr = "disconnected"
	}
}

// denied keeps an error of the connection that says what may not be read. Others are a
// slow reader's: the next interval tells it again.
func (r *Reader) denied(err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.natsErr = err.Error()
}

// reasonOf is the last part of an error, which says what happened.
func reasonOf(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, ": "); i >= 0 && i+2 < len(text) {
		text = text[i+2:]
	}
	return text
}

func (r *Reader) raise() {
	select {
	case r.again <- struct{}{}:
	default:
	}
}

// Retry implements Feed.
func (r *Reader) Retry() { r.raise() }

// statusSubjects are all on which bridges say how they and their servers are.
func statusSubjects(prefix string) []string {
	return []string{prefix + ".status.>", prefix + ".nodes.>"}
}

// subscribe returns what comes on the status subjects from now on, until nc is closed.
func subscribe(nc *nats.Conn, prefix string) (<-chan *nats.Msg, error) {
	live := make(chan *nats.Msg, liveQueue)
	for _, subject := range statusSubjects(prefix) {
		if _, err := nc.ChanSubscribe(subject, live); err != nil {
			return nil, err
		}
	}
	return live, nil
}

// follow reads what NATS brings: first the last values that are kept, then what comes.
func (r *Reader) follow(ctx context.Context, nc *nats.Conn) error {
	live, err := subscribe(nc, r.opts.Prefix)
	if err != nil {
		return err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	state := &stateWatch{js: js, keys: make(map[string]bool)}
	defer state.stop()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	var tried time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case m := <-live:
			r.take(m.Subject, m.Data, time.Now(), false)
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
			r.mu.Lock()
			r.model.Tick(time.Now())
			r.mu.Unlock()
		}
		if r.wants() && time.Since(tried) > loadAgain {
			tried = time.Now()
			r.load(ctx, js)
		}
		if r.isUp() && state.due(time.Now()) {
			state.start(ctx)
		}
	}
}

func (r *Reader) isUp() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.up
}

// wants says whether the last values are to be read.
func (r *Reader) wants() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.up && !r.loaded
}

func (r *Reader) take(subject string, data []byte, now time.Time, kept bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.model.Status(subject, data, now, kept)
	if !kept {
		r.heard = now
	}
}

// load reads the last value of each subject in AMI_STATUS. Without that stream what
// comes is all there is.
func (r *Reader) load(ctx context.Context, js jetstream.JetStream) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	any := false
	err := lastValues(ctx, js, r.opts.Prefix, func(subject string, data []byte) {
		r.take(subject, data, time.Now(), true)
		any = true
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	if any {
		r.heard = time.Now() // what comes next shows within an interval whether they are old
	}
	r.loaded = err == nil || errors.Is(err, jetstream.ErrStreamNotFound)
	r.model.Tick(time.Now())
}

// lastValues calls take with the last message of each status subject.
func lastValues(ctx context.Context, js jetstream.JetStream, prefix string, take func(string, []byte)) error {
	consumer, err := js.OrderedConsumer(ctx, "AMI_STATUS", jetstream.OrderedConsumerConfig{
		FilterSubjects: statusSubjects(prefix), DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
	})
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		batch, err := consumer.FetchNoWait(1000)
		if err != nil {
			return err
		}
		n, left := 0, uint64(0)
		for m := range batch.Messages() {
			n++
			take(m.Subject(), m.Data())
			if about, err := m.Metadata(); err == nil {
				left = about.NumPending
			}
		}
		if n == 0 || left == 0 {
			return batch.Error()
		}
	}
	return ctx.Err()
}

// stateWatch is a watch of the bucket AMI_STATE, if there is one. It is for one goroutine.
type stateWatch struct {
	js      jetstream.JetStream
	watcher jetstream.KeyWatcher
	tried   time.Time
	keys    map[string]bool // that are there; false: not told yet by this watch
	begun   bool            // all that is there has been told
}

// updates is what the watch brings; nil, which brings nothing, without one.
func (s *stateWatch) updates() <-chan jetstream.KeyValueEntry {
	if s.watcher == nil {
		return nil
	}
	return s.watcher.Updates()
}

func (s *stateWatch) due(now time.Time) bool { return s.watcher == nil && now.Sub(s.tried) > loadAgain }

func (s *stateWatch) start(ctx context.Context) {
	s.tried = time.Now()
	asked, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	bucket, err := s.js.KeyValue(asked, "AMI_STATE")
	if err != nil {
		return // the state is off
	}
	if s.watcher, err = bucket.WatchAll(ctx); err != nil {
		s.watcher = nil
		return
	}
	s.begun = false
	for key := range s.keys {
		s.keys[key] = false
	}
}

func (s *stateWatch) stop() {
	if s.watcher != nil {
		_ = s.watcher.Stop() // of a connection that is gone it fails, and has ended
		s.watcher, s.tried = nil, time.Time{}
	}
}

func (r *Reader) takeState(s *stateWatch, e jetstream.KeyValueEntry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if e == nil { // all that is there has been told: the rest ended while nobody watched
		s.begun = true
		for key, there := range s.keys {
			if !there {
				r.model.State(key, nil, now)
				delete(s.keys, key)
			}
		}
		return
	}
	value := e.Value()
	if e.Operation() != jetstream.KeyValuePut {
		value = nil
		delete(s.keys, e.Key())
	} else {
		s.keys[e.Key()] = true
		if value == nil {
			value = []byte{}
		}
	}
	r.model.State(e.Key(), value, now)
}

// Picture implements Feed: what NATS says, as long as it says something; else what the
// bridge itself says; else what was shown last, as it was then.
func (r *Reader) Picture(now time.Time) (*view.Snapshot, Source) {
	r.mu.Lock()
	defer r.mu.Unlock()
	src := Source{NATS: r.opts.NATS, HTTP: r.opts.HTTP, NATSErr: r.natsErr}
	var own *view.Snapshot
	if r.http != nil {
		src.HTTP = r.http.shown
		own, src.HTTPErr = r.http.last(now)
	}
	switch {
	case r.hears(now):
		r.shown, r.silent = r.model.Snapshot(now, view.NumbersLast4), time.Time{}
	case own != nil:
		r.shown, r.silent = own, time.Time{}
		src.ByHTTP = true
	case r.up:
		r.shown, r.silent = r.model.Snapshot(now, view.NumbersLast4), time.Time{}
	default:
		if r.silent.IsZero() {
			r.silent = now
		}
		if src.Asking = r.shown == nil && now.Sub(r.silent) < asking; !src.Asking {
			src.Silent = r.silent
		}
		if r.shown == nil {
			return r.model.Snapshot(now, view.NumbersLast4), src
		}
	}
	return r.shown, src
}

// hears says whether NATS brings words of a bridge.
func (r *Reader) hears(now time.Time) bool {
	return r.up && !r.heard.IsZero() && now.Sub(r.heard) <= 3*r.opts.Interval
}

// Calls implements Feed.
func (r *Reader) Calls(server string) ([]view.Call, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.model.Calls(server, view.NumbersLast4)
}

// askBridge asks the bridge itself while NATS does not answer.
func (r *Reader) askBridge(ctx context.Context) {
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	for {
		r.mu.Lock()
		hears := r.hears(time.Now())
		r.mu.Unlock()
		if !hears {
			r.http.ask(ctx)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
