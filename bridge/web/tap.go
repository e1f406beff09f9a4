package web

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/redact"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/tap"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/telling"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

const (
	// maxTaps bounds the pages that show events; the next is refused. Each has a queue of
	// waiting: where that is full the page misses events, and is told how many.
	maxTaps = 128
	// tapEvery is how often events are taken and handed to those pages.
	tapEvery = 250 * time.Millisecond
	// tapWork is the most time that filtering for all of them may take of it; who is not
	// served by then misses the rest.
	tapWork = tapEvery / 10
	// tapLines bounds the events that a page is handed at once: nobody reads more.
	tapLines = 100
	// longestSays bounds what is said of an event, in bytes.
	longestSays = 600
)

// tapping is what a page shows of the events of a server.
type tapping struct {
	server, events, grep string
	numbers              view.Numbers
}

// tapLine is an event as a page shows it.
type tapLine struct {
	At, Name, Says string
	Gap            bool
}

// taps has the pages that show events, those that show the same together.
type taps struct {
	source func(server string) *tap.Tap
	clock  func() time.Time
	stamp  func() string // of now

	mu    sync.Mutex // protects the following
	rooms map[tapping]*tapRoom
	open  int
	turn  int // of the room that is served first
}

// tapRoom is what some pages show.
type tapRoom struct {
	sieve
	from      *tap.Tap // that it has opened; nil if there is no such server
	listeners map[*tapListener]bool
}

// tapListener is a page.
type tapListener struct {
	*listener
	missed uint64 // and not told yet
}

// join returns a listener; nil if too many are open.
func (t *taps) join(what tapping, f sieve) *tapListener {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open >= maxTaps {
		return nil
	}
	if t.rooms == nil {
		t.rooms = make(map[tapping]*tapRoom)
	}
	r := t.rooms[what]
	if r == nil {
		r = &tapRoom{sieve: f, listeners: make(map[*tapListener]bool)}
		r.follow(t.source(what.server))
		t.rooms[what] = r
	}
	l := &tapListener{listener: &listener{queue: make(chan []byte, waiting), gone: make(chan struct{})}}
	r.listeners[l] = true
	t.open++
	return l
}

// follow has r be of the events of from, which is another one when a server went and came back.
func (r *tapRoom) follow(from *tap.Tap) {
	if r.from == from {
		return
	}
	if from != nil {
		from.Open()
	}
	if r.from != nil {
		r.from.Close()
	}
	r.from = from
}

func (t *taps) leave(what tapping, l *tapListener) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.rooms[what]; r != nil && r.listeners[l] {
		t.remove(what, r, l)
	}
}

func (t *taps) remove(what tapping, r *tapRoom, l *tapListener) {
	delete(r.listeners, l)
	t.open--
	if len(r.listeners) == 0 {
		r.follow(nil)
		delete(t.rooms, what)
	}
}

// endAll gives up all pages.
func (t *taps) endAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for what, r := range t.rooms {
		for l := range r.listeners {
			close(l.gone)
			t.remove(what, r, l)
		}
	}
}

// tapEvent is an event that was read once for all pages.
type tapEvent struct {
	tap.Event
	name   string
	fields map[view.Numbers][]telling.Field
}

// tell hands on what has come, to those first whose turn it is.
func (t *taps) tell() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.rooms) == 0 {
		return
	}
	until := time.Now().Add(tapWork)
	batches := make(map[*tap.Tap]*batch)
	all := slices.SortedFunc(maps.Keys(t.rooms), func(a, b tapping) int {
		return strings.Compare(a.server+"\x00"+a.events+"\x00"+a.grep, b.server+"\x00"+b.events+"\x00"+b.grep)
	})
	t.turn++
	for i := range all {
		what := all[(t.turn+i)%len(all)]
		r := t.rooms[what]
		r.follow(t.source(what.server))
		b := batches[r.from]
		if b == nil {
			b = readBatch(r.from)
			batches[r.from] = b
		}
		lines, missed := r.look(b, what.numbers, t.clock().Location(), until)
		text := encodeLines(lines, t.stamp)
		for l := range r.listeners {
			l.offer(text, uint64(len(lines)), missed)
		}
	}
}

// batch is what was taken of a Tap.
type batch struct {
	events []*tapEvent
	missed uint64
}

func readBatch(from *tap.Tap) *batch {
	b := new(batch)
	if from == nil {
		return b
	}
	taken := from.Take()
	if taken == nil {
		return b
	}
	b.missed = taken.Missed()
	for e := range taken.All() {
		b.events = append(b.events, &tapEvent{Event: e, name: e.Subject[strings.LastIndexByte(e.Subject, '.')+1:]})
	}
	return b
}

// look returns what of b the pages of r show, and how many events they miss.
func (r *tapRoom) look(b *batch, numbers view.Numbers, zone *time.Location, until time.Time) (lines []tapLine, missed uint64) {
	missed = b.missed
	for i, e := range b.events {
		if time.Now().After(until) { // one alone may take long
			missed += uint64(len(b.events) - i)
			break
		}
		if !r.names(e.name) {
			continue
		}
		fields := e.read(numbers)
		if e.name != "Gap" && !telling.Matches(r.grep, e.Subject, fields, nil) {
			continue
		}
		lines = append(lines, e.line(fields, zone))
	}
	if n := len(lines) - tapLines; n > 0 {
		missed += uint64(n)
		lines = lines[n:]
	}
	return lines, missed
}

