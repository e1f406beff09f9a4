package amisim

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
)

const (
	// defaultBuffer is what each direction of a connection holds before its
	// writer has to wait.
	defaultBuffer = 64 << 10
	// backlog is how many connections a listener has not accepted yet; a dial
	// over it waits, like one whose SYN is dropped.
	backlog = 128
)

// Network is a network in memory. Everything on it blocks durably in the sense
// of testing/synctest, also where a deadline is set.
type Network struct {
	// Buffer is how many bytes each direction of a connection holds before its
	// writer waits: 64 KiB if 0. Set it before the first use.
	Buffer int

	mu        sync.Mutex // protects following
	listeners map[string]*listener
}

// NewNetwork returns a Network where nobody listens yet.
func NewNetwork() *Network { return &Network{listeners: make(map[string]*listener)} }

// Listen listens on addr, any text that nobody listens on yet. A listener that
// is never asked to Accept makes an address where a client is connected and
// gets nothing.
func (n *Network) Listen(addr string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[addr] != nil {
		return nil, &net.OpError{Op: "listen", Net: "sim", Addr: address(addr),
			Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
	}
	l := &listener{
		network: n, addr: address(addr),
		conns: make(chan net.Conn, backlog),
		done:  make(chan struct{}),
	}
	n.listeners[addr] = l
	return l, nil
}

// DialContext connects to addr. It is refused where nobody listens.
func (n *Network) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	n.mu.Lock()
	l, size := n.listeners[addr], n.Buffer
	n.mu.Unlock()
	failed := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: address(addr), Err: err}
	}
	if l == nil {
		return failed(os.NewSyscallError("connect", syscall.ECONNREFUSED))
	}
	if err := ctx.Err(); err != nil {
		return failed(err)
	}
	if size <= 0 {
		size = defaultBuffer
	}
	client, server := newPipe(address("client"), l.addr, size)
	select {
	case <-l.done:
		return failed(os.NewSyscallError("connect", syscall.ECONNREFUSED))
	case <-ctx.Done():
		return failed(ctx.Err())
	case l.conns <- server:
		return client, nil
	}
}

// Blackhole makes addr an address where a dial waits until its context ends.
func (n *Network) Blackhole(addr string) error {
	l, err := n.Listen(addr)
	if err != nil {
		return fmt.Errorf("blackhole %s: %w", addr, err)
	}
	l.(*listener).conns = nil
	return nil
}

type address string

func (a address) Network() string { return "sim" }
func (a address) String() string  { return string(a) }

type listener struct {
	network *Network
	addr    address
	conns   chan net.Conn
	done    chan struct{}
	once    sync.Once
}

// Accept waits for the next connection.
func (l *listener) Accept() (net.Conn, error) {
	closed := &net.OpError{Op: "accept", Net: "sim", Addr: l.addr, Err: net.ErrClosed}
	select {
	case <-l.done:
		return nil, closed
	default:
	}
	select {
	case <-l.done:
		return nil, closed
	case conn := <-l.conns:
		return conn, nil
	}
}

// Close frees the address, and resets what was not accepted.
func (l *listener) Close() error {
	l.once.Do(func() {
		l.network.mu.Lock()
		delete(l.network.listeners, string(l.addr))
		l.network.mu.Unlock()
		close(l.done)
		for {
			select {
			case conn := <-l.conns:
				abort(conn)
				continue
			default:
			}
			return
		}
	})
	return nil
}

// Addr returns the address listened on.
func (l *listener) Addr() net.Addr { return l.addr }
