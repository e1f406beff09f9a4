package socket_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/internal/socket"
)

// pair is a connection and its peer, both small.
func pair(t *testing.T) (*socket.Conn, *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	dialed, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialed.Close(); accepted.Close() })
	return socket.Of(dialed).(*socket.Conn), accepted.(*net.TCPConn)
}

// large is more than a socket takes that nobody reads.
var large = bytes.Repeat([]byte("0123456789abcdef"), 1<<20)

func TestConn_ReadsToTheEnd(t *testing.T) {
	c, peer := pair(t)
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() {
		_, err := peer.Write(large)
		if err := errors.Join(err, peer.CloseWrite()); err != nil {
			t.Error(err)
		}
	})
	if n, err := c.Read(nil); n != 0 || err != nil {
		t.Errorf("nothing is read as %d, %v", n, err)
	}
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, large) {
		t.Errorf("%d bytes are read of %d, %v", len(got), len(large), err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("behind the end: %v", err)
	}
}

func TestConn_WritesAllOfMoreThanFits(t *testing.T) {
	c, peer := pair(t)
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() {
		n, err := c.Write(large)
		if err := errors.Join(err, c.Close()); n != len(large) || err != nil {
			t.Errorf("%d bytes are written of %d, %v", n, len(large), err)
		}
	})
	got, err := io.ReadAll(peer)
	if err != nil || !bytes.Equal(got, large) {
		t.Errorf("%d bytes are read of %d, %v", len(got), len(large), err)
	}
}

func TestConn_WriteNowWritesWhatFits(t *testing.T) {
	c, peer := pair(t)
	all := 0
	for {
		n, err := c.WriteNow(large)
		if err != nil {
			t.Fatal(err)
		}
		if all += n; n == 0 {
			break
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(peer); err != nil || len(got) != all {
		t.Errorf("%d bytes are read of %d, %v", len(got), all, err)
	}
}

// The deadline ends a write that waits, also if it is set meanwhile, and hurts none behind it.
func TestConn_WriteDeadlineEndsAWriteThatWaits(t *testing.T) {
	for name, meanwhile := range map[string]bool{"before": false, "meanwhile": true} {
		t.Run(name, func(t *testing.T) {
			c, peer := pair(t)
			var late *time.Timer
			soon := func() { _ = c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)) }
			if soon(); meanwhile {
				_ = c.SetDeadline(time.Time{})
				late = time.AfterFunc(50*time.Millisecond, soon)
				defer late.Stop()
			}
			n, err := c.Write(large)
			if !errors.Is(err, os.ErrDeadlineExceeded) || n == 0 || n == len(large) {
				t.Fatalf("%d bytes are written of %d, %v", n, len(large), err)
			}
			if timeout, ok := errors.AsType[net.Error](err); !ok || !timeout.Timeout() {
				t.Errorf("%v is no timeout", err)
			}
			if _, err := io.ReadFull(peer, make([]byte, n)); err != nil {
				t.Fatal(err)
			}
			_ = c.SetWriteDeadline(time.Time{})
			if n, err := c.Write([]byte("more")); n != 4 || err != nil {
				t.Errorf("behind it %d bytes are written, %v", n, err)
			}
		})
	}
}

func TestConn_ReadDeadlineAndCloseEndARead(t *testing.T) {
	c, _ := pair(t)
	_ = c.SetDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a read that is late ends with %v", err)
	}
	_ = c.SetDeadline(time.Time{})
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a read of what is closed ends with %v", err)
		}
	})
	closed := time.AfterFunc(20*time.Millisecond, func() { _ = c.Close() })
	defer closed.Stop()
	group.Wait()
	if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a write on what is closed ends with %v", err)
	}
}

// An error says what a net.Conn's says.
func TestConn_ErrorsAreThoseOfNet(t *testing.T) {
	c, peer := pair(t)
	if err := errors.Join(peer.SetLinger(0), peer.Close()); err != nil {
		t.Fatal(err)
	}
	_, err := c.Read(make([]byte, 1))
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Fatal(err)
	}
	want := "read tcp " + c.LocalAddr().String() + "->" + c.RemoteAddr().String() + ": read: connection reset by peer"
	if err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("a write ends with %v", err)
	}
}

func TestConn_MakesNoGarbage(t *testing.T) {
	c, peer := pair(t)
	buf := make([]byte, 8)
	allocated := testing.AllocsPerRun(100, func() {
		_ = c.SetWriteDeadline(time.Now().Add(time.Minute))
		_, err := c.Write(buf)
		if err == nil {
			_, err = io.ReadFull(peer, buf)
		}
		if err == nil {
			_, err = peer.Write(buf)
		}
		if err == nil {
			_, err = c.Read(buf)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	if allocated != 0 {
		t.Errorf("%v allocations", allocated)
	}
}

// What is no connection of the system's stays as it is.
func TestOf_LeavesOthers(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if socket.Of(a) != a {
		t.Error("a pipe is taken for a socket")
	}
}
