package amiconn

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

func TestLink_LogsInBothWays(t *testing.T) {
	for _, auth := range []Auth{AuthMD5, AuthPlain} {
		t.Run(auth.String(), func(t *testing.T) {
			inBubble(t, amisim.Config{}, func(c *Config, _ *Deps) { c.Auth = auth }, func(b *bench) {
				b.up()
				challenges := 0
				if auth == AuthMD5 {
					challenges = 2
				}
				if got := b.sim.Received("Challenge"); got != challenges {
					t.Errorf("%d challenges, want %d", got, challenges)
				}
				if r := b.do(Action{Name: "Ping"}); r.Outcome != correlation.Answered || r.Response != "Success" {
					t.Errorf("Ping: %v %q", r.Outcome, r.Response)
				}
				change, _ := b.last(RoleEvents, StateUp)
				if change.Version != "11.0.0" {
					t.Errorf("version %q", change.Version)
				}
			})
		})
	}
}

func TestLink_NumbersEventsWithoutHoles(t *testing.T) {
	inBubble(t, amisim.Config{}, nil, func(b *bench) {
		b.up()
		for i := range 50 {
			b.sim.Emit("Event", "Test", "N", fmt.Sprint(i))
		}
		synctest.Wait()
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.seqs) < 51 || b.events[0] != "FullyBooted" {
			t.Fatalf("%d events, the first %v: what is glued to the login must not be lost", len(b.seqs), b.events[:min(len(b.events), 1)])
		}
		for i, seq := range b.seqs {
			if seq != uint64(i+1) {
				t.Fatalf("event %d is numbered %d", i+1, seq)
			}
		}
	})
}

func TestLink_AuthRefusedWaitsForMinutesAndLogsOnce(t *testing.T) {
	inBubble(t, amisim.Config{Users: map[string]string{"bridge": "other"}}, func(c *Config, _ *Deps) { c.Sessions = 1 }, func(b *bench) {
		var waits []time.Duration
		b.start()
		for range 4 {
			synctest.Wait()
			change, _ := b.last(RoleBoth, StateWaiting)
			if change.Reason != ReasonAuth || b.link.RetryIn() != change.RetryIn {
				t.Errorf("after a refused login: %s, again in %v", change.Reason, change.RetryIn)
			}
			waits = append(waits, change.RetryIn)
			time.Sleep(change.RetryIn)
		}
		if want := []time.Duration{time.Minute, 10 * time.Minute, 10 * time.Minute, 10 * time.Minute}; !slices.Equal(waits, want) {
			t.Errorf("waits %v, want %v", waits, want)
		}
		if n := b.logs.FilterLevelExact(zapcore.ErrorLevel).Len(); n != 1 {
			t.Errorf("%d Error lines, want 1", n)
		}
	})
}

// Each series of refusals is told once: also the second, behind a login that went
// well.
func TestLink_EachSeriesOfRefusalsIsLoggedOnce(t *testing.T) {
	inBubble(t, amisim.Config{}, func(c *Config, _ *Deps) { c.Sessions = 1 }, func(b *bench) {
		b.up()
		for n := 1; n <= 3; n++ {
			b.sim.Always("Login", amisim.Deny("Authentication failed"))
			b.sim.Kick()
			time.Sleep(25 * time.Minute)
			if lines := b.logs.FilterMessageSnippet("login refused").Len(); lines != n {
				t.Errorf("%d lines after %d series", lines, n)
			}
			b.sim.Always("Login", nil)
			b.link.Retry()
			b.up()
		}
	})
}

func TestLink_SessionsFailApart(t *testing.T) {
	inBubble(t, amisim.Config{}, nil, func(b *bench) {
		b.up()
		first, _ := b.last(RoleEvents, StateUp)
		b.sim.Next("Ping", nil) // Pings of both sessions may come first
		b.sim.Next("CoreStatus", amisim.Refuse)
		if r := b.do(Action{Name: "CoreStatus"}); r.Outcome != correlation.ConnectionLost || r.Sent != correlation.SentUnknown {
			t.Errorf("an action whose session was closed: %v, sent %v", r.Outcome, r.Sent)
		}
		synctest.Wait() // the call ends before its session is taken for lost
		b.up()
		if again, n := b.last(RoleEvents, StateUp); n != 1 || again.Session != first.Session {
			t.Errorf("the event session went down with the action session")
		}
		if _, n := b.last(RoleActions, StateUp); n != 2 {
			t.Errorf("the action session came up %d times, want 2", n)
		}
	})
}

