package beside

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

const (
	// lookRate is how many servers are looked at in a second at most: of many each is looked at
	// less often than Every.
	lookRate = 20
	// questionTimeout bounds one question, and pause is for how long none is asked after one
	// that was not answered.
	questionTimeout = 5 * time.Second
	pause           = time.Minute
	// clearAfter is how many looks in a row must find new events, and only this bridge's, until
	// it is taken to be alone again: of two bridges that publish the same, either may be last.
	clearAfter = 6
	// unfoundAfter is how many looks in a row must find nothing new although the stream has
	// acknowledged events: a replica that is asked may lag, and somebody may have purged it.
	unfoundAfter = 3
)

// Server is one that this bridge publishes.
type Server struct {
	Name   string
	Events string // the subject of its events, with wildcards
	Outbox Outbox
}

// Outbox is where a server's events come from.
type Outbox interface {
	// Stores returns how many of them the stream has acknowledged. It does not wait.
	Stores() uint64
}

// Options are what a Watch works with.
type Options struct {
	Node string
	HA   bool // this bridge shares its servers with others
	Conn *natsconn.Conn
	// Every is how often each server is looked at.
	Every time.Duration
	// Servers returns those that this bridge publishes now. It does not wait.
	Servers func() []Server
	Log     *zap.Logger
}

// Watch looks who else publishes this bridge's servers. Doubled and Reasons may be called from
// any goroutine and do not wait.
type Watch struct {
	o   Options
	log *zap.Logger

	// Of its goroutine.
	on     *natsconn.Link
	stream jetstream.Stream
	seen   map[string]*seen // by server
	kept   []Server         // those that seen was held against last

	mu      sync.Mutex        // protects the following
	with    map[string]string // by server, who else publishes it
	unfound map[string]bool   // servers whose events are stored, and not under their subjects
}

// seen is what a Watch knows of a server.
type seen struct {
	after uint64 // the last message that was looked at; 0: none was
	clear int    // looks in a row that found this bridge alone

	stored  uint64 // events, when it was last looked at
	unfound int    // looks in a row that found none of them
}

// New returns a Watch.
func New(o Options) *Watch {
	return &Watch{o: o, log: o.Log.Named("beside"), seen: make(map[string]*seen), with: make(map[string]string), unfound: make(map[string]bool)}
}

// Run looks until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var all []Server
	var listed time.Time
	for at := 0; ; at++ {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if now := time.Now(); listed.IsZero() || now.Sub(listed) >= w.o.Every { // not at each of many servers
			all, listed = w.o.Servers(), now
			w.keep(all)
		}
		wait := w.o.Every
		if n := len(all); n > 0 {
			wait = max(w.o.Every/time.Duration(n), time.Second/lookRate)
			if err := w.look(ctx, all[at%n]); err != nil {
				w.log.Debug("the stream was not looked at", zap.String("server", all[at%n].Name), zap.Error(err))
				wait = pause
			}
		}
		timer.Reset(wait)
	}
}

// keep forgets the servers that are none of all, which is as it was at most looks.
func (w *Watch) keep(all []Server) {
	if slices.Equal(all, w.kept) {
		return
	}
	w.kept = slices.Clone(all)
	names := make(map[string]bool, len(all))
	for _, s := range all {
		names[s.Name] = true
	}
	for name := range w.seen {
		if !names[name] {
			delete(w.seen, name)
			w.note(name, "")
			w.noteUnfound(name, false)
		}
	}
}

// look looks at the first and at the last of what was stored of s since the last look. The
// first look only notes how far the stream is: what is there may be of a bridge that has
// ended.
func (w *Watch) look(ctx context.Context, s Server) error {
	if !w.o.Conn.Up() {
		return nil
	}
	ctx, cancel := w.o.Conn.Question(ctx, questionTimeout)
	defer cancel()
	stream, err := w.open(ctx)
	if stream == nil || err != nil {
		return err
	}
	stored := s.Outbox.Stores()
	last, err := stream.GetLastMsgForSubject(ctx, s.Events)
	none := errors.Is(err, jetstream.ErrMsgNotFound)
	if err != nil && !none {
		return err
	}
	known := w.seen[s.Name]
	if known == nil {
		known = &seen{stored: s.Outbox.Stores()}
		w.seen[s.Name] = known
		if !none {
			known.after = last.Sequence
		}
		return nil
	}
	if w.keeps(stream) {
		w.find(s, known, stored, !none && last.Sequence != known.after)
	}
	known.stored = s.Outbox.Stores()
	if none || last.Sequence <= known.after {
		if !none {
			known.after = last.Sequence // it may be less: a stream that was made anew
		}
		return nil
	}
	next, err := stream.GetMsg(ctx, known.after+1, jetstream.WithGetMsgSubject(s.Events))
	if err != nil {
		next = last
	}
	known.after = last.Sequence
	w.notice(s.Name, known, next.Header.Get(jetstream.MsgIDHeader), last.Header.Get(jetstream.MsgIDHeader))
	return nil
}