// read returns the fields of e, with as much of numbers as may be shown: what is not shown is
// not found either. A Gap is the bridge's own, and has none.
func (e *tapEvent) read(numbers view.Numbers) []telling.Field {
	if e.name == "Gap" {
		numbers = view.NumbersFull
	}
	fields, known := e.fields[numbers]
	if !known {
		fields = telling.Fields(e.Payload, func(text string) string { return numbers.ShowIn(view.Clean(text)) })
		for i := range fields {
			if numbers != view.NumbersFull {
				fields[i].Value = withoutSecrets(e.name, fields[i])
			}
		}
		if e.fields == nil {
			e.fields = make(map[view.Numbers][]telling.Field)
		}
		e.fields[numbers] = fields
	}
	return fields
}

// withoutSecrets is what may be shown of a header of an event. What is dialled begins behind the technology:
// user:password@host.
func withoutSecrets(event string, f telling.Field) string {
	switch {
	case isPrivate(event, f.Name):
		return "…"
	case !strings.Contains(f.Value, "@"):
		return f.Value
	}
	shapes := redact.New(redact.Options{})
	if strings.HasSuffix(strings.ToLower(f.Name), "dialstring") {
		return strings.TrimPrefix(shapes.Value("/"+f.Value), "/")
	}
	return shapes.Value(f.Value)
}

// isPrivate reports whether what a header of an event has may be anything that a dialplan knows,
// or what somebody types: variables, arguments of applications and of AGI, tones, secrets.
func isPrivate(event, header string) bool {
	switch header {
	case "Value":
		return event == "VarSet"
	case "Variable": // of eventwhencalled, to 11
		return event != "VarSet"
	case "Result":
		return event == "AsyncAGIExec"
	case "Digit":
		return strings.HasPrefix(event, "DTMF")
	case "AppData", "Data", "LastData", "Command", "Env", "Handler":
		return true
	}
	return strings.Contains(header, "ChanVariable") || redact.Name(header)
}

func (e *tapEvent) line(fields []telling.Field, zone *time.Location) tapLine {
	line := tapLine{At: time.Unix(0, e.At).In(zone).Format("15:04:05.000"), Name: view.Clean(e.name), Gap: e.name == "Gap"}
	var says strings.Builder
	for _, f := range telling.Shown(e.name, fields) {
		if f.Value == "" {
			continue
		}
		value := f.Value
		if strings.ContainsAny(value, " =") {
			value = fmt.Sprintf("%q", value)
		}
		fmt.Fprintf(&says, "%s=%s ", f.Name, value)
		if says.Len() > longestSays {
			break
		}
	}
	line.Says = strings.TrimSpace(says.String())
	if len(line.Says) > longestSays {
		line.Says = strings.ToValidUTF8(line.Says[:longestSays], "") + "…"
	}
	return line
}

// offer hands l text, which is n events, and says before it how many others it has missed. Where its
// queue is full it misses these too.
func (l *tapListener) offer(text []byte, n, missed uint64) {
	if l.missed += missed; l.missed > 0 {
		text = append(fmt.Appendf(nil, "event: missed\ndata: %d\n\n", l.missed), text...)
	}
	if len(text) == 0 {
		return
	}
	select {
	case l.queue <- text:
		l.missed = 0
	default:
		l.missed += n
	}
}

// encodeLines is lines as a server-sent event, behind one that says when they were sent; nothing if there are none.
func encodeLines(lines []tapLine, stamp func() string) []byte {
	if len(lines) == 0 {
		return nil
	}
	data, err := json.Marshal(lines)
	if err != nil {
		return nil // strings can be encoded
	}
	return fmt.Appendf(still(stamp()), "event: lines\ndata: %s\n\n", data)
}

// run hands on events until done is closed.
func (t *taps) run(done <-chan struct{}) {
	ticker := time.NewTicker(tapEvery)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
			t.tell()
		}
	}
}

// serveTap shows the events of a server as they come, until it is closed or does not read.
func (s *Server) serveTap(w http.ResponseWriter, r *http.Request) {
	page, access := asked(r), s.access.Load()
	f, err := newSieve(page.events, page.grep)
	switch {
	case access.Numbers != view.NumbersFull && access.Numbers != view.NumbersLast4:
		http.Error(w, noTap, http.StatusForbidden)
		return
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	case s.taps.source(page.server) == nil:
		http.Error(w, noServer, http.StatusNotFound)
		return
	}
	what := tapping{page.server, page.events, page.grep, access.Numbers}
	l := s.taps.join(what, f)
	if l == nil {
		w.Header().Set("Retry-After", "10")
		http.Error(w, fmt.Sprintf("%d pages show events: close one.", maxTaps), http.StatusServiceUnavailable)
		return
	}
	defer s.taps.leave(what, l)
	if s.access.Load() != access { // Admit came between
		return
	}
	s.stream(w, r, l.listener)
}

// noServer says of which server there are no events here: one that others read, where bridges share them, sends none to this one.
const noServer = "This bridge reads no server of that name."

// noTap says why there are no events to see.
const noTap = "Events hold callers' numbers, and this page shows none (BRIDGE_WEB_NUMBERS; off a loopback address BRIDGE_WEB_PASSWORD too)."
