package amisim

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// simulate runs test in a bubble against a Server on a Network.
func simulate(t *testing.T, cfg Config, test func(t *testing.T, s *Server, n *Network)) {
	synctest.Test(t, func(t *testing.T) {
		if cfg.Users == nil {
			cfg.Users = map[string]string{"bridge": "s3cret"}
		}
		s, n := New(cfg), NewNetwork()
		l, err := n.Listen("pbx:5038")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := s.Serve(ctx, l); err != nil {
				t.Errorf("Serve: %v", err)
			}
		})
		defer wg.Wait()
		defer cancel()
		test(t, s, n)
	})
}

// peer is a client that reads frames as lists of "Key: Value" lines.
type peer struct {
	t *testing.T
	net.Conn
	r *frames.Reader
}

func dial(t *testing.T, n *Network) *peer {
	t.Helper()
	conn, err := n.DialContext(t.Context(), "tcp", "pbx:5038")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return newPeer(t, conn)
}

func newPeer(t *testing.T, conn net.Conn) *peer {
	conn.SetReadDeadline(time.Now().Add(time.Minute))
	return &peer{t, conn, frames.NewReader(conn, 1<<20)}
}

func loggedIn(t *testing.T, n *Network, events string) *peer {
	t.Helper()
	p := dial(t, n)
	if _, err := p.r.ReadBanner(); err != nil {
		t.Fatalf("banner: %v", err)
	}
	p.send("Action: Login", "Username: bridge", "Secret: s3cret", "Events: "+events)
	p.wants("Response: Success", "Message: Authentication accepted")
	if events == "on" {
		if got := p.next(); got[0] != "Event: FullyBooted" {
			t.Fatalf("after the login came %q, want FullyBooted", got)
		}
	}
	return p
}

func (p *peer) send(lines ...string) {
	p.t.Helper()
	if _, err := p.Write([]byte(strings.Join(lines, "\r\n") + "\r\n\r\n")); err != nil {
		p.t.Fatalf("write: %v", err)
	}
}

func (p *peer) next() []string {
	p.t.Helper()
	f, err := p.r.Next()
	if err != nil {
		p.t.Fatalf("read: %v", err)
	}
	var lines []string
	for _, h := range f.Headers {
		lines = append(lines, string(h.Key)+": "+string(h.Value))
	}
	return lines
}

func (p *peer) wants(lines ...string) {
	p.t.Helper()
	if got := p.next(); !slices.Equal(got, lines) {
		p.t.Fatalf("got  %q\nwant %q", got, lines)
	}
}

func (p *peer) ends() error {
	p.t.Helper()
	f, err := p.r.Next()
	if err == nil {
		p.t.Fatalf("got a frame %q, want the end", f.Name())
	}
	return err
}

func TestLogin_Plain(t *testing.T) {
	simulate(t, Config{}, func(t *testing.T, s *Server, n *Network) {
		p := loggedIn(t, n, "on")
		p.send("Action: Login", "Username: bridge", "Secret: s3cret")
		p.wants("Response: Error", "Message: Already authenticated")
	})
}

func TestLogin_MD5(t *testing.T) {
	simulate(t, Config{}, func(t *testing.T, s *Server, n *Network) {
		p := dial(t, n)
		p.r.ReadBanner()
		p.send("Action: Challenge", "AuthType: MD5", "ActionID: 1")
		got := p.next()
		challenge := strings.TrimPrefix(got[len(got)-1], "Challenge: ")
		key := md5.Sum([]byte(challenge + "s3cret"))
		p.send("ACTION: login", "username: BRIDGE", "authtype: md5", "Key:"+hex.EncodeToString(key[:]), "Events: off")
		p.wants("Response: Success", "Message: Authentication accepted")
	})
}

func TestLogin_RefusesAfterThePenalty(t *testing.T) {
	simulate(t, Config{LoginPenalty: time.Second}, func(t *testing.T, s *Server, n *Network) {
		p := dial(t, n)
		p.r.ReadBanner()
		start := time.Now()
		p.send("Action: Login", "Username: bridge", "Secret: S3cret")
		p.wants("Response: Error", "Message: Authentication failed")
		if d := time.Since(start); d != time.Second {
			t.Errorf("refused after %v, want 1s", d)
		}
		p.ends()
		if d := time.Since(start); d != time.Second {
			t.Errorf("closed after %v, want 1s", d)
		}
	})
}

func TestLogin_SingleLoginRefusesTheSecond(t *testing.T) {
	simulate(t, Config{SingleLogin: true}, func(t *testing.T, s *Server, n *Network) {
		loggedIn(t, n, "on")
		p := dial(t, n)
		p.r.ReadBanner()
		p.send("Action: Login", "Username: bridge", "Secret: s3cret")
		p.wants("Response: Error", "Message: Login Already In Use")
		p.ends()
	})
}

