//go:build unix

package ha

import (
	"bytes"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The legs of a way, by what the client says first.
const (
	everyLeg    = ""
	eventsLeg   = `/events"` // in the CONNECT of a connection to NATS
	controlLeg  = `/control"`
	actionsLeg  = "Events: off" // in the Login of a session
	maxSaid     = 4 << 10
	waySize     = 32 << 10
	eventsBegin = "Event: UserEvent\r\n"
)

// way is a bridge's way to servers, of which it takes the first that lets it in. Its legs,
// each a connection, can be closed or be silent, one way or both.
type way struct {
	addr    string
	targets []string
	mixed   bool // events of different threads change places
	records bool // what the server says is kept
	group   sync.WaitGroup

	mu     sync.Mutex // protects the following
	legs   map[*leg]bool
	last   *leg          // with events, of which something was said
	shut   []string      // legs that are closed, and stay so
	silent []silence     // legs on which nothing passes
	change chan struct{} // closed when these have changed
	ended  bool
}

type silence struct {
	leg    string
	upward bool // only what the bridge says
}

// leg is a connection of a way.
type leg struct {
	in, out net.Conn
	said    []byte // by the client, at first
	heard   []byte // from the server, if that is kept
}

func newWay(t *testing.T, targets ...string) *way {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &way{addr: listener.Addr().String(), targets: targets, legs: map[*leg]bool{}, change: make(chan struct{})}
	w.group.Go(func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			w.take(in)
		}
	})
	t.Cleanup(func() {
		listener.Close()
		w.set(func() { w.ended = true })
		w.cut(everyLeg)
		w.group.Wait()
	})
	return w
}

// take lets a connection through.
func (w *way) take(in net.Conn) {
	var out net.Conn
	for _, target := range w.targets {
		var err error
		if out, err = net.Dial("tcp", target); err == nil {
			break
		}
	}
	l := &leg{in: in, out: out}
	if out == nil || !w.keep(l) {
		l.close()
		return
	}
	w.group.Go(func() { w.pipe(l, true) })
	w.group.Go(func() { w.pipe(l, false) })
}

func (w *way) keep(l *leg) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.legs[l] = true
	return !w.ended && !slices.Contains(w.shut, everyLeg)
}

func (l *leg) close() {
	for _, c := range []net.Conn{l.in, l.out} {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
			tcp.Close()
		}
	}
}

// pipe passes on what one side says, until either has gone.
func (w *way) pipe(l *leg, upward bool) {
	defer func() {
		l.close()
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.legs, l)
	}()
	from, to := l.out, l.in
	if upward {
		from, to = l.in, l.out
	}
	buf := make([]byte, waySize)
	var m mixer
	for {
		n, err := from.Read(buf)
		data := buf[:n]
		if w.mixed && !upward {
			data = m.mix(data)
		}
		if !w.pass(l, upward, buf[:n]) {
			return
		}
		if w.records && !upward {
			w.keepHeard(l, buf[:n])
		}
		if _, errTo := to.Write(data); err != nil || errTo != nil {
			return
		}
	}
}

// pass waits while nothing may pass. It reports whether the leg stays open.
func (w *way) pass(l *leg, upward bool, data []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if upward && len(l.said) < maxSaid {
		l.said = append(l.said, data...)
	}
	for {
		switch {
		case w.ended || slices.ContainsFunc(w.shut, l.is):
			return false
		case !slices.ContainsFunc(w.silent, func(s silence) bool { return l.is(s.leg) && (upward || !s.upward) }):
			return true
		}
		change := w.change
		w.mu.Unlock()
		<-change
		w.mu.Lock()
	}
}

func (l *leg) is(name string) bool { return strings.Contains(string(l.said), name) }

// set changes what passes.
func (w *way) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
	close(w.change)
	w.change = make(chan struct{})
}

// cut closes those legs.
func (w *way) cut(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for l := range w.legs {
		if l.is(name) {
			l.close()
		}
	}
}

// close closes those legs until they may be opened again.
func (w *way) close(name string) (open func()) {
	w.set(func() { w.shut = append(w.shut, name) })
	w.cut(name)
	return func() { w.set(func() { w.shut = nil }) }
}

// silence has nothing pass on those legs, or nothing that the bridge says, which fills the
// buffers between.
func (w *way) silence(name string, upward bool) (release func()) {
	w.set(func() { w.silent = append(w.silent, silence{name, upward}) })
	return func() { w.set(func() { w.silent = nil }) }
}

// mixer has a session get the events of an Asterisk in an order of its own, in which those
// of a thread are in order: as Asterisk 22.11 does it.
type mixer struct{ part []byte }

func (m *mixer) mix(data []byte) (out []byte) {
	m.part = append(m.part, data...)
	var events [][]byte
	for {
		i := bytes.Index(m.part, []byte("\r\n\r\n"))
		if i < 0 {
			break
		}
		frame := m.part[:i+4]
		m.part = m.part[i+4:]
		if bytes.HasPrefix(frame, []byte(eventsBegin)) {
			events = append(events, frame)
			continue
		}
		out = append(append(out, shuffled(events)...), frame...)
		events = nil
	}
	out = append(out, shuffled(events)...)
	if len(m.part) > 0 && !bytes.Contains(m.part, []byte(":")) { // the banner has no end
		out, m.part = append(out, m.part...), nil
	}
	m.part = bytes.Clone(m.part)
	return out
}

// shuffled has neighbours change places that are of different threads.
func shuffled(events [][]byte) []byte {
	for range 2 {
		for i := 1; i < len(events); i++ {
			if rand.IntN(3) == 0 && threadOf(events[i-1]) != threadOf(events[i]) {
				events[i-1], events[i] = events[i], events[i-1]
			}
		}
	}
	return bytes.Join(events, nil)
}

func threadOf(frame []byte) string {
	_, rest, _ := bytes.Cut(frame, []byte("\r\nThread: "))
	thread, _, _ := bytes.Cut(rest, []byte("\r"))
	return string(thread)
}
