package ha

import (
	"fmt"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// observed is a Node whose connections are up, and a server of it at a time of its own.
type observed struct {
	*Node
	s   *server
	now time.Time
}

func newObserved(t *testing.T) *observed {
	t.Helper()
	cfg := config.DefaultConfig()
	cfg.Node, cfg.NATS.URL = "b1", natstest.Serve(t, nil).ClientURL()
	login := natsconn.NewLogin(cfg.NATS, func(setting.Secret) {}, zap.NewNop())
	events := natsconn.New(natsconn.Options{Name: "events", Config: &cfg, Login: login, Log: zap.NewNop()})
	if err := events.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { events.Get().Close() })
	natstest.Within(t, "the connection", func() bool { return events.Up() && events.Connected() > 0 }) // which is counted a moment later
	box, epochs := outbox.New(1<<20, "gap", outbox.NewBudget(1<<20, 1), func() {}), 0
	box.Share(outbox.ShareOptions{Most: 1000, Stored: func() {}, Drained: func() {}, Epoch: func() string { epochs++; return fmt.Sprint("e", epochs) }})
	roster := standby.NewRoster("b1", "i1", 1, cfg.HASilence)
	roster.Serve([]string{"pbx1"})
	o := &observed{Node: &Node{o: Options{Config: &cfg, Events: events}, roster: roster}, now: time.Unix(1000, 0)}
	o.s = &server{Server: Server{Name: "pbx1", Outbox: box}, machine: standby.NewLeading("pbx1", "b1", "i1", cfg.HASilence, o.now)}
	o.s.link.Store(&link{func() {}, func() bool { return true }})
	return o
}

// want passes some time and wants the bridge to be unable to do that.
func (o *observed) want(t *testing.T, after time.Duration, want standby.Unable) {
	t.Helper()
	o.now = o.now.Add(after)
	o.watch(o.s, o.now)
	heir, _ := o.roster.Successor("pbx1", o.now)
	if got := o.unable(o.s, heir, o.now); got != want {
		t.Fatalf("it is unable: %q, want %q", got, want)
	}
}

// lead has the bridge lead, with so many events.
func (o *observed) lead(events int) {
	tail, _ := o.s.Outbox.Tail("pbx1", o.now)
	o.s.Outbox.Begin(tail, nil)
	o.s.led = true
	for i := range events {
		o.s.Outbox.Push(outbox.Entry{At: 1}, fmt.Append(nil, i), false)
	}
}

// stand has another lead.
func (o *observed) stand() {
	o.s.Outbox.Stand(9, o.now)
	o.s.led = false
	o.stood(o.s, o.now)
}

// A leader is mute while nothing is stored of what waits, be both connections up, and for a
// while after another leads: longer each time, until it has stored for as long again.
func TestUnable_MuteWhileNothingIsStored(t *testing.T) {
	o := newObserved(t)
	o.want(t, time.Hour, "")
	o.lead(0)
	o.want(t, 0, "")
	o.want(t, time.Hour, "") // nothing waits
	o.stand()
	span := muteSpan
	for range 9 {
		o.want(t, 0, "")
		o.lead(3)
		o.want(t, 0, "")
		o.want(t, o.o.Config.HASilence-1, "")
		o.want(t, 1, standby.Mute)
		o.stand()
		o.want(t, span-1, standby.Mute)
		o.want(t, 1, "")
		span = min(2*span, maxMuteSpan)
	}
	o.lead(3)
	o.want(t, 0, "")
	o.want(t, time.Minute, standby.Mute)
	push := func() { o.s.Outbox.Push(outbox.Entry{At: 1}, nil, false) }
	store := func(after time.Duration) {
		t.Helper()
		o.now = o.now.Add(after)
		push()
		o.s.Outbox.Take(nil)
		o.s.Outbox.Ack()
		o.want(t, 0, "")
	}
	store(0)
	store(maxMuteSpan - 2*time.Minute) // a minute too early
	push()
	o.want(t, 0, "")
	o.want(t, time.Minute, standby.Mute)
	o.stand()
	o.want(t, maxMuteSpan-1, standby.Mute)
	o.want(t, 1, "")
	o.lead(0)
	store(0)
	store(maxMuteSpan)
	push()
	o.want(t, 0, "")
	o.want(t, o.o.Config.HASilence, standby.Mute)
	o.stand()
	o.want(t, muteSpan-1, standby.Mute)
	o.want(t, 1, "")
}

// A leader whose session brings nothing is deaf if who would lead next holds an event for
// longer than a silence. It is not while something waits, or is stored.
func TestUnable_DeafWhileAnotherHoldsEvents(t *testing.T) {
	o := newObserved(t)
	silence := o.o.Config.HASilence
	seq := uint64(0)
	heard := func(state string, oldest time.Duration) {
		seq++
		h := &standby.Heartbeat{Node: "b2", Incarnation: "i2", Seq: seq, Weight: 1, Stands: []standby.Stands{
			{Server: "pbx1", State: state, OldestMS: oldest.Milliseconds()},
		}}
		if err := o.roster.Observe(h, o.now); err != nil {
			t.Fatal(err)
		}
	}
	o.lead(0)
	o.want(t, 0, "")
	heard("in_sync", silence)
	o.want(t, silence-1, "") // it may be on its way to this one
	o.want(t, 1, standby.Deaf)
	heard("in_sync", silence-time.Millisecond)
	o.want(t, 0, "")
	heard("joining", silence)
	o.want(t, 0, "")
	heard("in_sync", silence)
	o.want(t, 0, standby.Deaf)
	o.s.Outbox.Push(outbox.Entry{At: 1}, nil, false)
	o.want(t, 0, "")
	o.s.Outbox.Take(nil)
	o.s.Outbox.Ack()
	o.want(t, 0, "")
	o.want(t, 2*silence, "") // the one heard is silent
	heard("in_sync", silence)
	o.want(t, 0, standby.Deaf)
	o.stand()
	o.want(t, 0, "")
}

// The batches of one that yields are ended once, but if it was mute, for then something may
// be in flight still.
func TestUnable_BatchesOfOneThatWasMuteAreEndedAgain(t *testing.T) {
	for _, test := range []struct {
		reason     string
		mute, once bool
	}{{"yield", false, true}, {"yield", true, false}, {"silence", false, false}, {"silence", true, false}} {
		s := &server{mute: test.mute}
		if got := s.endsOnce(test.reason); got != test.once {
			t.Errorf("%s, mute: %v: once: %v", test.reason, test.mute, got)
		}
	}
}

// A connection for events that is made anew, or a session for Actions, tells at once.
func TestUnable_ByItsConnections(t *testing.T) {
	o := newObserved(t)
	o.lead(3)
	o.want(t, 0, "")
	o.want(t, time.Minute, standby.Mute)
	o.stand()
	o.want(t, 0, standby.Mute)
	n := o.o.Events.Connected()
	if err := o.o.Events.Get().ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	natstest.Within(t, "the connection is made anew", func() bool { return o.o.Events.Up() && o.o.Events.Connected() > n })
	o.want(t, 0, "")
	o.s.link.Store(&link{func() {}, func() bool { return false }})
	o.want(t, 0, standby.NoActions)
	o.o.Events.Get().Close()
	natstest.Within(t, "the connection is gone", func() bool { return !o.o.Events.Up() })
	o.want(t, 0, standby.Mute)
}
