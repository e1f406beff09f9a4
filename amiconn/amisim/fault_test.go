package amisim

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestFaults_OnAnAction sends Ping 1 and Ping 2 with a fault on the first and
// compares the bytes that come.
func TestFaults_OnAnAction(t *testing.T) {
	const second = "Response: Success\r\nActionID: 2\r\nPing: Pong\r\nTimestamp: 946684800.000000\r\n\r\n"
	first := strings.Replace(second, "ID: 2", "ID: 1", 1)
	for name, test := range map[string]struct {
		fault Fault
		want  string
	}{
		"none":       {nil, first + second},
		"refuse":     {Refuse, ""},
		"ignore":     {Ignore, second},
		"cut":        {CutAfter(30), first[:30]},
		"say":        {Say("garbage\r\n\r\n"), "garbage\r\n\r\n" + second},
		"deny":       {Deny("no"), "Response: Error\r\nActionID: 1\r\nMessage: no\r\n\r\n" + second},
		"before":     {Before("x"), "x" + first + second},
		"after":      {After("x"), first + "x" + second},
		"twice":      {Twice(), first + first + second},
		"LF":         {BareLF(), strings.ReplaceAll(first, "\r", "") + second},
		"other ID":   {WithActionID("99"), strings.Replace(first, "1", "99", 1) + second},
		"without ID": {WithActionID(""), strings.Replace(first, "ActionID: 1\r\n", "", 1) + second},
		"drip":       {Drip(7, 0), first + second},
		"oversize":   {Oversize(9), strings.TrimSuffix(first, "\r\n") + "Padding: xxxxxxxxx\r\n\r\n" + second},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, Config{}, func(t *testing.T, s *Server, n *Network) {
				p := loggedIn(t, n, "off")
				s.Next("ping", test.fault)
				// Both at once: the first may end the session.
				p.send("Action: Ping", "ActionID: 1", "", "Action: Ping", "ActionID: 2")
				synctest.Wait()
				s.Kick()
				got, err := io.ReadAll(p)
				if err != nil || string(got) != test.want {
					t.Errorf("got  %q, %v\nwant %q", got, err, test.want)
				}
				if got := s.Received("Ping"); got == 0 {
					t.Error("no Ping counted")
				}
			})
		})
	}
}

func TestFaults_OnAccept(t *testing.T) {
	for name, test := range map[string]struct {
		fault Fault
		want  string
		err   error
	}{
		"refuse":  {Refuse, "", nil},
		"reset":   {Reset, "", syscall.ECONNRESET},
		"stall":   {Stall, "", os.ErrDeadlineExceeded},
		"garbage": {Say("SSH-2.0\r\n"), "SSH-2.0\r\n", os.ErrDeadlineExceeded},
		"glued":   {After("Event: X\r\n\r\n"), "Asterisk Call Manager/11.0.0\r\nEvent: X\r\n\r\n", os.ErrDeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, Config{}, func(t *testing.T, s *Server, n *Network) {
				s.Always(Accept, test.fault)
				p := dial(t, n)
				p.SetReadDeadline(time.Now().Add(time.Second))
				got, err := io.ReadAll(p)
				if string(got) != test.want || !errors.Is(err, test.err) {
					t.Errorf("got %q, %v; want %q, %v", got, err, test.want, test.err)
				}
			})
		})
	}
}

