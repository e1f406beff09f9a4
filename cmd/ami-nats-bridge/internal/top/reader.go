package top

import (
	"cmp"
	"context"
	"errors"
	"slices"
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
	// API is where JetStream answers; empty for $JS.API.
	API string
	// Tap returns how the events of a server are seen through a filter; its error is
	// for the user. It may be nil.
	Tap func(server, filter string) (*Tapping, error)
	// HTTP is the bridge's own address, such as http://127.0.0.1:9108; empty for none.
	HTTP string
}

// Reader reads how all is: from NATS or, while that does not answer, from the bridge
// itself. It implements Feed; all its methods may be called from any goroutine.
type Reader struct {
	opts  ReaderOptions
	http  *httpSource
	again chan struct{} // of capacity 1: try at once

	tapping sync.Mutex // held by who changes tap or conn, beside mu

	mu          sync.Mutex // protects the following
	model       *view.Model
	lastMessage time.Time // when NATS brought the last word
	up          bool      // connected to NATS
	natsErr     string
	denied      bool       // a part of what bridges say, as natsErr has it
	loaded      bool       // the last values have been read since it is up
	kept        bool       // there were some
	unread      string     // why they could not be
	conn        *nats.Conn // nil: none yet, or none any more
	tap         *tap       // nil: nobody looks at events
	tapOn       string     // the subject that was subscribed to last for it
	tapDenied   string     // why it may not be
	shown       *view.Snapshot
	silent      time.Time // since when nothing answers
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

// jetStream asks JetStream on nc where it answers.
func (o *ReaderOptions) jetStream(nc *nats.Conn) (jetstream.JetStream, error) {
	return jetstream.NewWithAPIPrefix(nc, cmp.Or(o.API, jetstream.DefaultAPIPrefix))
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
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { r.notPermitted(err) }),
	)
	if err != nil {
		return err
	}
	defer nc.Close()
	r.have(nc)
	defer r.have(nil)
	return r.follow(ctx, nc)
}

func (r *Reader) connected() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.up, r.loaded, r.natsErr, r.denied = true, false, "", false
	r.tap.back(time.Now())
	r.raise()
}

func (r *Reader) disconnected(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.up {
		r.tap.lost(time.Now())
	}
	r.up = false
	if err != nil {
		r.natsErr = reasonOf(err)
	} else if r.natsErr == "" {
		r.natsErr = "disconnected"
	}
}

// notPermitted keeps an error of the connection that says what may not be read. Others are a
// slow reader's: the next interval tells it again.
func (r *Reader) notPermitted(err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tapOn != "" && strings.Contains(err.Error(), `"`+r.tapOn+`"`) {
		r.tapDenied = err.Error()
		return
	}
	r.natsErr = err.Error()
	r.denied = slices.ContainsFunc(statusSubjects(r.opts.Prefix), func(subject string) bool { return strings.Contains(r.natsErr, `"`+subject+`"`) })
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

// Picture implements Feed: what NATS says, as long as it says something; else what the
// bridge itself says; else what was shown last, as it was then.
func (r *Reader) Picture(now time.Time) (*view.Snapshot, Source) {
	r.mu.Lock()
	defer r.mu.Unlock()
	src := Source{NATS: r.opts.NATS, HTTP: r.opts.HTTP, NATSErr: r.natsErr, Unread: r.unread}
	var own *view.Snapshot
	if r.http != nil {
		src.HTTP = r.http.shown
		own, src.HTTPErr = r.http.last(now)
	}
	switch {
	case r.receives(now):
		r.shown, r.silent = r.model.Snapshot(now, view.NumbersLast4), time.Time{}
	case own != nil:
		r.shown, r.silent = own, time.Time{}
		src.ByHTTP, src.Unread = true, ""
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

// receives says whether NATS brings words of a bridge.
func (r *Reader) receives(now time.Time) bool {
	return r.up && !r.lastMessage.IsZero() && now.Sub(r.lastMessage) <= 3*r.opts.Interval
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
		receives := r.receives(time.Now())
		r.mu.Unlock()
		if !receives {
			r.http.ask(ctx)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
