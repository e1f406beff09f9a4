package top

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
	"github.com/nats-io/nats.go"
)

// The events of a server are looked at while its page is open, through what has been typed, once it is whole.
func TestScreen_Events(t *testing.T) {
	t.Parallel()
	f := &fed{snap: ill()}
	s := NewScreen(f, colour, func() time.Time { return night }, nil)
	s.Update(tea.WindowSizeMsg{Width: 100, Height: 30})
	for _, key := range []string{"e", "/", "H", "*"} {
		s.Update(tea.KeyPressMsg{Code: rune(key[0]), Text: key})
	}
	s.Update(tea.KeyPressMsg{Code: tea.KeyEnter})
	screen := sgr.ReplaceAllString(s.View().Content, "")
	for _, want := range []string{"servers / pbx-ber-03 / events", "1 of 7 since it was opened", "/H*", "Hangup", "Cause=16", "Channel", "PJSIP/1"} {
		if !strings.Contains(screen, want) {
			t.Errorf("%q is not on\n%s", want, screen)
		}
	}
	s.Update(tea.KeyPressMsg{Code: tea.KeyEscape})
	if got, want := fmt.Sprint(f.taps), "[pbx-ber-03  pbx-ber-03 H*  ]"; got != want {
		t.Errorf("it looked at %s, want %s", got, want)
	}
}

// What a server sends is seen through the filter, the newest first and not without bound; another server
// takes its place, and what is wrong is said.
func TestReader_Tap(t *testing.T) {
	t.Parallel()
	url := natstest.Start(t, t.TempDir(), 0).ClientURL()
	nc, _ := natstest.Client(t, url)
	opts := ReaderOptions{Prefix: "ami", Interval: time.Hour, NATS: url, Connect: dialer(url)}
	opts.Tap = func(server, filter string) (*Tapping, error) {
		if filter == "[" {
			return nil, errors.New("no pattern of names")
		}
		return &Tapping{Subject: "ami.events." + server + ".*", Note: "a note", Event: func(m *nats.Msg) (Event, bool) {
			return Event{Name: m.Subject, Says: string(m.Data)}, filter == "" || strings.HasSuffix(m.Subject, filter)
		}}, nil
	}
	r := start(t, opts)
	within(t, "connected", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.up && r.conn != nil })
	r.Tap("a", "Hangup")
	flush := func() {
		t.Helper()
		r.mu.Lock()
		conn := r.conn
		r.mu.Unlock()
		if err := errors.Join(conn.Flush(), nc.Flush()); err != nil {
			t.Fatal(err)
		}
	}
	flush()
	for i := range tapEvents + 10 {
		_ = nc.Publish("ami.events.a.Hangup", fmt.Append(nil, i))
		_ = nc.Publish("ami.events.a.Newchannel", nil)
		_ = nc.Publish("ami.events.b.Hangup", nil)
	}
	within(t, "all have come", func() bool { return r.Events().Of == 2*(tapEvents+10) })
	seen := r.Events()
	if len(seen.Events) != tapEvents || seen.Seen != tapEvents+10 || seen.Events[0].Says != fmt.Sprint(tapEvents+9) || seen.Subject != "ami.events.a.*" || seen.Note != "a note" {
		t.Errorf("%d events, %d seen, the newest %q of %s: %s", len(seen.Events), seen.Seen, seen.Events[0].Says, seen.Subject, seen.Note)
	}
	r.Tap("b", "")
	flush()
	_ = nc.Publish("ami.events.a.Hangup", nil)
	_ = nc.Publish("ami.events.b.Hangup", nil)
	within(t, "the other's has come", func() bool { return r.Events().Of == 1 })
	if got := r.Events().Events[0].Name; got != "ami.events.b.Hangup" {
		t.Errorf("of b it sees %s", got)
	}
	r.Tap("b", "[")
	if note := r.Events().Note; note != "no pattern of names" {
		t.Errorf("of what is no filter it says %q", note)
	}
	r.Tap("", "")
	if seen := r.Events(); seen.Subject != "" || seen.Note != "" || len(seen.Events) != 0 {
		t.Errorf("when nobody looks there is %+v", seen)
	}
	large := strings.Repeat("x", tapBytes/8)
	r.Tap("a", "")
	flush()
	for range 20 {
		_ = nc.Publish("ami.events.a.Hangup", []byte(large))
		flush()
	}
	within(t, "all that is large has come", func() bool { return r.Events().Of == 20 })
	if n := len(r.Events().Events); n < 1 || n > 8 {
		t.Errorf("it keeps %d events of %d bytes", n, len(large))
	}
	r.opts.Tap = nil
	r.Tap("a", "")
	if note := r.Events().Note; note == "" {
		t.Error("without NATS nothing is said")
	}
}

// Who asks for events before NATS is there sees them once it is.
func TestReader_TapBeforeNATS(t *testing.T) {
	t.Parallel()
	nc, _ := natstest.Client(t, natstest.Start(t, t.TempDir(), 0).ClientURL())
	r := NewReader(ReaderOptions{
		Prefix: "ami", Interval: time.Hour, Connect: func(...nats.Option) (*nats.Conn, error) { return nc, nil },
		Tap: func(server, filter string) (*Tapping, error) {
			return &Tapping{Subject: "ami.events." + server + "." + filter, Event: func(m *nats.Msg) (Event, bool) { return Event{}, true }}, nil
		},
	})
	r.Tap("a", "Hangup")
	if seen := r.Events(); seen.Note != "NATS is not connected" {
		t.Errorf("%+v", seen)
	}
	r.have(nc)
	if err := errors.Join(nc.Publish("ami.events.a.Hangup", nil), nc.Flush()); err != nil {
		t.Fatal(err)
	}
	within(t, "the event is seen", func() bool { return r.Events().Of == 1 })
	if seen := r.Events(); seen.Note != "" {
		t.Errorf("%+v", seen)
	}
	r.Tap("", "")
}

// Where NATS was away there is a line that says so: events came meanwhile that nobody has seen.
func TestReader_TapWhileNATSIsAway(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, t.TempDir(), 0)
	url := server.ClientURL()
	opts := ReaderOptions{Prefix: "ami", Interval: time.Hour, NATS: url, Connect: dialer(url)}
	opts.Tap = func(server, filter string) (*Tapping, error) {
		return &Tapping{Subject: "ami.events." + server + ".*", Event: func(m *nats.Msg) (Event, bool) { return Event{Name: m.Subject}, true }}, nil
	}
	r := start(t, opts)
	within(t, "connected", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.up && r.conn != nil })
	r.Tap("a", "")
	server.Shutdown()
	server.WaitForShutdown()
	within(t, "it says that nothing is seen", func() bool { return strings.HasPrefix(r.Events().Note, "NATS is away: nothing is seen") })
	var port int
	if _, err := fmt.Sscanf(url, "nats://127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	nc, _ := natstest.Client(t, natstest.Start(t, t.TempDir(), port).ClientURL())
	within(t, "events are seen again", func() bool { _ = nc.Publish("ami.events.a.Hangup", nil); return r.Events().Of > 0 })
	seen := r.Events()
	if oldest := seen.Events[len(seen.Events)-1]; !oldest.Gap || oldest.Name != "NOT SEEN" || !strings.HasPrefix(oldest.Says, "NATS was away for ") || seen.Note != "" {
		t.Errorf("%q, before all of it %+v", seen.Note, oldest)
	}
}