func TestFaults_OrderOfNextAlwaysAndAny(t *testing.T) {
	simulate(t, Config{}, func(t *testing.T, s *Server, n *Network) {
		p := loggedIn(t, n, "off")
		s.Always(Any, Deny("any"))
		s.Always("Ping", Deny("always"))
		s.Next("Ping", Deny("first"), nil, Deny("third"))
		for _, want := range []string{"Message: first", "Timestamp: " + timestamp(time.Now()), "Message: third", "Message: always"} {
			p.send("Action: Ping")
			if got := p.next(); got[len(got)-1] != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		s.Always("Ping", nil)
		p.send("Action: Ping")
		p.wants("Response: Error", "Message: any")
	})
}

func TestFault_StallEndsWithTheClient(t *testing.T) {
	simulate(t, Config{}, func(t *testing.T, s *Server, n *Network) {
		s.Always("Login", Stall)
		p := dial(t, n)
		p.send("Action: Login")
		synctest.Wait()
		p.Close()
		synctest.Wait()
		if got := s.Sessions(); got != 0 {
			t.Errorf("%d sessions after the client hung up", got)
		}
	})
}

func TestWriteTimeout_CutsMidFrame(t *testing.T) {
	simulate(t, Config{}, func(t *testing.T, s *Server, n *Network) {
		n.Buffer = 1000
		p := loggedIn(t, n, "on")
		s.Emit("Event", "Big", "Padding", strings.Repeat("x", 5000))
		start := time.Now()
		synctest.Wait()
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if got := s.Sessions(); got != 0 {
			t.Fatalf("%d sessions %v after a write that nobody reads", got, time.Since(start))
		}
		got, err := io.ReadAll(p)
		if err != nil || len(got) != 1000 || bytes.Contains(got, []byte("\r\n\r\n")) {
			t.Errorf("read %d bytes, %v; want the first 1000 of the frame", len(got), err)
		}
	})
}

func TestFreeze(t *testing.T) {
	simulate(t, Config{}, func(t *testing.T, s *Server, n *Network) {
		n.Buffer = 1000
		p := loggedIn(t, n, "on")
		thaw := s.FreezeWrites()
		s.Emit("Event", "Hangup")
		p.SetReadDeadline(time.Now().Add(time.Hour))
		_, err := p.Read(make([]byte, 1))
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read while frozen: %v", err)
		}
		p.SetReadDeadline(time.Time{})
		thaw()
		p.wants("Event: Hangup", "Privilege: call,all")

		thaw = s.FreezeReads()
		p.SetWriteDeadline(time.Now().Add(time.Minute))
		n1, err := p.Write(bytes.Repeat([]byte("\r\n"), 100_000))
		if !errors.Is(err, os.ErrDeadlineExceeded) || n1 > 20_000 {
			t.Errorf("wrote %d bytes to a frozen server, %v", n1, err)
		}
		thaw()
	})
}

func TestEmitRaw_CutsAnEventInTheMiddle(t *testing.T) {
	simulate(t, Config{}, func(t *testing.T, s *Server, n *Network) {
		p := loggedIn(t, n, "on")
		s.EmitRaw([]byte("Event: Hangup\r\nChan"))
		synctest.Wait()
		s.Kick()
		if err := p.ends(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %v", err)
		}
	})
}

func TestTLS_RecordsOver1024BytesStall(t *testing.T) {
	cert, ca, err := NewCertificate("pbx", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}}
	simulate(t, cfg, func(t *testing.T, s *Server, n *Network) {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(ca)
		raw := dial(t, n)
		p := newPeer(t, tls.Client(raw.Conn, &tls.Config{RootCAs: roots, ServerName: "pbx"}))
		p.r.ReadBanner()
		p.send("Action: Login", "Username: bridge", "Secret: s3cret", "Events: off")
		p.next()
		p.Write([]byte(strings.Repeat("Action: Ping\r\nActionID: 00000000000000000000000\r\n\r\n", 30)))
		p.SetReadDeadline(time.Now().Add(time.Hour))
		answered := 0
		for {
			if _, err := p.r.Next(); err != nil {
				break
			}
			answered++
		}
		if answered != 1024/51 {
			t.Errorf("%d of 30 pings in one record were answered, want %d", answered, 1024/51)
		}
		if got := s.LargestRecord(); got != 30*51 {
			t.Errorf("largest record %d, want %d", got, 30*51)
		}
	})
}
