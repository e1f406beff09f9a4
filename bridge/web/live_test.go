package web

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// pipes is a listener whose connections have no buffer at all: who does not read is
// noticed with the first byte.
type pipes struct {
	accept chan net.Conn
	end    func()
}

func (p *pipes) Accept() (net.Conn, error) {
	c, ok := <-p.accept
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (p *pipes) Close() error { p.end(); return nil }
func (*pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// bubble serves s on pipes, within a bubble of synctest, until the test ends.
func bubble(t *testing.T, s *Server) *pipes {
	t.Helper()
	p := &pipes{accept: make(chan net.Conn)}
	p.end = sync.OnceFunc(func() { close(p.accept) })
	server := &http.Server{Handler: s, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	ctx, cancel := context.WithCancel(t.Context())
	go s.Run(ctx)
	go server.Serve(p)
	t.Cleanup(func() { cancel(); server.Close(); synctest.Wait() })
	return p
}

// open opens a page and returns the answer's lines as they come.
func (p *pipes) open(t *testing.T, path string) (conn net.Conn, lines *bufio.Scanner) {
	t.Helper()
	client, server := net.Pipe()
	p.accept <- server
	fmt.Fprintf(client, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path)
	lines = bufio.NewScanner(client)
	lines.Buffer(nil, 1<<20)
	return client, lines
}

// open is how many pages are open, rooms how many kinds of them.
func (s *Server) open() int {
	s.live.mu.Lock()
	defer s.live.mu.Unlock()
	return s.live.open
}

func (s *Server) rooms() int {
	s.live.mu.Lock()
	defer s.live.mu.Unlock()
	return len(s.live.rooms)
}

func drain(lines *bufio.Scanner, seen func(string)) {
	for lines.Scan() {
		seen(lines.Text())
	}
}

// A hundred pages cost one look a second, and one render of each page that is among them; a second in
// which nothing changes costs each a line.
func TestLive_OneRenderForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := threeIll()
		s := served(w, nil)
		p := bubble(t, s)
		var patches [100]int
		for i := range patches {
			conn, lines := p.open(t, []string{"/live", "/live?server=pbx-ber-03"}[i%2])
			defer conn.Close()
			go drain(lines, func(line string) {
				if line == "event: patch" {
					patches[i]++
				}
			})
		}
		synctest.Wait()
		before, first := w.asked.Load(), patches
		if first[0] != 9 || first[1] != 9 {
			t.Errorf("at first there were %d and %d elements", first[0], first[1])
		}
		time.Sleep(10*time.Second + time.Millisecond)
		synctest.Wait()
		if n := w.asked.Load() - before; n != 20 {
			t.Errorf("for 100 pages of two kinds it was asked %d times in 10 s", n)
		}
		if patches != first {
			t.Errorf("nothing has changed, and this was sent: %v", patches)
		}
		w.lose("pbx-fra-01", "closed", "EOF", time.Second)
		time.Sleep(time.Second)
		synctest.Wait()
		for i, n := range patches {
			if n -= first[i]; n < 1 || n > 7 {
				t.Errorf("page %d was told of the change by %d elements", i, n)
			}
		}
	})
}

// A browser that does not read is given up after a while, and keeps no other waiting.
func TestLive_GivesUpWhoDoesNotRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := served(allWell(), nil)
		p := bubble(t, s)
		beats := 0
		reads, lines := p.open(t, "/live")
		defer reads.Close()
		go drain(lines, func(line string) {
			if line == "event: beat" {
				beats++
			}
		})
		frozen, _ := p.open(t, "/live")
		defer frozen.Close()
		synctest.Wait()
		if s.open() != 2 {
			t.Fatalf("%d are open", s.open())
		}
		time.Sleep(writeTimeout + time.Second)
		synctest.Wait()
		if s.open() != 1 || beats < 6 {
			t.Errorf("%d are open, the one that reads had %d beats", s.open(), beats)
		}
		reads.Close()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if s.open() != 0 || s.rooms() != 0 {
			t.Errorf("%d are open when all have gone, %d rooms", s.open(), s.rooms())
		}
	})
}