func TestLink_SilentPeerEndsInReadTimeout(t *testing.T) {
	inBubble(t, amisim.Config{}, nil, func(b *bench) {
		b.up()
		thaw := b.sim.FreezeWrites()
		defer thaw()
		time.Sleep(40 * time.Second)
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, change := range b.changes {
			if change.To == StateWaiting {
				if change.Reason != ReasonReadTimeout {
					t.Errorf("the silent session was lost by %q", change.Reason)
				}
				return
			}
		}
		t.Error("40 s of silence ended no session")
	})
}

func TestLink_BusyServerIsNotTakenForDead(t *testing.T) {
	inBubble(t, amisim.Config{}, func(c *Config, _ *Deps) { c.ActionTimeout = 2 * time.Minute }, func(b *bench) {
		b.up()
		b.sim.Next("Originate", amisim.Delay(70*time.Second)) // a sync Originate holds the session, Ping included
		r := b.do(Action{Name: "Originate", Headers: []frames.Header{header("Channel", "Local/1@x"), header("Exten", "1")}})
		if r.Outcome != correlation.Answered {
			t.Errorf("an action of 70 s beside a read timeout of 30 s: %v (%v)", r.Outcome, r.Cause)
		}
	})
}

func TestLink_StuckServerEndsAtTheActionsDeadline(t *testing.T) {
	inBubble(t, amisim.Config{}, func(c *Config, _ *Deps) { c.ActionTimeout = 40 * time.Second }, func(b *bench) {
		b.up()
		b.sim.Always("CoreStatus", amisim.Stall)
		began := time.Now()
		if r := b.do(Action{Name: "CoreStatus"}); r.Outcome != correlation.TimedOut && r.Outcome != correlation.ConnectionLost {
			t.Errorf("%v", r.Outcome)
		}
		time.Sleep(time.Minute)
		if change, n := b.last(RoleActions, StateWaiting); n == 0 || change.Reason != ReasonReadTimeout {
			t.Errorf("a minute after the deadline of a stuck action: %d losses, the last by %q", n, change.Reason)
		} else if took := change.At.Sub(began); took > time.Minute {
			t.Errorf("a stuck action session was kept for %v", took)
		}
	})
}

func TestLink_EachPhaseHasItsTimeout(t *testing.T) {
	for _, test := range []struct {
		name  string
		point string
		fault amisim.Fault
		want  Reason
	}{
		{"no banner", amisim.Accept, amisim.Stall, ReasonBanner},
		{"closed at once", amisim.Accept, amisim.Refuse, ReasonBanner},
		{"banner of another protocol", amisim.Accept, func(s *amisim.Session, _ *amisim.Action) { s.Write([]byte("220 smtp ready\r\n")); s.Stall() }, ReasonBanner},
		{"challenge stalls", "Challenge", amisim.Stall, ReasonLogin},
		{"login stalls", "Login", amisim.Stall, ReasonLogin},
		{"login closes", "Login", amisim.Refuse, ReasonLogin},
		{"login denied", "Login", amisim.Deny("Authentication failed"), ReasonAuth},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, amisim.Config{}, func(c *Config, _ *Deps) { c.Sessions = 1 }, func(b *bench) {
				b.up()
				b.sim.Always(test.point, test.fault)
				b.sim.Kick()
				time.Sleep(20 * time.Second)
				if change, n := b.last(RoleBoth, StateWaiting); n == 0 || change.Reason != test.want {
					t.Errorf("%d failures, the last by %q; want %q", n, change.Reason, test.want)
				}
				b.sim.Always(test.point, nil)
				b.up()
			})
		})
	}
}

func TestLink_BacksOffUntilStable(t *testing.T) {
	inBubble(t, amisim.Config{}, func(c *Config, _ *Deps) { c.Sessions = 1 }, func(b *bench) {
		// Logs in and dies at once, for two minutes.
		b.sim.Always("Ping", amisim.Refuse)
		time.Sleep(2 * time.Minute)
		change, n := b.last(RoleBoth, StateWaiting)
		if n > 20 || change.Failures != n {
			t.Errorf("%d connects in 2 minutes, counting %d failures: a login that dies must not reset the backoff", n, change.Failures)
		}
		b.sim.Always("Ping", nil)
		b.up()
		time.Sleep(11 * time.Second)
		b.sim.Kick()
		time.Sleep(2 * time.Second)
		if change, _ := b.last(RoleBoth, StateWaiting); change.Failures != 1 {
			t.Errorf("%d failures after a stable session, want 1", change.Failures)
		}
	})
}

