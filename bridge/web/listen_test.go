package web

import (
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// The kernel gives up a browser that has vanished without a word after half a minute.
func TestListen_WhoVanishesIsGivenUp(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("the option is Linux's")
	}
	l, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	raw, err := server.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	is := 0
	if failed := raw.Control(func(fd uintptr) { is, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout) }); failed != nil || err != nil {
		t.Fatal(failed, err)
	}
	if time.Duration(is)*time.Millisecond != vanished {
		t.Errorf("it has %d ms", is)
	}
}