func TestSession_NotLoggedIn(t *testing.T) {
	simulate(t, Config{}, func(t *testing.T, s *Server, n *Network) {
		p := dial(t, n)
		if b, err := p.r.ReadBanner(); err != nil || b.Version != "11.0.0" {
			t.Fatalf("banner %+v, %v", b, err)
		}
		start := time.Now()
		p.send("Action: Ping", "ActionID: 1")
		p.wants("Response: Error", "ActionID: 1", "Message: Permission denied")
		p.ends()
		if d := time.Since(start); d != 30*time.Second {
			t.Errorf("cut after %v, want 30s", d)
		}
	})
}

func TestSession_LogoffSaysGoodbyeAndCloses(t *testing.T) {
	simulate(t, Config{}, func(t *testing.T, s *Server, n *Network) {
		p := loggedIn(t, n, "off")
		p.send("Action: Logoff", "ActionID: 9")
		p.wants("Response: Goodbye", "ActionID: 9", "Message: Thanks for all the fish.")
		start := time.Now()
		p.ends()
		if d := time.Since(start); d != 0 {
			t.Errorf("closed after %v", d)
		}
		synctest.Wait()
		if got := s.Sessions(); got != 0 {
			t.Errorf("%d sessions after the logoff", got)
		}
	})
}

func TestInput_Refusals(t *testing.T) {
	many := make([]string, 129)
	for i := range many {
		many[i] = "Variable: x"
	}
	many[0] = "Action: Ping"
	for name, test := range map[string]struct {
		send []string
		want [][]string
	}{
		"unknown": {[]string{"Action: Nope", "ActionID: 1"}, [][]string{{"Response: Error", "ActionID: 1",
			"Message: Invalid/unknown command: Nope. Use Action: ListCommands to show available commands."}}},
		"empty":   {[]string{""}, [][]string{{"Response: Error", "Message: Missing action in request"}, {"Response: Error", "Message: Missing action in request"}}},
		"longest": {[]string{"Action: Nope", "X: " + strings.Repeat("y", 1019)}, [][]string{{"Response: Error", "Message: Invalid/unknown command: Nope. Use Action: ListCommands to show available commands."}}},
		"too long": {[]string{"Action: Ping", "X: " + strings.Repeat("y", 1030), "ActionID: 2"},
			[][]string{{"Response: Error", "ActionID: 2", "Message: Failed to parse message: line too long"}}},
		"one too long": {[]string{"Action: Ping", "ActionID: 2", "X: " + strings.Repeat("y", 1020)},
			[][]string{{"Response: Error", "ActionID: 2", "Message: Failed to parse message: line too long"}, {"Response: Error", "Message: Missing action in request"}}},
		"two too long": {[]string{"Action: Ping", "ActionID: 2", "X: " + strings.Repeat("y", 1021)},
			[][]string{{"Response: Error", "ActionID: 2", "Message: Failed to parse message: line too long"}}},
		"too many": {many, [][]string{{"Response: Error", "Message: Too many lines in message or allocation failure"}}},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, Config{}, func(t *testing.T, s *Server, n *Network) {
				p := loggedIn(t, n, "off")
				p.send(test.send...)
				for _, want := range test.want {
					p.wants(want...)
				}
				p.send("Action: Logoff")
				p.wants("Response: Goodbye", "Message: Thanks for all the fish.")
			})
		})
	}
}

func TestSession_HoldsEventsBackWhileAnActionRuns(t *testing.T) {
	simulate(t, Config{}, func(t *testing.T, s *Server, n *Network) {
		p := loggedIn(t, n, "on")
		s.Next("CoreStatus", Delay(time.Second))
		p.send("Action: CoreStatus", "ActionID: 1")
		p.send("Action: Ping", "ActionID: 2")
		synctest.Wait()
		s.Emit("Event", "Hangup", "Channel", "x")
		var got []string
		for range 3 {
			got = append(got, p.next()[0])
		}
		if got[0] != "Response: Success" {
			t.Errorf("an event came before the answer: %q", got)
		}
	})
}

func TestServer_ClockIsSetWithoutMovingTime(t *testing.T) {
	simulate(t, Config{ClockSkew: time.Hour}, func(t *testing.T, s *Server, n *Network) {
		p := loggedIn(t, n, "off")
		for _, skew := range []time.Duration{time.Hour, 9 * time.Hour, -13 * time.Hour} {
			if skew != time.Hour {
				s.SetClock(skew)
			}
			began := time.Now()
			p.send("Action: Ping")
			p.wants("Response: Success", "Ping: Pong", "Timestamp: "+timestamp(began.Add(skew)))
			if took := time.Since(began); took != 0 {
				t.Errorf("with the clock %v ahead the answer took %v", skew, took)
			}
		}
	})
}