// Whose queue is full is given up before any write fails.
func TestLive_QueuesAreBounded(t *testing.T) {
	t.Parallel()
	s := served(allWell(), nil)
	l, err := s.live.join(what{view: viewServers})
	if err != nil {
		t.Fatal(err)
	}
	for range waiting - 1 {
		s.live.tell()
	}
	select {
	case <-l.gone:
		t.Fatal("it is given up before its queue is full")
	default:
	}
	s.live.tell()
	if <-l.gone; s.open() != 0 {
		t.Errorf("%d are open", s.open())
	}
	s.live.leave(what{view: viewServers}, l) // its handler ends later
	if s.open() != 0 {
		t.Errorf("%d are open", s.open())
	}
}

// The page that is one too many is refused, and let in when another has gone; a page that stays open stays
// so for longer than a request may take to be read or answered: net/http takes the read deadline off itself once it
// watches for the client (server.go, startBackgroundRead), serveLive moves that of writes on.
func TestLive_RefusesTheOneTooMany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := served(allWell(), nil)
		p := bubble(t, s)
		var conns []net.Conn
		for range maxListeners {
			conn, lines := p.open(t, "/live")
			conns = append(conns, conn)
			go drain(lines, func(string) {})
		}
		synctest.Wait()
		refused := httptest.NewRecorder()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // else it would be open for ever if it were let in
		defer cancel()
		s.ServeHTTP(refused, httptest.NewRequestWithContext(ctx, http.MethodGet, "/live", nil))
		if refused.Code != http.StatusServiceUnavailable || refused.Header().Get("Retry-After") == "" || !strings.Contains(refused.Body.String(), "128 pages are open") {
			t.Errorf("the 129th is answered %d %s", refused.Code, refused.Body)
		}
		time.Sleep(time.Minute)
		if s.open() != maxListeners {
			t.Errorf("after a minute %d are open", s.open())
		}
		conns[0].Close()
		time.Sleep(2 * time.Second)
		conn, lines := p.open(t, "/live")
		if !lines.Scan() || lines.Text() != "HTTP/1.1 200 OK" {
			t.Errorf("when one has gone the next is answered %q", lines.Text())
		}
		for _, c := range append(conns, conn) {
			c.Close()
		}
	})
}

// Pages that are open ask anew where somebody else may see them, and only then.
func TestLive_EndsWhereAccessChanges(t *testing.T) {
	t.Parallel()
	s := served(allWell(), func(o *Options) { o.Password = "first" })
	l, err := s.live.join(what{view: viewServers})
	if err != nil {
		t.Fatal(err)
	}
	access := Access{Password: "first", Numbers: view.NumbersLast4}
	if s.Admit(access); s.open() != 1 {
		t.Fatal("nothing has changed, and the page was ended")
	}
	access.Numbers = view.NumbersNone
	s.Admit(access)
	if <-l.gone; s.open() != 0 || s.rooms() != 0 {
		t.Errorf("%d are open in %d rooms", s.open(), s.rooms())
	}
}

// A proxy is told to keep nothing of a stream back, and who asks for its head alone takes nobody's place.
func TestLive_Head(t *testing.T) {
	t.Parallel()
	s := served(allWell(), nil)
	for _, path := range []string{"/live", "/tap?server=pbx-ber-01"} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		recorder := httptest.NewRecorder()
		s.ServeHTTP(recorder, httptest.NewRequestWithContext(ctx, http.MethodHead, path, nil))
		h := recorder.Header()
		if recorder.Code != http.StatusOK || recorder.Body.Len() > 0 || h.Get("Content-Type") != "text/event-stream" || h.Get("X-Accel-Buffering") != "no" {
			t.Errorf("%s: %d %v, %d bytes", path, recorder.Code, h, recorder.Body.Len())
		}
	}
}
