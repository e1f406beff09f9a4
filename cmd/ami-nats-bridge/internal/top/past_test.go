package top

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// Of a server of which nothing is heard a session is not up, but was, and it is not counted for how long.
func TestRender_SessionsOfASilentServer(t *testing.T) {
	t.Parallel()
	f := newFleet()
	f.node("b1", []string{"pbx1"})
	f.session("pbx1", "event", "up", night.Add(-148*time.Hour))
	f.breaker("pbx1", "closed", night.Add(-148*time.Hour))
	for since, silent := range map[time.Duration]bool{time.Second: false, time.Hour: true} {
		snap := f.Snapshot(f.now.Add(since), view.NumbersNone)
		for _, screen := range []string{Text(snap, UI{Page: PageServer, Selected: "pbx1"}, 120, 40, noColor), Text(snap, UI{Selected: "pbx1"}, 120, 40, noColor)} {
			if strings.Contains(screen, "o up ") == silent || strings.Contains(screen, "? up ") != silent || strings.Contains(screen, "o closed") == silent || silent && strings.Contains(screen, " up 6d") {
				t.Errorf("after %v:\n%s", since, screen)
			}
		}
	}
}

// What is not all known is said below the floor, and above a server's calls.
func TestFloor_WhatIsNotAllKnown(t *testing.T) {
	t.Parallel()
	snap := floor()
	server := snap.Server("pbx-ber-01")
	server.Present.Missing = "caller (timeout)"
	for page, want := range map[Page]string{PageFloor: "pbx-ber-01: not all is known: caller (timeout).", PageCalls: " not all is known: caller (timeout)."} {
		if screen := Text(snap, UI{Page: page, Selected: "pbx-ber-01", Agents: page == PageFloor}, 120, 24, noColor); !strings.Contains(screen, want) {
			t.Errorf("got:\n%s", screen)
		}
	}
}

// Where NATS brings nothing any more, though nobody has closed the connection, events say so; not where no bridge has ever said
// anything, for that may not be permitted.
func TestEvents_OfASilentNATS(t *testing.T) {
	t.Parallel()
	r := NewReader(ReaderOptions{Prefix: "ami", Interval: time.Minute})
	r.up, r.tap = true, &tap{sub: new(nats.Subscription)}
	for ago, want := range map[time.Duration]string{0: "", 10 * time.Minute: "no bridge has said anything for 10 min: events may be late, or not come"} {
		if r.lastMessage = time.Now().Add(-ago); r.Events().Note != want {
			t.Errorf("after %v: %q", ago, r.Events().Note)
		}
	}
	if r.lastMessage = (time.Time{}); r.Events().Note != "" {
		t.Errorf("without a word: %q", r.Events().Note)
	}
}

// A queue that is stale since another day says since which.
func TestFloor_AQueueThatIsStaleForDays(t *testing.T) {
	t.Parallel()
	snap := floor()
	snap.Floor.Queues[4].AsOf = view.Time{Time: snap.At.Add(-72 * time.Hour)}
	if screen := Text(snap, UI{Page: PageFloor}, 120, 40, noColor); !strings.Contains(screen, "as of "+view.Moment(snap.Floor.Queues[4].AsOf, snap.At.Time)+", stale") {
		t.Errorf("got:\n%s", screen)
	}
}
