package ingest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/subject"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox/outboxtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
)

// came has text, a frame as Asterisk sends it, come to s as the event numbered
// seq.
func (s *Source) came(t *testing.T, seq uint64, text string) {
	t.Helper()
	f, err := frames.NewReader(strings.NewReader(text), 4<<20).Next()
	if err != nil {
		t.Fatal(err)
	}
	s.OnEvent(amiconn.Event{Session: "s1", Seq: seq, At: time.Unix(int64(seq), 0), Frame: f})
	if f.Kind() == frames.KindOther {
		s.OnCorrupt(f.Size) // as a session does behind it
	}
}

func named(name string) string { return "Event: " + name + "\r\n\r\n" }

// An event is published if EVENTS_ALLOW wants it and EVENTS_DENY does not; else it
// is counted as filtered, and nothing of it is kept.
func TestEvents_WhatIsWanted(t *testing.T) {
	for _, test := range []struct {
		allow, deny setting.Globs
		wanted      string
	}{
		{setting.Globs{"*"}, nil, "Hangup Newexten QueueJoin QueueLeave"},
		{setting.Globs{"*"}, setting.Globs{"New*"}, "Hangup QueueJoin QueueLeave"},
		{setting.Globs{"Queue*"}, nil, "QueueJoin QueueLeave"},
		{setting.Globs{"Queue*", "Hangup"}, setting.Globs{"QueueLeave"}, "Hangup QueueJoin"},
		{setting.Globs{"Queue*"}, setting.Globs{"*"}, ""},
	} {
		s := testSource(t)
		cfg := config.DefaultServerConfig()
		cfg.EventsAllow, cfg.EventsDeny = test.allow, test.deny
		s.SetFilter(&cfg)
		s.outbox.SetLastBefore(time.Time{})
		names := []string{"Hangup", "Newexten", "QueueJoin", "QueueLeave"}
		for round := range 2 { // the second answer is remembered
			for i, name := range names {
				s.came(t, uint64(round*len(names)+i+1), named(name))
			}
		}
		var got []string
		for {
			e, _, _, ok := s.outbox.Take(nil)
			if !ok {
				break
			}
			got = append(got, strings.TrimPrefix(e.Subject, "ami.events.pbx1."))
		}
		if want := strings.TrimSpace(test.wanted + " " + test.wanted); strings.Join(got, " ") != want {
			t.Errorf("allow %v, deny %v: %v, want %q", test.allow, test.deny, got, want)
		}
		if a := s.outbox.Account(); a.Received != 8 || a.Filtered != 8-uint64(len(got)) || a.InFlight != uint64(len(got)) {
			t.Errorf("allow %v, deny %v: %+v", test.allow, test.deny, a)
		}
	}
}

// Whatever names a peer makes up, so many are remembered and no more. Each has its
// subject all the same, cut at 64 bytes.
func TestEvents_NamesAreBounded(t *testing.T) {
	s := testSource(t)
	cfg := config.DefaultServerConfig()
	cfg.EventsDeny = setting.Globs{"Never"}
	s.SetFilter(&cfg)
	s.outbox.SetLastBefore(time.Time{})
	long := strings.Repeat("n", subject.MaxToken) + "tail"
	for i := range 3 * subject.MaxNames {
		for _, name := range []string{fmt.Sprint("Name", i), fmt.Sprint(long, i)} {
			s.came(t, uint64(i+1), named(name))
			e, _, _, ok := s.outbox.Take(nil)
			if want := "ami.events.pbx1." + name[:min(len(name), subject.MaxToken)]; !ok || e.Subject != want {
				t.Fatalf("%s: %q, want %q", name, e.Subject, want)
			}
			s.outbox.Ack()
		}
	}
	if n := len(s.verdicts); n != subject.MaxNames {
		t.Errorf("%d answers are remembered", n)
	}
}

// What cannot be published is counted with its reason, told in the log and by a
// Gap in its place; a byte that is no text is replaced and counted.
func TestEvents_WhatCannotBePublished(t *testing.T) {
	s := testSource(t)
	core, logs := observer.New(zap.WarnLevel)
	s.log = zap.New(core)
	s.outbox.SetLastBefore(time.Time{})
	line := "X: " + strings.Repeat("\x01", 200) + "\r\n" // each byte is six as JSON
	s.came(t, 1, "Event: Wide\r\n"+strings.Repeat(line, 900)+"\r\n")
	s.came(t, 2, "what is this\r\n\r\n")
	s.came(t, 3, "Event: Text\r\nX: \xff\xfe\r\n\r\n")
	a := s.outbox.Account()
	if a.Received != 3 || a.Queued != 1 || a.Dropped[outbox.DropOversize] != 1 || a.Dropped[outbox.DropCorrupt] != 1 {
		t.Errorf("%+v", a)
	}
	if n := s.corrupt.Load(); n != 1 {
		t.Errorf("%d corrupt frames", n)
	}
	if n := s.replaced.Load(); n != 2 {
		t.Errorf("%d bytes were replaced", n)
	}
	for message, n := range map[string]int{"event dropped": 1, "corrupt frame": 1} {
		if got := logs.FilterMessage(message).Len(); got != n {
			t.Errorf("%d lines %q", got, message)
		}
	}
	if got := outboxtest.Drain(t, s.outbox); strings.Join(got, " ") != "oversize:1 corrupt:1 {\"Event\":\"Text\",\"X\":\"\ufffd\ufffd\"}" {
		t.Errorf("%q", got)
	}
}

// What the settings say of names changes from one event to the next. A filter that
// stays the same keeps what it remembers.
func TestEvents_TheFilterChanges(t *testing.T) {
	s := testSource(t)
	cfg := config.DefaultServerConfig()
	before := s.filter.Load()
	s.SetFilter(&cfg)
	if s.filter.Load() != before {
		t.Error("a filter that stays was made anew, with all that it remembers")
	}
	cfg.EventsDeny, cfg.ShedFirst = setting.Globs{"RTCP*"}, setting.Globs{"Newexten"}
	s.SetFilter(&cfg)
	for event, want := range map[string]verdict{"Newexten": sheddable, "RTCPSent": unwanted, "Hangup": wanted} {
		if got := s.classify([]byte(event)); got != want {
			t.Errorf("%s is judged %v, want %v", event, got, want)
		}
	}
}

// An event in whose handling the code panics is lost, and counted so: also one that
// nobody wants.
func TestEvents_APanicIsALoss(t *testing.T) {
	s := testSource(t)
	s.outbox.SetLastBefore(time.Time{})
	s.filter.Store(nil)
	for i, name := range []string{"Wanted", "Unwanted"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed: nobody says what was wrong")
				}
			}()
			s.came(t, uint64(i+1), named(name))
		}()
	}
	if a := s.outbox.Account(); a.Received != 2 || a.Dropped[outbox.DropPanic] != 2 {
		t.Errorf("%+v", a)
	}
}
