package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
)

// serveHTTP serves /healthz, /readyz and /metrics until ctx ends.
func (b *Bridge) serveHTTP(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", b.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(b.registry, promhttp.HandlerOpts{}))
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute,
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve HTTP: %w", err)
	}
	return nil
}

// readiness is the body of /readyz.
type readiness struct {
	Ready   bool                 `json:"ready"`
	NATS    string               `json:"nats"`
	Servers map[string]sessionUp `json:"servers"`
	Streams map[string]string    `json:"streams"`
}

// sessionUp is the state of each of a server's sessions.
type sessionUp map[string]string

// readyz answers 200 if NATS and at least one server are up: one dead Asterisk
// must not restart the bridge of all others.
func (b *Bridge) readyz(w http.ResponseWriter, _ *http.Request) {
	body := readiness{NATS: b.events.Status().String(), Servers: make(map[string]sessionUp)}
	body.Streams = make(map[string]string)
	for _, s := range b.streams.states() {
		body.Streams[s.Name] = s.State
	}
	up := false
	for _, s := range b.servers {
		sessions := make(sessionUp)
		all := true
		for _, session := range s.link.Status().Sessions {
			sessions[session.Name] = session.State.String()
			all = all && session.State == amiconn.StateUp
		}
		body.Servers[s.cfg.Name] = sessions
		up = up || all
	}
	body.Ready = up && b.events.IsConnected() && b.control.IsConnected()
	w.Header().Set("Content-Type", "application/json")
	if !body.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	// The client that went away is told nothing.
	_ = json.NewEncoder(w).Encode(body)
}
