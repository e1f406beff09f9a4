package amisim_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func linesWithoutTime(s string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range strings.SplitSeq(strings.TrimSuffix(s, "\r\n"), "\r\n") {
			if !strings.HasPrefix(line, "Timestamp: ") && !yield(line) {
				return
			}
		}
	}
}

// TestServe_OverTCP shows that the ends of a session reach a real socket, and
// that Serve joins everything when its context or its listener ends.
func TestServe_OverTCP(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(s *amisim.Server, l net.Listener, cancel func())
		want error
	}{
		"kick":    {func(s *amisim.Server, _ net.Listener, _ func()) { s.Kick() }, io.EOF},
		"abort":   {func(s *amisim.Server, _ net.Listener, _ func()) { s.Abort() }, syscall.ECONNRESET},
		"context": {func(_ *amisim.Server, _ net.Listener, cancel func()) { cancel() }, io.EOF},
		"close":   {func(_ *amisim.Server, l net.Listener, _ func()) { l.Close() }, io.EOF},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			s := amisim.New(amisim.Config{WriteTimeout: time.Minute})
			var wg sync.WaitGroup
			defer wg.Wait()
			defer cancel()
			wg.Go(func() {
				if err := s.Serve(ctx, l); err != nil {
					t.Errorf("Serve: %v", err)
				}
			})
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetReadDeadline(time.Now().Add(time.Minute))
			const banner = "Asterisk Call Manager/11.0.0\r\n"
			if _, err := io.ReadFull(conn, make([]byte, len(banner))); err != nil {
				t.Fatal(err)
			}
			test.end(s, l, cancel)
			if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, test.want) {
				t.Errorf("read: %v, want %v", err, test.want)
			}
		})
	}
}
