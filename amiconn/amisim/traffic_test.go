package amisim

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// play returns n frames of a traffic, without a network.
func play(t *testing.T, n int, traffic Traffic) []string {
	t.Helper()
	g, err := newGenerator(New(Config{TimestampEvents: true}), traffic)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for range n {
		got = append(got, string(g.next().frame))
	}
	return got
}

// keysOf returns the header names of a frame.
func keysOf(frame string) []string {
	r := frames.NewReader(strings.NewReader(frame), 1<<20)
	f, err := r.Next()
	if err != nil {
		return []string{err.Error()}
	}
	var keys []string
	for _, h := range f.Headers {
		keys = append(keys, string(h.Key))
	}
	return keys
}

// TestTraffic_HeadersAreThoseOfAsterisk compares with testdata/events.txt: one
// line an event with its headers in order, cut from a capture of Asterisk 22.
func TestTraffic_HeadersAreThoseOfAsterisk(t *testing.T) {
	text, err := os.ReadFile("testdata/events.txt")
	if err != nil {
		t.Fatal(err)
	}
	real := make(map[string]bool)
	missing := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		real[strings.TrimSpace(line)] = true
		name, _, _ := strings.Cut(line, " ")
		missing[name] = true
	}
	for _, frame := range play(t, 6_000, Traffic{CallsPerSecond: 5}) {
		name := strings.TrimPrefix(frame[:strings.Index(frame, "\r\n")], "Event: ")
		delete(missing, name)
		if line := name + " " + strings.Join(keysOf(frame)[1:], " "); !real[line] {
			t.Fatalf("not as Asterisk sends it:\n%s", line)
		}
	}
	if len(missing) > 0 {
		t.Errorf("never sent: %v", missing)
	}
}

func TestTraffic_SeedDecides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := play(t, 2000, Traffic{Seed: 1}), play(t, 2000, Traffic{Seed: 1})
		if !slices.Equal(a, b) {
			t.Error("the same seed gave other events")
		}
		if slices.Equal(a, play(t, 2000, Traffic{Seed: 2})) {
			t.Error("another seed gave the same events")
		}
	})
}

func TestTraffic_ChannelsLiveFromNewchannelToHangup(t *testing.T) {
	alive := make(map[string]bool)
	for _, frame := range play(t, 6_000, Traffic{CallsPerSecond: 5}) {
		r := frames.NewReader(strings.NewReader(frame), 1<<20)
		f, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		id := string(f.Get("Uniqueid"))
		if string(f.Name()) == "Newchannel" {
			if alive[id] {
				t.Fatalf("a second Newchannel of %s", id)
			}
			alive[id] = true
		}
		if id != "" && !alive[id] {
			t.Fatalf("%s of a channel that is not there:\n%s", f.Name(), frame)
		}
		if string(f.Name()) == "Hangup" {
			delete(alive, id)
		}
	}
	if len(alive) > 300 {
		t.Errorf("%d channels were never hung up", len(alive))
	}
}

func TestRunTraffic(t *testing.T) {
	for name, traffic := range map[string]Traffic{
		"calls":  {CallsPerSecond: 2},
		"events": {EventsPerSecond: 100},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, Config{}, func(t *testing.T, s *Server, n *Network) {
				p := loggedIn(t, n, "on")
				var got int
				var wg sync.WaitGroup
				wg.Go(func() {
					for {
						if _, err := p.r.Next(); err != nil {
							return
						}
						got++
					}
				})
				ctx, cancel := context.WithTimeout(t.Context(), 59*time.Second)
				defer cancel()
				wg.Go(func() {
					if err := s.RunTraffic(ctx, traffic); err != nil {
						t.Error(err)
					}
				})
				time.Sleep(30 * time.Second)
				if calls := len(s.live.all()); calls == 0 {
					t.Error("no live channels for the lists")
				}
				wg.Wait()
				if traffic.EventsPerSecond > 0 && got != 5900 && got != 5901 || got < 3000 || got > 9000 {
					t.Errorf("%d events in 59 s", got)
				}
				if left := len(s.live.all()); left != 0 {
					t.Errorf("%d channels left over", left)
				}
			})
		})
	}
}

func TestFlood_WaitsForTheSessions(t *testing.T) {
	simulate(t, Config{}, func(t *testing.T, s *Server, n *Network) {
		p := loggedIn(t, n, "on")
		const want = 45_000 // 18 MB, over what a session may have queued
		thaw := s.FreezeWrites()
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := s.Flood(t.Context(), want, Traffic{}); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		thaw()
		for range want {
			p.next()
		}
		wg.Wait()
		if got := s.Emitted(); got != want {
			t.Errorf("%d emitted", got)
		}
	})
}

func TestWaitEventSessions(t *testing.T) {
	simulate(t, Config{}, func(t *testing.T, s *Server, n *Network) {
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := s.WaitEventSessions(t.Context(), 1); err != nil {
				t.Error(err)
			}
		})
		loggedIn(t, n, "off")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.WaitEventSessions(ctx, 1); err == nil {
			t.Error("an action session counted")
		}
		loggedIn(t, n, "on")
		wg.Wait()
	})
}

func BenchmarkGenerator(b *testing.B) {
	g, err := newGenerator(New(Config{TimestampEvents: true}), Traffic{CallsPerSecond: 5})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		b.SetBytes(int64(len(g.next().frame)))
	}
}
