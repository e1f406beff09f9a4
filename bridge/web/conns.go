package web

import (
	order "container/list"
	"context"
	"net"
	"net/http"
	"sync"
)

// maxConns bounds the connections to the HTTP server: more than the pages, events and scrapes that may be
// open. One more ends the one that has been silent longest, or where all are answered, the one that has
// been so longest. So nobody who asks waits for others' connections.
const maxConns = 512

// conns are the connections of an HTTP server, each in one of two lists by since when it is there.
type conns struct {
	mu              sync.Mutex // protects the following
	all             map[net.Conn]*conn
	quiet, answered order.List // of *conn
	ended           uint64     // for want of room
}

// conn is one of them.
type conn struct {
	net.Conn
	in *order.List // nil once it has ended
	at *order.Element
}

// connKey is what the context of a request has its *conn under.
type connKey struct{}

// Bound has server, which does not serve yet, keep to maxConns connections.
func (s *Server) Bound(server *http.Server) {
	c, next := &s.conns, server.Handler
	server.ConnContext = func(ctx context.Context, nc net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c.begin(nc))
	}
	server.ConnState = func(nc net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			c.end(nc)
		}
	}
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		one := r.Context().Value(connKey{}).(*conn)
		c.move(one, &c.answered)
		defer c.move(one, &c.quiet)
		next.ServeHTTP(w, r)
	})
}

// Ended is how many connections were ended for want of room since the start.
func (s *Server) Ended() uint64 {
	s.conns.mu.Lock()
	defer s.conns.mu.Unlock()
	return s.conns.ended
}

// begin takes in a connection, for which another one may have to go.
func (c *conns) begin(nc net.Conn) *conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = make(map[net.Conn]*conn)
	}
	if len(c.all) >= maxConns {
		oldest := c.quiet.Front()
		if oldest == nil {
			oldest = c.answered.Front()
		}
		c.ended++
		_ = c.forget(oldest.Value.(*conn)).Close() // it is gone either way
	}
	one := &conn{Conn: nc, in: &c.quiet}
	one.at = c.quiet.PushBack(one)
	c.all[nc] = one
	return one
}

// move has one be the last of a list.
func (c *conns) move(one *conn, to *order.List) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if one.in != nil {
		one.in.Remove(one.at)
		one.in, one.at = to, to.PushBack(one)
	}
}

func (c *conns) end(nc net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if one := c.all[nc]; one != nil {
		c.forget(one)
	}
}

// forget needs mu.
func (c *conns) forget(one *conn) *conn {
	one.in.Remove(one.at)
	one.in = nil
	delete(c.all, one.Conn)
	return one
}
