package harness

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Relay is a way to a server that can be cut.
type Relay struct {
	Addr string
	mu   sync.Mutex
	open []net.Conn
	shut bool
}

// Cut closes every connection.
func (r *Relay) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.open {
		c.Close()
	}
	r.open = nil
}

// StartRelay runs a Relay to the server at target until the test ends.
func StartRelay(t *testing.T, target string) *Relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &Relay{Addr: listener.Addr().String()}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", target)
			if err != nil {
				in.Close()
				continue
			}
			if !r.takes(in, out) {
				in.Close()
				out.Close()
				continue
			}
			pipe := func(to, from net.Conn) {
				_, _ = io.Copy(to, from)
				to.Close()
				from.Close()
			}
			group.Go(func() { pipe(in, out) })
			group.Go(func() { pipe(out, in) })
		}
	})
	t.Cleanup(func() { listener.Close(); r.Cut(); group.Wait() })
	return r
}

// Close cuts the way and lets nobody through until it is opened again.
func (r *Relay) Close() (open func()) {
	r.mu.Lock()
	r.shut = true
	r.mu.Unlock()
	r.Cut()
	return sync.OnceFunc(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.shut = false
	})
}

// takes reports whether connections are let through, and notes these.
func (r *Relay) takes(conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.shut {
		r.open = append(r.open, conns...)
	}
	return !r.shut
}
