package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// maxListeners bounds the pages that are open; the next is refused.
	maxListeners = 128
	// waiting bounds what waits for one of them. One whose queue is full is given up: its
	// browser comes again, and gets all anew.
	waiting = 16
	// writeTimeout is the most time that one write to a browser may take.
	writeTimeout = 5 * time.Second
	// beat is how often a page is rendered, and told that all is alive.
	beat = time.Second
	// quietFor is how long nothing may come before a sign of life does.
	quietFor = 5 * time.Second
	// slowest is the same where pages are large: each roomyBytes add a beat.
	slowest    = 5 * time.Second
	roomyBytes = 128 << 10
	// renderWork is how much of a beat all pages together may be rendered; who is not served
	// by then is first at the next.
	renderWork = beat / 2
	// oldest is from when on what was rendered is no page of now: its listeners hear nothing.
	oldest = 2 * slowest
)

// fragment is an element of a page, whole, by its id.
type fragment struct{ ID, HTML string }

// hub has the pages that are open, by what they show. Each is rendered once for all that
// show the same, while nobody is kept waiting.
type hub struct {
	render func(what) ([]fragment, error)
	clock  func() time.Time // what pages show
	began  time.Time

	mu    sync.Mutex // protects the following
	rooms map[what]*room
	open  int
}

// room is a page that is open somewhere.
type room struct {
	last      map[string]string // what each fragment was
	all       []fragment        // nil: it is rendered for the first time
	changed   []fragment        // since they were told last
	listeners map[*listener]bool
	made      time.Time // when all was begun to be rendered
	due       time.Time // when it is to be rendered again
}

// listener is one that is open.
type listener struct {
	queue chan []byte   // of capacity waiting
	gone  chan struct{} // closed: it is given up
}

// join returns a listener of a page, in whose queue the page is; nil if too many are open.
func (h *hub) join(page what) (*listener, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open >= maxListeners {
		return nil, nil
	}
	r := h.rooms[page]
	if r == nil {
		r = &room{last: make(map[string]string), listeners: make(map[*listener]bool)}
		if h.rooms == nil {
			h.rooms = make(map[what]*room)
		}
		h.rooms[page] = r
	}
	l := &listener{queue: make(chan []byte, waiting), gone: make(chan struct{})}
	r.listeners[l] = true
	h.open++
	if r.all == nil {
		if err := h.paint(page, r); err != nil {
			if r.listeners[l] {
				h.remove(page, r, l)
			}
			return nil, err
		}
	}
	select {
	case l.queue <- h.encode(r.all):
	default: // it was given up meanwhile
	}
	return l, nil
}

// unlocked renders a page. It needs mu, and lets it go meanwhile. A panic is of that page alone.
func (h *hub) unlocked(page what) (all []fragment, err error) {
	h.mu.Unlock()
	defer h.mu.Lock()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("render a page: %v", p)
		}
	}()
	return h.render(page)
}

// paint renders the page of r, as unlocked does.
func (h *hub) paint(page what, r *room) error {
	began := time.Now()
	all, err := h.unlocked(page)
	r.due = time.Now().Add(beat)
	if err != nil {
		return err
	}
	first, size := r.all == nil, 0
	for _, f := range all {
		if size += len(f.HTML); r.last[f.ID] != f.HTML {
			r.last[f.ID] = f.HTML
			if !first { // who joins has all
				r.changed = append(r.changed, f)
			}
		}
	}
	r.all, r.made, r.due = all, began, time.Now().Add(min(slowest, beat+beat*time.Duration(size/roomyBytes)))
	return nil
}

func (h *hub) leave(page what, l *listener) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.rooms[page]
	if r == nil || !r.listeners[l] {
		return // given up before
	}
	h.remove(page, r, l)
}

func (h *hub) remove(page what, r *room, l *listener) {
	delete(r.listeners, l)
	h.open--
	if len(r.listeners) == 0 {
		delete(h.rooms, page)
	}
}

