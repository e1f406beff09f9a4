package web

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// largeReport is from how many bytes on an answer is given to all who ask within a beat, whatever has
// happened since: who reads slowly holds it for as long as a write may take.
const largeReport = 1 << 20

// report is how all is, as JSON. It is encoded once for all who ask at about the same time.
type report struct {
	mu   sync.Mutex // protects the following; held while it is encoded
	of   *view.Snapshot
	text []byte // never changed once it is made
	made time.Time
}

// at returns it as snapshot has it. Its time says when that was.
func (r *report) at(snapshot func(view.Numbers) *view.Snapshot) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.text) >= largeReport && time.Since(r.made) < beat {
		return r.text
	}
	snap := snapshot(view.NumbersNone)
	if snap == r.of {
		return r.text
	}
	text, err := json.MarshalIndent(snap, "", "  ")
	if err != nil {
		return nil // strings and numbers can be encoded
	}
	r.of, r.text, r.made = snap, append(text, '\n'), time.Now()
	return r.text
}

// status answers with all there is to see, without callers' numbers.
func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	text := s.report.at(s.opts.Snapshot)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	_, _ = w.Write(text) // the client that went away is told nothing
}