// keepsFor is how old events get at least in a stream that is to have them when it is looked at.
const keepsFor = 10 * time.Minute

// keeps reports whether what the stream has stored is still there at the next look.
func (w *Watch) keeps(stream jetstream.Stream) bool {
	c := stream.CachedInfo().Config
	return c.Retention == jetstream.LimitsPolicy && (c.MaxAge == 0 || c.MaxAge > keepsFor+w.o.Every)
}

// find takes in whether anything new is under the server's subjects, of which the stream had acknowledged so many events
// before it was looked at.
func (w *Watch) find(s Server, known *seen, stored uint64, isNew bool) {
	switch {
	case isNew:
		known.unfound = 0
		if w.noteUnfound(s.Name, false) {
			w.log.Info("events are found under their subjects again", zap.String("server", s.Name))
		}
	case stored > known.stored:
		if known.unfound++; known.unfound == unfoundAfter && !w.noteUnfound(s.Name, true) {
			w.log.Error("events are stored under other subjects", zap.String("server", s.Name), zap.String("reason", unfound(s.Events)))
		}
	}
}

// noteUnfound notes whether a server's events are not found, and returns whether they were not before.
func (w *Watch) noteUnfound(server string, is bool) (before bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before = w.unfound[server]
	if delete(w.unfound, server); is {
		w.unfound[server] = true
	}
	return before
}

func unfound(subject string) string {
	return "its events are stored, and none is under " + subject + ": the account maps subjects (mappings), or the stream does (subject_transform). " +
		"No Gap tells what a restart lost, replay finds nothing, and bridges cannot share the server. Take the bridge's subjects out of that"
}

// open returns the stream of events on the link that there is now; nil if there is none, or
// none that a bridge may read by direct gets.
func (w *Watch) open(ctx context.Context) (jetstream.Stream, error) {
	l := w.o.Conn.Get()
	if w.on != l || w.stream == nil {
		stream, err := l.JS.Stream(ctx, streams.EventStream)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		w.on, w.stream = l, stream
	}
	if !w.stream.CachedInfo().Config.AllowDirect {
		return nil, nil
	}
	return w.stream, nil
}

// notice takes in whose those messages of the server are.
func (w *Watch) notice(server string, known *seen, ids ...string) {
	own := false
	for _, id := range ids {
		node, shares := Publisher(id, server)
		switch {
		case node == "" && !shares: // somebody's who is no bridge
		case shares != w.o.HA || !shares && node != w.o.Node:
			known.clear = 0
			w.tell(server, words(node, shares))
			return
		default:
			own = true
		}
	}
	if !own {
		return
	}
	if known.clear++; known.clear == clearAfter {
		w.tell(server, "")
	}
}

// Publisher returns who has published a message of a server, by its id: a bridge that shares
// it with others, or the node of one that does not. Of an id that no bridge gives, such as
// none, it returns no node.
func Publisher(id, server string) (node string, shares bool) {
	if _, err := standby.ParseID(id); err == nil {
		return "", true
	}
	node, _, found := strings.Cut(id, "."+server+".")
	if !found {
		return "", false
	}
	return node, false
}

func words(node string, shares bool) string {
	if shares {
		return "bridges with BRIDGE_HA=on publish"
	}
	return fmt.Sprintf("%.64s, a bridge without BRIDGE_HA=on, publishes", node)
}

// tell is note, with a line in the log when somebody else begins or ends to publish it.
func (w *Watch) tell(server, who string) {
	switch before := w.note(server, who); {
	case before == "" && who != "":
		w.log.Error("another bridge publishes this server too", zap.String("server", server), zap.String("reason", reason(who)))
	case before != "" && who == "":
		w.log.Info("this bridge alone publishes the server again", zap.String("server", server))
	}
}

// note notes who else publishes a server, "" for nobody, and returns who did before.
func (w *Watch) note(server, who string) (before string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before = w.with[server]
	if delete(w.with, server); who != "" {
		w.with[server] = who
	}
	return before
}

func reason(who string) string {
	return who + " its events too: each is stored twice. Give all of a prefix BRIDGE_HA=on, or have only one run"
}

// Doubled reports whether another bridge publishes the server too.
func (w *Watch) Doubled(server string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.with[server] != ""
}

// Reasons says of each server that another bridge publishes too who does, in a sentence, and of each whose
// events are not found.
func (w *Watch) Reasons() (all []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for server, who := range w.with {
		all = append(all, server+": "+reason(who))
	}
	for server := range w.unfound {
		all = append(all, server+": "+unfound("its subjects"))
	}
	slices.Sort(all)
	return all
}
