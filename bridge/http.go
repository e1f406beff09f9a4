package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/tap"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/web"
)

// serveHTTP serves /healthz, /readyz, /metrics and what package web shows until ctx ends.
func (b *Bridge) serveHTTP(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", b.readyz)
	mux.Handle("GET /metrics", b.scraped())
	access, err := b.access(&b.cfg, l.Addr())
	if err != nil {
		return err
	}
	page := web.New(web.Options{Node: b.cfg.Node, Snapshot: b.picture.Snapshot, Calls: b.picture.Calls, Tap: b.tapOf, Access: access})
	b.page.Store(&servedPage{Server: page, at: l.Addr()})
	var group sync.WaitGroup
	defer group.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group.Go(func() { page.Run(ctx) })
	mux.Handle("/", page)
	server := &http.Server{
		Handler: web.Guard(l.Addr(), mux), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute,
	}
	page.Bound(server)
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve HTTP: %w", err)
	}
	return nil
}

// maxScrapes bounds the answers of /metrics that are on their way: each holds all metrics, tens of
// megabytes of a thousand servers, until its client has read them.
const maxScrapes = 16

func (b *Bridge) scraped() http.Handler {
	return promhttp.HandlerFor(b.registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes})
}

// tapOf returns the events of a server, nil if this bridge reads none of that name.
func (b *Bridge) tapOf(name string) *tap.Tap {
	if s := named(b.servers.here(), name); s != nil && !s.rests() {
		return s.tap
	}
	return nil
}

// servedPage is the page, where it is served.
type servedPage struct {
	*web.Server
	at     net.Addr
	logged clock.Sum // of connections ended; the status goroutine's own
}

// logEnded logs how many connections had to go for others. It is for the status goroutine.
func (b *Bridge) logEnded(now time.Time) {
	page := b.page.Load()
	if page == nil {
		return
	}
	if n, _ := page.logged.Due(page.Ended(), now); n > 0 {
		b.log.Warn("http connections ended", zap.Uint64("count", n))
	}
}

// access is who may see what of the page that is served at addr. Off loopback there is none
// unless it is asked for, and without a password no caller's number is on it.
func (b *Bridge) access(cfg *config.Config, addr net.Addr) (a web.Access, err error) {
	password, err := cfg.ReadWebPassword()
	if err != nil {
		return a, err
	}
	a = web.Access{Password: string(password), Numbers: view.Numbers(cfg.WebNumbers.String())}
	loopback := web.IsLoopback(addr)
	switch {
	case cfg.Web == config.WebOff:
		a.Off = "There is no page here: BRIDGE_WEB is off."
	case cfg.Web == config.WebAuto && !loopback:
		a.Off = "There is no page here: it is on a loopback address only, unless BRIDGE_WEB=on asks for it. Set BRIDGE_WEB_PASSWORD too."
	case !loopback && password == "":
		a.Numbers = view.NumbersNone
	}
	return a, nil
}

// admit puts in force what of cfg says who may see the page. What cannot be read changes
// nothing.
func (b *Bridge) admit(cfg *config.Config) {
	page := b.page.Load()
	if page == nil {
		return
	}
	access, err := b.access(cfg, page.at)
	if err != nil {
		b.log.Error("the page's password cannot be read: the one before stays", zap.Error(err))
		return
	}
	page.Admit(access)
}

// readiness is the body of /readyz.
type readiness struct {
	Ready bool `json:"ready"`
	// Reasons are what is not as it should be, in the words of package view.
	Reasons []string `json:"reasons"`
	// NATS is the state of the connection that is worse off.
	NATS        string                       `json:"nats"`
	Connections map[string]string            `json:"connections"`
	Servers     map[string]map[string]string `json:"servers"`
	// Actions is "ok" for each endpoint whose requests arrive, or why they do not.
	Actions map[string]string `json:"actions"`
	Streams map[string]string `json:"streams"`
}

// readyz answers 200 if both connections to NATS and at least one server are up,
// with its sessions and its Actions: one dead Asterisk must not restart the bridge
// of all others.
func (b *Bridge) readyz(w http.ResponseWriter, _ *http.Request) {
	body := readiness{
		NATS: b.nats(), Connections: b.connections(), Actions: b.answerable(),
		Servers: make(map[string]map[string]string), Streams: make(map[string]string),
	}
	for _, s := range b.streams.States() {
		body.Streams[s.Name] = s.State
	}
	up := false
	for _, s := range b.servers.here() {
		sessions := make(map[string]string)
		all := arrives(body.Actions[s.cfg.Name])
		for _, session := range s.link.Status().Sessions {
			sessions[session.Name] = session.State.String()
			all = all && session.State == amiconn.StateUp
		}
		body.Servers[s.cfg.Name] = sessions
		up = up || all || s.rests()
	}
	body.Ready = up && b.events.Up() && b.control.Up() && !(b.ha != nil && b.ha.IsIdle())
	body.Reasons = b.reasons(&body)
	w.Header().Set("Content-Type", "application/json")
	if !body.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	// The client that went away is told nothing.
	_ = json.NewEncoder(w).Encode(body)
}

// reasons says what is not as it should be, each in a sentence: connections to NATS,
// servers, and requests and replies that do not arrive.
func (b *Bridge) reasons(body *readiness) []string {
	all := []string{}
	for _, name := range []string{"events", "control"} {
		if state := body.Connections[name]; state != nats.CONNECTED.String() {
			all = append(all, "NATS "+name+" is "+state)
		}
	}
	if b.ha != nil {
		all = append(all, b.ha.Reasons()...)
	}
	all = append(all, b.beside.Reasons()...)
	snap := b.picture.Snapshot(view.NumbersNone)
	for i := range snap.Servers {
		if s := &snap.Servers[i]; s.State.Ill() || s.State == view.StateUnknown {
			all = append(all, s.Name+": "+s.Word+": "+s.Why)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(body.Actions)) {
		if why := body.Actions[name]; !arrives(why) && b.control.Up() {
			all = append(all, "requests for "+name+" do not arrive: "+why)
		}
	}
	if why := b.replier.WhyDenied(time.Now()); why != nil {
		all = append(all, "replies do not reach their callers: "+why.Error())
	}
	return all
}

// connections are the states of both, as nats.go names them.
func (b *Bridge) connections() map[string]string {
	return map[string]string{"events": b.events.Get().Status().String(), "control": b.control.Get().Status().String()}
}

// nats is the state of the connection that is worse off.
func (b *Bridge) nats() string {
	if b.events.Up() {
		return b.control.Get().Status().String()
	}
	return b.events.Get().Status().String()
}

const (
	// answered stands for an endpoint whose requests arrive.
	answered = "ok"
	// elsewhere stands for one whose requests arrive at the bridges that lead its servers.
	elsewhere = "led by another bridge"
)

// arrives reports whether requests arrive where they are to.
func arrives(state string) bool { return state == answered || state == elsewhere }

// answerable says of each endpoint whether requests arrive, or why not.
func (b *Bridge) answerable() map[string]string {
	stand := b.control.Stand()
	all := make(map[string]string, len(b.actions.Endpoints()))
	for _, e := range b.actions.Endpoints() {
		switch why, known := stand[e.Subject()]; {
		case !b.control.Up():
			all[e.Name] = "the connection control is not up"
		case !known && e.IsElsewhere():
			all[e.Name] = elsewhere
		case !known:
			all[e.Name] = natsconn.ErrNotYet.Error()
		case why != nil:
			all[e.Name] = why.Error()
		default:
			all[e.Name] = answered
		}
	}
	return all
}
