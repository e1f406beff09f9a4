package amisim

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func pair(size int) (client, server net.Conn) {
	return newPipe(address("c"), address("s"), size)
}

func TestPipe_WriterWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(10)
		var wg sync.WaitGroup
		wg.Go(func() {
			if n, err := a.Write(bytes.Repeat([]byte("x"), 25)); n != 25 || err != nil {
				t.Errorf("Write = %d, %v", n, err)
			}
			a.Close()
		})
		synctest.Wait()
		got, err := io.ReadAll(b)
		if len(got) != 25 || err != nil {
			t.Errorf("read %d bytes, %v", len(got), err)
		}
		wg.Wait()
	})
}

func TestPipe_Deadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(10)
		start := time.Now()
		a.SetDeadline(start.Add(time.Second))
		_, err := a.Read(make([]byte, 1))
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() || time.Since(start) != time.Second {
			t.Errorf("Read after %v: %v", time.Since(start), err)
		}
		a.SetWriteDeadline(time.Now().Add(time.Second))
		if n, err := a.Write(make([]byte, 11)); n != 10 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Write = %d, %v", n, err)
		}
		a.SetReadDeadline(time.Time{})
		b.Write([]byte("x"))
		if n, err := a.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("Read with the deadline lifted = %d, %v", n, err)
		}
	})
}

func TestPipe_DeadlineSetWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := pair(10)
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Read: %v", err)
			}
		})
		synctest.Wait()
		a.SetReadDeadline(time.Now().Add(-time.Second))
		wg.Wait()
	})
}

func TestPipe_Ends(t *testing.T) {
	for name, test := range map[string]struct {
		end             func(c net.Conn)
		data            string
		read, write, by error
	}{
		"close":      {func(c net.Conn) { c.Close() }, "x", nil, syscall.EPIPE, net.ErrClosed},
		"half-close": {func(c net.Conn) { c.(*pipeConn).CloseWrite() }, "x", nil, nil, nil},
		"both": {func(c net.Conn) { c.(*pipeConn).CloseWrite(); abort(c) },
			"", syscall.ECONNRESET, syscall.EPIPE, net.ErrClosed},
		"abort": {abort, "", syscall.ECONNRESET, syscall.EPIPE, net.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := pair(10)
				b.Write([]byte("x"))
				test.end(b)
				got, err := io.ReadAll(a)
				if string(got) != test.data || !errors.Is(err, test.read) {
					t.Errorf("the peer read %q, %v", got, err)
				}
				if _, err := a.Write([]byte("y")); !errors.Is(err, test.write) {
					t.Errorf("the peer's write: %v", err)
				}
				if _, err := b.Read(make([]byte, 1)); !errors.Is(err, test.by) {
					t.Errorf("reading on the closed side: %v", err)
				}
			})
		})
	}
}

func TestNetwork_Dial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewNetwork()
		if _, err := n.DialContext(t.Context(), "tcp", "a:1"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("nobody listens: %v", err)
		}
		l, _ := n.Listen("a:1")
		if _, err := n.Listen("a:1"); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("listening twice: %v", err)
		}
		conn, err := n.DialContext(t.Context(), "tcp", "a:1")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("never accepted: %v", err)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept on a closed listener: %v", err)
		}
		n.Blackhole("a:1")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := n.DialContext(ctx, "tcp", "a:1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("into the black hole: %v", err)
		}
	})
}
