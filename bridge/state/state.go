package state

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

// Leader says whether the state of a server is this bridge's to write. It is asked
// often, from any goroutine, and must not wait.
type Leader interface{ Leads(server string) bool }

// Options are what a State works with.
type Options struct {
	Config *config.Config
	Conn   *natsconn.Conn
	// Stream says how the stream behind the bucket stands, and why.
	Stream func() (streams.State, error)
	// Stored is told that the bucket has stored a server's key, and now and then why it did not store
	// something. It must not wait, and may be nil.
	Stored func(error)
	// Leader may be nil: then whoever has a server's key first writes it.
	Leader Leader
	// Changed is called when a Report is another. It must not wait.
	Changed func()
	Log     *zap.Logger
}

// State is what is up at all servers. Its methods may be called from any goroutine and
// do not wait, but for Run and Drain.
type State struct {
	o       Options
	bucket  *bucket
	writer  *writer
	servers servers
	reports reports

	mode    atomic.Uint32 // a mode
	changed atomic.Bool   // the Report, since it was told

	mu      sync.Mutex // protects the following
	why     string     // it is not on
	refused time.Time  // when the bucket was, though it can be looked at
}

// mode is whether the state is kept.
type mode uint32

const (
	waiting mode = iota // for the bucket, which comes by itself
	on
	off // until somebody does something about it
)

// String returns the word for m in a Report.
func (m mode) String() string { return [...]string{"waiting", "on", "off"}[m] }

// New returns a State without servers.
func New(o Options) *State {
	o.Log = o.Log.Named("state")
	if o.Stored == nil {
		o.Stored = func(error) {}
	}
	s := &State{o: o, why: "the bucket was not looked at yet"}
	s.reports.to, s.reports.calm = o.Stored, 2*o.Config.StatusInterval+tellAgain
	s.bucket = &bucket{conn: o.Conn, stored: s.reports.take}
	s.writer = newWriter(o.Conn, o.Log)
	s.servers.wake = make(chan struct{}, 1)
	s.writer.purge = o.Config.StateMarkerAge
	s.writer.failed, s.writer.large = s.onFailed, s.reports.take
	if !o.Config.State {
		s.mode.Store(uint32(off))
		s.why = "BRIDGE_STATE=off"
	}
	return s
}

func (s *State) is(m mode) bool { return mode(s.mode.Load()) == m }

// offFor is how long the state is off at least once the bucket has refused what only somebody can
// change, though a look finds it there: each try costs a message of each server.
const offFor = 30 * time.Second

// Seen hears how the stream behind the bucket was found, from the goroutine that looks
// at it. What does not mend by itself turns the state off, until it is found mended.
// Meanwhile events are taken in, and no list is asked for.
func (s *State) Seen(state streams.State) { s.seen(state, time.Now()) }

func (s *State) seen(state streams.State, now time.Time) {
	if !bool(s.o.Config.State) || s.wasRefused(now) {
		return
	}
	_, err := s.o.Stream()
	why := "the bucket is " + state.String()
	if err != nil {
		why += ": " + err.Error()
	}
	switch state {
	case streams.OK, streams.Differs, streams.Full:
		s.become(on, "")
	case streams.Missing:
		if s.o.Config.Streams == config.StreamsManage {
			s.become(waiting, why)
		} else {
			s.become(off, why)
		}
	case streams.Off, streams.NoPermission, streams.ReadOnly:
		s.become(off, why)
	default:
		if !s.is(on) { // else it was there: the writer tries now and then
			s.become(waiting, why)
		}
	}
}

func (s *State) wasRefused(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.refused.IsZero() && now.Sub(s.refused) < offFor
}

// refuse turns the state off because the bucket, which can be looked at, takes nothing.
func (s *State) refuse(why string) {
	s.mu.Lock()
	s.refused = time.Now()
	s.mu.Unlock()
	s.become(off, why)
}

// noTTL is JetStream's code for a stream that takes no Nats-TTL (nats-server,
// errors.json, JSMessageTTLDisabledErr).
const noTTL = 10166

