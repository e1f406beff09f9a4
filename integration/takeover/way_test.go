//go:build unix

package takeover

import (
	"net"
	"sync"
	"testing"
)

// way is a connection's way to NATS that can take everything and bring nothing, as a network
// does that has lost its other half: nobody gets an error.
type way struct {
	addr string

	mu    sync.Mutex
	moves *sync.Cond
	stuck bool
	ended bool
	open  []net.Conn
}

func newWay(t *testing.T, target string) *way {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &way{addr: listener.Addr().String()}
	w.moves = sync.NewCond(&w.mu)
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
			w.mu.Lock()
			w.open = append(w.open, in, out)
			w.mu.Unlock()
			group.Go(func() { w.carry(in, out) })
			group.Go(func() { w.carry(out, in) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		w.mu.Lock()
		w.ended = true
		for _, c := range w.open {
			c.Close()
		}
		w.mu.Unlock()
		w.moves.Broadcast()
		group.Wait()
	})
	return w
}

// carry carries what from brings to to, while nothing is stuck.
func (w *way) carry(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	data := make([]byte, 32<<10)
	for {
		n, err := from.Read(data)
		w.mu.Lock()
		for w.stuck && !w.ended {
			w.moves.Wait()
		}
		w.mu.Unlock()
		if n > 0 {
			if _, err := to.Write(data[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// stick has nothing arrive until what it returns is called.
func (w *way) stick() (release func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stuck = true
	return sync.OnceFunc(func() {
		w.mu.Lock()
		w.stuck = false
		w.mu.Unlock()
		w.moves.Broadcast()
	})
}
