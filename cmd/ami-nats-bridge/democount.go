package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
)

// counter counts the demo's events as any consumer could: by subscribing.
type counter struct {
	nc *nats.Conn

	mu      sync.Mutex // protects the following
	servers map[string]*counts
}

// counts is what came from one server.
type counts struct {
	events, shown, lost uint64
	session             string
	last                uint64 // number of the session's last event
}

func newCounter(srv *server.Server) (*counter, error) {
	c := &counter{servers: make(map[string]*counts)}
	for _, name := range demoServers {
		c.servers[name] = new(counts)
	}
	nc, err := nats.Connect(srv.ClientURL(), nats.InProcessServer(srv), nats.Name("ami-nats-bridge/demo"))
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	c.nc = nc
	if _, err = nc.Subscribe("ami.events.*.*", c.count); err == nil {
		err = nc.Flush()
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	return c, nil
}

// count takes one event. Numbers that a session skips are events lost on the
// way; one that came before is a repeat.
func (c *counter) count(m *nats.Msg) {
	tokens := strings.Split(m.Subject, ".")
	session, number, ok := strings.Cut(m.Header.Get("Ami-Seq"), ":")
	n, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil {
		return // a Gap: the bridge's own
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.servers[tokens[2]]
	if t == nil {
		return
	}
	if session != t.session {
		t.session, t.last = session, 0
	}
	if n <= t.last {
		return
	}
	t.events++
	t.lost += n - t.last - 1
	t.last = n
}

// show prints the rates once a second until ctx ends: one line that is
// rewritten on a terminal, lines elsewhere.
func (c *counter) show(ctx context.Context, w io.Writer) {
	begin, end := "", "\n"
	if terminal.Is(w) {
		begin, end = "\r\x1b[K", ""
		defer fmt.Fprintln(w)
	}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			fmt.Fprint(w, begin+c.line()+end)
		}
	}
}

func (c *counter) line() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var parts []string
	for _, name := range demoServers {
		t := c.servers[name]
		parts = append(parts, fmt.Sprintf("%s %5d events/s %8d in all", name, t.events-t.shown, t.events))
		t.shown = t.events
	}
	return strings.Join(parts, "   ")
}

func (c *counter) summary(w io.Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var lost uint64
	for _, name := range demoServers {
		t := c.servers[name]
		lost += t.lost
		fmt.Fprintf(w, "%s %d events, ", name, t.events)
	}
	fmt.Fprintf(w, "%d lost\n", lost)
}
