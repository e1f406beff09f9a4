package amiconn

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/socket"
)

// socketPair is a Session without goroutines on one of the system's sockets, and its peer.
func socketPair(t *testing.T) (*Session, *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	peer, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.ReadTimeout = time.Hour
	table := correlation.NewTable(correlation.Limits{Pending: 10_000, ReplyBytes: 1 << 20, TotalBytes: 1 << 20}, frames.UTF8)
	plain := socket.Of(conn).(*socket.Conn)
	s := &Session{
		Token: "t", born: time.Now(), cfg: &cfg, table: table, counts: new(counts), conn: plain, socket: plain, queue: newWriteQueue(64<<20, func() {}),
	}
	t.Cleanup(func() { s.end(ReasonShutdown, nil); conn.Close(); peer.Close() })
	return s, peer.(*net.TCPConn)
}

// testCall registers a call, whose end goes to ended.
func (s *Session) testCall(t *testing.T, id string, ended chan<- *correlation.Result) {
	t.Helper()
	err := s.table.Register(correlation.Call{ActionID: id, Action: "Ping", Session: s.Token, Timeout: time.Hour, Done: func(r *correlation.Result) { ended <- r }})
	if err != nil {
		t.Fatal(err)
	}
}

// now has s write an Action of n bytes, each of them c, as send does.
func (s *Session) now(t *testing.T, id string, c byte, n int, may func() bool) bool {
	t.Helper()
	if err := s.queue.reserve(n); err != nil {
		t.Fatal(err)
	}
	return s.writeNow(outgoing{id: id, data: bytes.Repeat([]byte{c}, n), may: may})
}

func (s *Session) testDepth(t *testing.T, actions, bytes int) {
	t.Helper()
	if a, b, _ := s.queue.depth(); a != actions || b != bytes {
		t.Errorf("%d Actions of %d bytes wait, want %d of %d", a, b, actions, bytes)
	}
}

// An Action is written by who asks, without a writer, also once the time of an earlier write
// is over.
func TestWriteNow_NeedsNoWriter(t *testing.T) {
	s, peer := socketPair(t)
	ended := make(chan *correlation.Result, 10)
	s.cfg.ReadTimeout = 500 * time.Millisecond
	if !s.writeOne([]byte("ping")) {
		t.Fatal(s.cause.Load())
	}
	<-time.After(s.cfg.ReadTimeout + 100*time.Millisecond)
	s.testCall(t, "1", ended)
	if !s.now(t, "1", 'a', 10, nil) {
		t.Error("it is to be queued")
	}
	s.testDepth(t, 0, 0)
	if s.cause.Load() != nil {
		t.Fatal(s.cause.Load())
	}
	got := make([]byte, len("ping")+10)
	if _, err := io.ReadFull(peer, got); err != nil || string(got) != "ping"+strings.Repeat("a", 10) {
		t.Errorf("Asterisk reads %q, %v", got, err)
	}
}

// What may not be written, or nobody waits for any more, is not; the first is told so.
func TestWriteNow_WhatMayNotIsWithdrawn(t *testing.T) {
	s, peer := socketPair(t)
	ended := make(chan *correlation.Result, 10)
	s.testCall(t, "1", ended)
	if !s.now(t, "1", 'a', 10, func() bool { return false }) || !s.now(t, "gone", 'b', 10, nil) {
		t.Error("it is to be queued")
	}
	if r := <-ended; r.Outcome != correlation.NotSent || !errors.Is(r.Cause, ErrWithdrawn) {
		t.Errorf("it ends %v: %v", r.Outcome, r.Cause)
	}
	s.testDepth(t, 0, 0)
	s.testCall(t, "2", ended)
	s.now(t, "2", 'c', 1, nil)
	got := make([]byte, 100)
	if n, err := peer.Read(got); err != nil || string(got[:n]) != "c" {
		t.Errorf("Asterisk reads %q, %v", got[:n], err)
	}
}

// While another writes, or something waits, nobody writes beside it.
func TestWriteNow_NotBesideAnother(t *testing.T) {
	s, _ := socketPair(t)
	begun := 0
	s.queue.start = func() { begun++ }
	if !s.queue.begin() || s.now(t, "1", 'a', 10, nil) {
		t.Error("two write at once")
	}
	if s.push([]byte("ping")); begun != 0 {
		t.Error("a writer begins beside another")
	}
	s.queue.wrote(outgoing{})
	if s.now(t, "1", 'a', 10, nil) {
		t.Error("it overtakes what waits")
	}
	if got := s.queue.take(nil); len(got) != 1 || begun != 1 {
		t.Errorf("%d writers begin, one gets %d", begun, len(got))
	}
	if s.now(t, "1", 'a', 10, nil) {
		t.Error("it is written beside the writer")
	}
	if got := s.queue.take(nil); len(got) != 0 || !s.now(t, "1", 'a', 10, nil) {
		t.Errorf("the writer gets %d, and then nobody may write", len(got))
	}
	s.queue.close()
	if s.now2(10) {
		t.Error("it is written behind the end")
	}
}

// now2 is now that reserves nothing: the queue is closed.
func (s *Session) now2(n int) bool {
	return s.writeNow(outgoing{id: "1", data: make([]byte, n)})
}

