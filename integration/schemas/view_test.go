package schemas

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// What a bridge says of itself, in good days and in bad ones, package view
// understands to the last message: it ignores none, each server has a state and a
// word at any moment, and the worst days have been seen.
func TestView_UnderstandsEveryMessage(t *testing.T) {
	t.Parallel()
	said, _ := everyMessage(t)
	model := view.New(view.Options{Interval: 100 * time.Millisecond})
	states, changes := map[view.State]bool{}, map[string]bool{}
	for _, msg := range said {
		if !strings.HasPrefix(msg.Subject, "ami.status.") && !strings.HasPrefix(msg.Subject, "ami.nodes.") {
			continue
		}
		snap := understood(t, model, msg)
		for _, s := range snap.Servers {
			states[s.State] = true
			if s.Word == "" || s.State.Ill() && s.Why == "" {
				t.Errorf("it says nothing of %s after %s %s", s.Name, msg.Subject, msg.Data)
			}
			if a := s.Account; a != nil && a.Received != a.Published+a.Filtered+a.Queued+a.InFlight+a.DroppedSum() {
				t.Errorf("the account of %s does not add up: %+v", s.Name, a)
			}
		}
		for _, c := range snap.Changes {
			changes[c.Server+" "+c.What] = true
		}
	}
	for _, want := range []view.State{view.StateWell, view.StateDown, view.StateLosing, view.StateTrouble} {
		if !states[want] {
			t.Errorf("no server was ever %s", want.Word())
		}
	}
	for _, want := range []string{"pbx1 up", "pbx1 breaker closed", "pbx1 drops begin: overflow", "pbx1 outbox full", "pbx1 outbox drained"} {
		if !changes[want] {
			t.Errorf("%q was no news; there was %v", want, changes)
		}
	}
}

// understood has the model take a message, none of which it ignores, at the time that it says.
func understood(t *testing.T, model *view.Model, msg *nats.Msg) *view.Snapshot {
	t.Helper()
	var about struct{ At time.Time }
	if err := json.Unmarshal(msg.Data, &about); err != nil {
		t.Fatal(err)
	}
	model.Status(msg.Subject, msg.Data, about.At)
	model.Tick(about.At)
	snap := model.Snapshot(about.At, view.NumbersNone)
	if snap.Ignored != 0 {
		t.Fatalf("it ignores %s %s", msg.Subject, msg.Data)
	}
	return snap
}

// So it does what two bridges say that share a server: who leads is who says so last.
func TestView_UnderstandsTwoBridges(t *testing.T) {
	t.Parallel()
	model := view.New(view.Options{Interval: 100 * time.Millisecond})
	leaders, states := map[string]bool{}, map[view.State]bool{}
	for _, msg := range everySharedMessage(t, func(*prometheus.Registry) {}) {
		snap := understood(t, model, msg)
		for _, s := range snap.Servers {
			states[s.State] = true
			if s.HA == nil {
				continue
			}
			leaders[s.HA.Text()] = true
			if s.HA.Leader != "" && s.Node != s.HA.Leader { // that nobody leads yet, on a slow machine, the first one says
				t.Errorf("%s, and %s speaks after %s %s", s.HA.Text(), s.Node, msg.Subject, msg.Data)
			}
		}
	}
	for _, want := range []string{"b1 leads", "b1 leads, b2 apart: filters", "b2 leads"} {
		if !leaders[want] {
			t.Errorf("it never said that %s, but %v", want, leaders)
		}
	}
	if !states[view.StateWell] {
		t.Errorf("the server was never well, but %v", states)
	}
}
