package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/tap"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// Options are what a Server needs.
type Options struct {
	// Node is the name of the bridge.
	Node string
	// Snapshot returns how all is now, Calls the calls that are up at a server and how many
	// there are. They may be called from any goroutine, and nobody changes what they return.
	Snapshot func(view.Numbers) *view.Snapshot
	Calls    func(server string, numbers view.Numbers) ([]view.Call, int)
	// Tap returns the events of a server of this bridge, nil if it has none of that name. It may
	// be nil.
	Tap func(server string) *tap.Tap
	// Clock is that of Snapshot; time.Now if nil.
	Clock func() time.Time
	Access
}

// Access is who may see what.
type Access struct {
	// Off says why there is no page; empty if there is one.
	Off string
	// Password is asked for before the page is shown, of any user, unless it is empty.
	Password string
	// Numbers is how much of callers' numbers the page shows.
	Numbers view.Numbers
}

// Server answers browsers. It implements http.Handler.
type Server struct {
	opts   Options
	access atomic.Pointer[Access] // in force
	mux    *http.ServeMux
	pages  *template.Template
	live   hub
	taps   taps
	report report
	conns  conns
	// loading has a place for each page that is on its way to a browser.
	loading chan struct{}
}

//go:embed html/*.html
var pages embed.FS

//go:embed asset
var assets embed.FS

// New returns a Server; Run has its pages live.
func New(o Options) *Server {
	s := &Server{opts: o, mux: http.NewServeMux(), loading: make(chan struct{}, maxListeners), pages: template.Must(template.New("").ParseFS(pages, "html/*.html"))}
	s.access.Store(&o.Access)
	s.live.render, s.live.clock, s.live.began = s.fragments, time.Now, time.Now()
	if o.Clock != nil {
		s.live.clock = o.Clock
	}
	if o.Tap == nil {
		o.Tap = func(string) *tap.Tap { return nil }
	}
	s.taps.source, s.taps.clock, s.taps.stamp = o.Tap, s.live.clock, s.live.stamp
	s.mux.HandleFunc("GET /status.json", s.status)
	s.mux.HandleFunc("GET /{$}", s.guarded(s.page))
	s.mux.HandleFunc("GET /live", s.guarded(s.serveLive))
	s.mux.HandleFunc("GET /tap", s.guarded(s.serveTap))
	s.mux.HandleFunc("GET /page.js", s.guarded(asset("text/javascript; charset=utf-8", "asset/page.js")))
	s.mux.HandleFunc("GET /page.css", s.guarded(asset("text/css; charset=utf-8", "asset/base.css", "asset/servers.css", "asset/floor.css")))
	return s
}

// Admit puts another Access in force. Pages that are open have to ask anew, where it differs.
func (s *Server) Admit(a Access) {
	if *s.access.Load() != a {
		s.access.Store(&a)
		s.live.endAll()
		s.taps.endAll()
	}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	s.mux.ServeHTTP(w, r)
}

// policy lets a page load what is from here, and nothing else; no other page frames it.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guarded lets next answer if there is a page, and whoever asks may see it.
func (s *Server) guarded(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		access := s.access.Load()
		switch {
		case access.Off != "":
			http.Error(w, access.Off, http.StatusNotFound)
		case !access.lets(r):
			w.Header().Set("WWW-Authenticate", `Basic realm="ami-nats-bridge", charset="UTF-8"`)
			http.Error(w, "The page wants its password, BRIDGE_WEB_PASSWORD; any user will do.", http.StatusUnauthorized)
		default:
			next(w, r)
		}
	}
}

// lets reports whether whoever sends r may see the page.
func (a *Access) lets(r *http.Request) bool {
	return a.Off == "" && (a.Password == "" || authorized(r, a.Password))
}

// asset answers with files that are embedded, one behind the other.
func asset(contentType string, names ...string) http.HandlerFunc {
	var text bytes.Buffer
	for _, name := range names {
		part, err := assets.ReadFile(name)
		if err != nil {
			panic(err) // the program is not whole; every test sees it
		}
		text.Write(part)
	}
	made := time.Now()
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", "no-cache") // another version of the bridge has others
		http.ServeContent(w, r, "", made, bytes.NewReader(text.Bytes()))
	}
}

// what says which page it is.
type what struct{ view, server, sort, find, events, grep string }

// longestFind bounds what is looked for, longestSieve each of what is asked of events.
const (
	longestFind  = 64
	longestSieve = 256
)

// asked is the page that r asks for. What it says of nothing that there is, is left out.
func asked(r *http.Request) what {
	q := r.URL.Query()
	w := what{view: q.Get("view"), server: q.Get("server"), sort: q.Get("sort"), find: strings.TrimSpace(view.Clean(q.Get("find")))}
	if len(w.find) > longestFind {
		w.find = strings.ToValidUTF8(w.find[:longestFind], "")
	}
	switch {
	case len(w.server) > 32:
		w.server = ""
	case w.view == viewEvents || r.URL.Path == "/tap":
		events, grep := view.Clean(q.Get("events")), view.Clean(q.Get("grep"))
		if len(events) > longestSieve || len(grep) > longestSieve {
			events, grep = "", "" // no form sends it
		}
		return what{view: viewEvents, server: w.server, events: strings.TrimSpace(events), grep: grep}
	}
	switch {
	case w.server != "":
		return what{view: viewServer, server: w.server}
	case w.view == viewFloor || w.view == viewWall || w.view == viewCalls:
		return what{view: w.view}
	}
	if _, ok := sorts[w.sort]; !ok {
		w.sort = ""
	}
	return what{view: viewServers, sort: w.sort, find: w.find}
}

// page answers with a whole page.
func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	select {
	case s.loading <- struct{}{}:
		defer func() { <-s.loading }()
	default:
		w.Header().Set("Retry-After", "10")
		http.Error(w, fmt.Sprintf("%d pages are on their way: try again.", maxListeners), http.StatusServiceUnavailable)
		return
	}
	var body bytes.Buffer
	if err := s.renderPage(&body, asked(r)); err != nil {
		http.Error(w, "The page cannot be made: report it.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(body.Bytes()) // the client that went away is told nothing
}