// onFailed hears why a message was not stored.
func (s *State) onFailed(err error) {
	s.reports.take(err)
	if api, is := errors.AsType[*jetstream.APIError](err); is && api.ErrorCode == noTTL {
		s.refuse("the bucket's stream lets no message expire: allow_msg_ttl")
		return
	}
	if state, why := s.o.Stream(); state == streams.NoPermission {
		s.refuse(fmt.Sprintf("the bucket is %v: %v", state, why))
	}
}

func (s *State) become(m mode, why string) {
	s.mu.Lock()
	before := mode(s.mode.Swap(uint32(m)))
	changed := before != m || s.why != why
	s.why = why
	s.mu.Unlock()
	if !changed {
		return
	}
	defer s.tell() // whoever is told finds it in the log
	switch {
	case before == m:
	case m == off:
		s.o.Log.Warn("state is off", zap.String("reason", why))
	case m == on:
		s.o.Log.Info("state is kept", zap.Int("servers", len(s.servers.all())))
		for _, one := range s.servers.all() {
			one.wakeUp()
		}
	}
}

// tell has the Report published.
func (s *State) tell() {
	s.changed.Store(true)
	s.o.Changed()
}

// HasChanged reports whether the Report has changed since MarkPublished was last called.
func (s *State) HasChanged() bool { return s.changed.Load() }

// MarkPublished is to be called before the Report that is published is asked for.
func (s *State) MarkPublished() { s.changed.Store(false) }

// Report is how the state stands, as it is in the status of the node.
type Report struct {
	// State is on, off (until somebody mends what Reason says), or waiting for the bucket.
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	// Elsewhere are the servers whose state another node writes, and which.
	Elsewhere map[string]string `json:"elsewhere,omitempty"`
}

// Report returns how the state stands.
func (s *State) Report() Report {
	s.mu.Lock()
	r := Report{State: mode(s.mode.Load()).String(), Reason: s.why}
	s.mu.Unlock()
	if r.State != on.String() {
		return r
	}
	for _, one := range s.servers.all() {
		if node := one.holder.elsewhere(); node != "" {
			if r.Elsewhere == nil {
				r.Elsewhere = make(map[string]string)
			}
			r.Elsewhere[one.cfg.Name] = node
		}
	}
	return r
}

// Objects yields what is up at each server: keys and values as the bucket has them once
// all is written, the servers' own keys among them. It asks nobody, so that it is there
// while NATS is not, and nothing waits for who takes long. Of a server whose state another
// bridge writes, or leads, it is what events have told, and no list. Nothing is yielded while the
// state is off. A value is good until the next is yielded.
func (s *State) Objects() iter.Seq2[string, []byte] {
	return func(yield func(key string, value []byte) bool) {
		for _, one := range s.servers.all() {
			if s.is(off) {
				return
			}
			about := one.present.AppendServer(nil, s.o.Config.Node, true, time.Now())
			if !yield(one.cfg.Name+serverSuffix, about) {
				return
			}
			for key, value := range one.present.All() {
				if !yield(key, value) {
					return
				}
			}
		}
	}
}

// Run drives all servers and writes, until ctx ends.
func (s *State) Run(ctx context.Context) {
	if !s.o.Config.State {
		return
	}
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { s.writer.run(ctx, s.servers.all) })
	s.servers.run(ctx, min(look, s.o.Config.StatusInterval))
}

// drainTime bounds Drain: what the bucket does not take by then it shows as stale when
// the server's key has expired.
const drainTime = 2 * time.Second

// Drain waits until the bucket has all that has changed, once no session is up any
// more, but not for long.
func (s *State) Drain(ctx context.Context) { s.drain(ctx, s.isDrained) }

func (s *State) drain(ctx context.Context, is func(now time.Time) bool) {
	ctx, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for s.is(on) && s.o.Conn.Up() && !is(time.Now()) {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (s *State) isDrained(now time.Time) bool {
	for _, one := range s.servers.all() {
		if one.leads(now) && !one.isDrained(now) {
			return false
		}
	}
	return s.writer.underWay() == 0
}
