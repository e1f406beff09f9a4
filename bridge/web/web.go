package web

import (
	"encoding/json"
	"net/http"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// Options are what a Server needs.
type Options struct {
	// Snapshot returns how all is now. It may be called from any goroutine, and nobody
	// changes what it returns.
	Snapshot func(view.Numbers) *view.Snapshot
}

// Server answers browsers. It implements http.Handler.
type Server struct {
	opts Options
	mux  *http.ServeMux
}

// New returns a Server.
func New(o Options) *Server {
	s := &Server{opts: o, mux: http.NewServeMux()}
	s.mux.HandleFunc("GET /status.json", s.status)
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// status answers with all there is to see, without callers' numbers.
func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(s.opts.Snapshot(view.NumbersNone)) // the client that went away is told nothing
}