// endAll gives up all that are open.
func (h *hub) endAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for page, r := range h.rooms {
		for l := range r.listeners {
			close(l.gone)
			h.remove(page, r, l)
		}
	}
}

// renew renders what is due, who has waited longest first, as far as there is time for it.
func (h *hub) renew() {
	began := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	var due []what
	for page, r := range h.rooms {
		if r.all != nil && !began.Before(r.due) {
			due = append(due, page)
		}
	}
	slices.SortFunc(due, func(a, b what) int { return h.rooms[a].due.Compare(h.rooms[b].due) })
	for _, page := range due {
		if r := h.rooms[page]; r != nil {
			_ = h.paint(page, r) // what cannot be rendered stays as it was, and is soon too old
		}
		if time.Since(began) >= renderWork {
			return
		}
	}
}

// tell renders what is due and tells all listeners. One that has not taken what was told
// before is given up. Nobody is told that a page is alive which is too old to be that of now.
func (h *hub) tell() {
	h.renew()
	h.mu.Lock()
	defer h.mu.Unlock()
	for page, r := range h.rooms {
		if time.Since(r.made) > oldest {
			continue
		}
		text := h.encode(r.changed)
		r.changed = nil
		for l := range r.listeners {
			select {
			case l.queue <- text:
			default:
				close(l.gone)
				h.remove(page, r, l)
			}
		}
	}
}

// encode is fragments as server-sent events, and as a sign of life the time, and for how long h has been: by that a page
// sees that what comes is late, whatever becomes of clocks.
func (h *hub) encode(all []fragment) []byte {
	var b bytes.Buffer
	for _, f := range all {
		data, err := json.Marshal(f) // in one line, as the protocol wants it
		if err != nil {
			continue // strings can be encoded
		}
		fmt.Fprintf(&b, "event: patch\ndata: %s\n\n", data)
	}
	fmt.Fprintf(&b, "event: beat\ndata: %s\n\n", h.stamp())
	return b.Bytes()
}

// stamp is the time now, and for how long h has been.
func (h *hub) stamp() string {
	return fmt.Sprint(h.clock().UnixMilli(), time.Since(h.began).Milliseconds())
}

// Run has the pages that are open live until ctx ends.
func (s *Server) Run(ctx context.Context) {
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { s.taps.run(ctx.Done()) })
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.live.tell()
		}
	}
}

// serveLive tells a page what changes on it, until it is closed or does not read.
func (s *Server) serveLive(w http.ResponseWriter, r *http.Request) {
	page := asked(r)
	l, err := s.live.join(page)
	switch {
	case err != nil:
		http.Error(w, "The page cannot be made: report it.", http.StatusInternalServerError)
		return
	case l == nil:
		w.Header().Set("Retry-After", "10")
		http.Error(w, fmt.Sprintf("%d pages are open: close one.", maxListeners), http.StatusServiceUnavailable)
		return
	}
	defer s.live.leave(page, l)
	if !s.access.Load().lets(r) { // Admit came between
		return
	}
	s.stream(w, r, l)
}

// stream answers with what comes to l, until r is over or l given up.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, l *listener) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy such as nginx would keep it until it is much
	if r.Method == http.MethodHead {
		return // of whom nothing that is written would ever fail
	}
	out := http.NewResponseController(w)
	text := append([]byte("retry: 1000\n\n"), still(s.live.stamp())...)
	quiet := time.NewTicker(quietFor)
	defer quiet.Stop()
	for {
		_ = out.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := w.Write(text); err != nil {
			return
		}
		if err := out.Flush(); err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-l.gone:
			return
		case text = <-l.queue:
		case <-quiet.C:
			text = still(s.live.stamp())
		}
	}
}

// still says that all is alive, and when that was said.
func still(stamp string) []byte { return fmt.Appendf(nil, "event: still\ndata: %s\n\n", stamp) }