// What the socket does not take is written by the writer, to its end and before all else,
// also if nobody waits for it any more.
func TestWriteNow_TheRestIsTheWriters(t *testing.T) {
	s, peer := socketPair(t)
	ended := make(chan *correlation.Result, 10)
	const whole = 16 << 20 // more than two sockets hold
	s.testCall(t, "1", ended)
	if !s.now(t, "1", 'a', whole, nil) {
		t.Error("it is to be queued")
	}
	_, left, _ := s.queue.depth()
	if left == 0 || left == whole {
		t.Fatalf("%d of %d bytes are left", left, whole)
	}
	s.table.FailAll(correlation.TimedOut, nil)
	s.testCall(t, "2", ended)
	if s.now(t, "2", 'b', 100, nil) {
		t.Error("it overtakes the rest")
	}
	s.queue.commit(outgoing{id: "2", data: bytes.Repeat([]byte{'b'}, 100)})
	var group sync.WaitGroup
	defer group.Wait()
	defer s.end(ReasonShutdown, nil)
	group.Go(s.write)
	got := make([]byte, whole+100)
	if _, err := io.ReadFull(peer, got); err != nil {
		t.Fatal(err)
	}
	if bytes.Count(got[:whole], []byte{'a'}) != whole || bytes.Count(got[whole:], []byte{'b'}) != 100 {
		t.Error("Asterisk reads something else, or in another order")
	}
}

// What the socket took nothing of has not begun: whether it may be written is asked again,
// and its caller is told that it was not.
func TestWriteNow_WhatHasNotBegunIsAskedForAgain(t *testing.T) {
	s, _ := socketPair(t)
	ended := make(chan *correlation.Result, 10)
	s.testCall(t, "1", ended)
	s.now(t, "1", 'a', 16<<20, nil) // more than two sockets hold
	for _, o := range s.queue.take(nil) {
		s.queue.cancel(len(o.data))
	}
	s.queue.wrote(outgoing{})
	var leads atomic.Bool
	leads.Store(true)
	s.testCall(t, "2", ended)
	if !s.now(t, "2", 'b', 10, leads.Load) {
		t.Error("it is to be queued")
	}
	s.testDepth(t, 1, 10)
	leads.Store(false)
	var group sync.WaitGroup
	defer group.Wait()
	defer s.end(ReasonShutdown, nil)
	group.Go(s.write)
	if r := <-ended; r.ActionID != "2" || r.Outcome != correlation.NotSent || !errors.Is(r.Cause, ErrWithdrawn) {
		t.Errorf("%s ends %v: %v", r.ActionID, r.Outcome, r.Cause)
	}
}

// A socket that takes nothing any more ends the Session.
func TestWriteNow_AnErrorEndsTheSession(t *testing.T) {
	s, _ := socketPair(t)
	s.conn.Close()
	s.testCall(t, "1", make(chan *correlation.Result, 1))
	if !s.now(t, "1", 'a', 10, nil) {
		t.Error("it is to be queued")
	}
	if reason := ReasonOf(s.cause.Load()); reason != ReasonWrite {
		t.Errorf("it ends because of %v", reason)
	}
	s.testDepth(t, 0, 0)
}

// However many write at once, each Action is whole on the wire, and each is there once.
func TestWriteNow_ActionsStayWhole(t *testing.T) {
	const askers, each = 8, 200
	s, peer := socketPair(t)
	var asking sync.WaitGroup
	defer s.writers.Wait()
	defer s.end(ReasonShutdown, nil)
	s.queue.start = func() { s.writers.Go(s.write) }
	ended := make(chan *correlation.Result, askers*each)
	for asker := range askers {
		asking.Go(func() {
			for i := range each {
				id := fmt.Sprint(asker, "-", i)
				call := correlation.Call{ActionID: id, Action: "Ping", Session: s.Token, Timeout: time.Hour, Done: func(r *correlation.Result) { ended <- r }}
				if err := s.send(call, fmt.Appendf(nil, "%s %s\n", id, strings.Repeat("x", i)), nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var want []string
	for asker := range askers {
		for i := range each {
			want = append(want, fmt.Sprint(asker, "-", i, " ", strings.Repeat("x", i)))
		}
	}
	read := make([]byte, len(strings.Join(want, "\n"))+1)
	if _, err := io.ReadFull(peer, read); err != nil {
		t.Fatal(err)
	}
	asking.Wait()
	got := strings.Split(strings.TrimSuffix(string(read), "\n"), "\n")
	slices.Sort(got)
	if slices.Sort(want); !slices.Equal(got, want) {
		t.Errorf("%d lines of %d, or others", len(got), len(want))
	}
	for len(ended) > 0 {
		(<-ended).Release()
	}
}

// A Session that died before it ran reads nothing more, and says why it died.
func TestRun_OfADeadSession(t *testing.T) {
	s, peer := socketPair(t)
	s.frames = frames.NewReader(s, 1<<10)
	s.hooks.Event = func(Event) { t.Error("it reads on") }
	if _, err := peer.Write([]byte("Event: Late\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	peer.Close()
	s.end(ReasonWrite, io.ErrClosedPipe)
	if reason := ReasonOf(s.Run()); reason != ReasonWrite {
		t.Errorf("it ended because of %v", reason)
	}
}