func TestLink_PanickingHandlerLosesOneFrame(t *testing.T) {
	var b *bench
	inBubble(t, amisim.Config{}, func(_ *Config, d *Deps) {
		keep := d.Hooks.Event
		d.Hooks.Event = func(e Event) {
			if string(e.Frame.Get("N")) == "7" {
				panic("handler")
			}
			keep(e)
		}
	}, func(own *bench) {
		b = own
		b.up()
		for i := range 10 {
			b.sim.Emit("Event", "Test", "N", fmt.Sprint(i))
		}
		synctest.Wait()
		b.mu.Lock()
		defer b.mu.Unlock()
		n := 0
		for _, name := range b.events {
			if name == "Test" {
				n++
			}
		}
		if n != 9 || b.link.Status().Panics != 1 {
			t.Errorf("%d of 10 events came through, %+v", n, b.link.Status())
		}
	})
}

func TestLink_LogsOffWhenStopped(t *testing.T) {
	var sim *amisim.Server
	inBubble(t, amisim.Config{}, nil, func(b *bench) { b.up(); sim = b.sim })
	if got := sim.Received("Logoff"); got != 2 {
		t.Errorf("%d Logoffs, want one of each session", got)
	}
}

// TLS handshakes use locks that freeze a bubble's clock, so these run in real
// time over loopback.
func TestLink_TLS(t *testing.T) {
	cert, ca, err := amisim.NewCertificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	sim := amisim.New(amisim.Config{Users: map[string]string{"bridge": testSecret}, TLS: &tls.Config{Certificates: []tls.Certificate{cert}}, WriteTimeout: time.Minute})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	group.Go(func() { _ = sim.Serve(ctx, listener) })

	run := func(change func(*Config), until State, role Role) Change {
		t.Helper()
		cfg := DefaultConfig()
		cfg.Name, cfg.Addr, cfg.Username, cfg.Secret = "pbx1", listener.Addr().String(), "bridge", testSecret
		cfg.TLS, cfg.TLSCaFile, cfg.Sessions = true, caFile, 1
		change(&cfg)
		changes := make(chan Change, 16)
		link := NewLink(cfg, Deps{Node: "b1", ReplyBytes: 1 << 20, HeldBytes: 1 << 20, Hooks: Hooks{State: func(c Change) {
			if c.Role == role && c.To == until {
				select {
				case changes <- c:
				default:
				}
			}
		}}})
		linkCtx, stop := context.WithCancel(ctx)
		var linkGroup sync.WaitGroup
		linkGroup.Go(func() { _ = link.Run(linkCtx) })
		defer linkGroup.Wait()
		defer stop()
		var c Change
		select {
		case c = <-changes:
		case <-time.After(time.Minute):
			t.Fatalf("the session never came to be %v", until)
		}
		if until == StateUp {
			done := make(chan *correlation.Result, 1)
			long := []frames.Header{header("Variable", strings.Repeat("v", 900)), header("Filler", strings.Repeat("f", 900))}
			if _, err := link.Do(Action{Name: "Getvar", Headers: long, Done: func(r *correlation.Result) { done <- r }}); err != nil {
				t.Fatal(err)
			}
			if r := <-done; r.Outcome != correlation.Answered && r.Outcome != correlation.AsteriskError {
				t.Errorf("an action of 1900 bytes over TLS: %v", r.Outcome)
			}
		}
		return c
	}
	run(func(*Config) {}, StateUp, RoleBoth)
	if got := sim.LargestRecord(); got > 1024+64 {
		t.Errorf("a TLS record of %d bytes: Asterisk stalls over 1024", got)
	}
	if c := run(func(c *Config) { c.TLSCaFile = "" }, StateWaiting, RoleBoth); c.Reason != ReasonTLS {
		t.Errorf("an unknown authority: %s", c.Reason)
	}
	wrongName := func(c *Config) {
		_, port, _ := net.SplitHostPort(c.Addr)
		c.Addr = "localhost:" + port
	}
	if c := run(wrongName, StateWaiting, RoleBoth); c.Reason != ReasonTLS {
		t.Errorf("a certificate of another name: %s", c.Reason)
	}
}
