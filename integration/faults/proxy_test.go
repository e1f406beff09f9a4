//go:build unix

package faults

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
)

// proxy is a way to a server on which things go wrong.
type proxy struct {
	addr     string
	target   string
	listener net.Listener
	group    sync.WaitGroup

	mu      sync.Mutex // protects the following
	open    map[net.Conn]bool
	refuse  bool          // new connections
	blocked bool          // nothing passes either way
	mute    bool          // nothing of the server's passes, and never will
	delay   time.Duration // of the server's bytes
	closed  bool
	thaw    chan struct{} // closed when blocked ends
}

func startProxy(t *testing.T, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: listener.Addr().String(), target: target, listener: listener, open: map[net.Conn]bool{}}
	p.group.Go(p.serve)
	t.Cleanup(func() {
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		listener.Close()
		p.block(false)
		p.cut()
		p.group.Wait()
	})
	return p
}

func (p *proxy) serve() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		refuse := p.refuse
		p.mu.Unlock()
		out, err := net.Dial("tcp", p.target)
		if err != nil || refuse || !p.keep(in, out) {
			abort(in)
			if out != nil {
				abort(out)
			}
			continue
		}
		p.group.Go(func() { p.pipe(out, in, false) })
		p.group.Go(func() { p.pipe(in, out, true) })
	}
}

// keep notes connections, to be cut, unless all has ended.
func (p *proxy) keep(both ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range both {
		p.open[c] = true
	}
	return !p.closed
}

// chunk is what was read and when.
type chunk struct {
	data []byte
	at   time.Time
}

// pipe copies until one of the two has gone. The server's bytes may be late, or
// lost; then nothing that comes behind them may pass on the same connection.
func (p *proxy) pipe(to, from net.Conn, server bool) {
	chunks := make(chan chunk, 4096) // when it is full the sender is not read
	p.group.Go(func() {
		defer close(chunks)
		for {
			buf := make([]byte, 32<<10)
			n, err := from.Read(buf)
			if n > 0 {
				chunks <- chunk{buf[:n], time.Now()}
			}
			if err != nil {
				return
			}
		}
	})
	lost, broken := false, false
	for c := range chunks {
		mute, delay := p.pass()
		lost = lost || mute && server
		if lost || broken {
			continue
		}
		if server && delay > 0 {
			<-time.After(time.Until(c.at.Add(delay)))
		}
		if _, err := to.Write(c.data); err != nil {
			broken = true
			abort(from)
		}
	}
	abort(to)
	abort(from)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, to)
	delete(p.open, from)
}

// pass waits while nothing passes and returns what becomes of the server's
// bytes.
func (p *proxy) pass() (mute bool, delay time.Duration) {
	p.mu.Lock()
	for p.blocked && !p.closed {
		thaw := p.thaw
		p.mu.Unlock()
		<-thaw
		p.mu.Lock()
	}
	defer p.mu.Unlock()
	return p.mute, p.delay
}

// block begins or ends a time in which nothing passes.
func (p *proxy) block(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if on == p.blocked {
		return
	}
	p.blocked = on
	if on {
		p.thaw = make(chan struct{})
		return
	}
	close(p.thaw)
}

// set changes what becomes of bytes and connections.
func (p *proxy) set(change func(p *proxy)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

// cut resets every connection.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		abort(c)
	}
}

// abort closes with a reset.
func abort(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.Close()
}

// The faults of the way between the bridge and a single nats-server.

func throughProxy(r *rig) {
	r.way = startProxy(r.t, fmt.Sprintf("127.0.0.1:%d", r.nodes[0].port))
}

func blackholed(r *rig) {
	r.under(func() {
		r.way.block(true)
		pause(r.t, r.length)
		r.way.block(false)
	})
}

func reset(r *rig) {
	r.under(func() {
		r.way.set(func(p *proxy) { p.refuse = true })
		r.way.cut()
		pause(r.t, r.length)
		r.way.set(func(p *proxy) { p.refuse = false })
	})
}

func flapping(r *rig) {
	r.under(func() {
		for end := time.Now().Add(r.length); time.Now().Before(end); {
			r.way.cut()
			pause(r.t, 300*time.Millisecond)
		}
	})
}

// slow delays what the server says.
func slow(by time.Duration) func(r *rig) {
	return func(r *rig) {
		r.under(func() {
			r.way.set(func(p *proxy) { p.delay = by })
			pause(r.t, r.length)
			r.way.set(func(p *proxy) { p.delay = 0 })
		})
	}
}

// unheardOf: what the server says is lost, on each connection for good.
func unheardOf(r *rig) {
	r.under(func() {
		r.way.set(func(p *proxy) { p.mute = true })
		pause(r.t, r.length)
		r.way.set(func(p *proxy) { p.mute = false })
		r.way.cut()
	})
}

// forgotten: as unheardOf, until the stream has forgotten the ids of what it
// stored. To have that within seconds the bridge is told that the stream keeps
// events, and so their ids, for no longer than twice what it waits for an
// acknowledgement, and the stream keeps the ids for less.
func forgotten(r *rig) {
	cfg := r.stream().CachedInfo().Config
	cfg.MaxAge, cfg.Duplicates = 0, 500*time.Millisecond
	if _, err := r.js.UpdateStream(r.t.Context(), cfg); err != nil {
		r.t.Fatal(err)
	}
	unheardOf(r)
}

func briefWindow(c *config.Config) { c.Stream.MaxAge = 2 * ackWait }

// ackWait is how long the bridge waits for an acknowledgement.
const ackWait = 5 * time.Second
