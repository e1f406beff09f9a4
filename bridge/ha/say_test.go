package ha

import (
	"errors"
	"fmt"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// saying has the machine take in e, of a session that is up, and its outbox do what it says.
func (o *observed) saying(e standby.Event) {
	o.s.machine.Step(o.now, standby.View{Session: true, InSync: true, Fresh: true}, e)
	if !o.s.machine.Leads() {
		o.stand()
		return
	}
	o.s.led = true
}

// A bridge that claims anew what it led says that it stands by, in sync, or, where something
// keeps it from leading, that it tries to read: never nothing.
func TestSays_WhoClaimsAnewIsHeard(t *testing.T) {
	o := newObserved(t)
	o.s.begun.Store(true)
	o.have([]*server{o.s})
	o.s.place.reads = true
	o.s.machine = standby.NewLeading("pbx1", "b1", "i1", o.o.Config.HASilence, o.now)
	o.s.up.Store(1)
	o.lead(0)
	o.now = o.now.Add(o.o.Config.HASilence)
	for _, e := range []standby.Event{
		{Kind: standby.Tick}, {Kind: standby.SawTerm}, {Kind: standby.Wrote, Seq: 1}, {Kind: standby.Wrote, Seq: 2}, {Kind: standby.Read, Exact: true},
	} {
		o.s.machine.Step(o.now, standby.View{Session: true, InSync: true, Fresh: true}, e)
	}
	if l, b := o.says(o.s, o.now); l == nil || b != nil {
		t.Fatalf("who leads says %+v, %+v", l, b)
	}
	o.now = o.now.Add(o.o.Config.HASilence)
	o.saying(standby.Event{Kind: standby.Refused})
	if l, b := o.says(o.s, o.now); l != nil || b == nil || b.State != standby.InSync.String() || len(o.tries(o.now)) > 0 {
		t.Fatalf("who claims anew says %+v, %+v, and tries %v", l, b, o.tries(o.now))
	}
	why := errors.New("no right")
	o.hindered.Store(&why)
	if l, b := o.says(o.s, o.now); l != nil || b != nil || len(o.tries(o.now)) != 1 {
		t.Fatalf("who is kept from it says %+v, %+v, and tries %v", l, b, o.tries(o.now))
	}
}

// Who yields though something is in flight says that it is mute: its batch has to be ended again and
// again, for what is in flight may be stored late.
func TestSays_WhoYieldsWithSomethingInFlight(t *testing.T) {
	for _, drained := range []bool{true, false} {
		o := newObserved(t)
		o.lead(0)
		v := standby.View{Session: true, InSync: true, Fresh: true, Successor: "b2", HeirSync: true}
		o.now = o.now.Add(o.o.Config.HASilence)
		for _, e := range []standby.Event{
			{Kind: standby.Tick}, {Kind: standby.SawTerm}, {Kind: standby.Wrote, Seq: 1}, {Kind: standby.Wrote, Seq: 2}, {Kind: standby.Read, Exact: true},
			{Kind: standby.FirstStored}, {Kind: standby.Handover},
		} {
			o.s.machine.Step(o.now, v, e)
		}
		end := standby.Event{Kind: standby.Drained}
		if !drained {
			o.now, end.Kind = o.now.Add(time.Second), standby.Tick
		}
		o.s.machine.Step(o.now, v, end)
		l, _ := o.says(o.s, o.now)
		if l == nil || l.Yields != "b2" || (l.Unable == standby.Mute) == drained {
			t.Errorf("drained: %v: it says %+v", drained, l)
		}
	}
}

// What a bridge says of a thousand servers reaches the others, be it more than NATS takes in
// one message.
func TestSays_MoreThanNATSTakes(t *testing.T) {
	cfg := config.DefaultConfig()
	cfg.Node, cfg.NATS.URL = "b1", natstest.Serve(t, func(o *natsserver.Options) { o.MaxPayload = 16 << 10 }).ClientURL()
	conn := natsconn.New(natsconn.Options{
		Name: "control", Config: &cfg, Login: natsconn.NewLogin(cfg.NATS, func(setting.Secret) {}, zap.NewNop()), Log: zap.NewNop(),
	})
	if err := conn.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Get().Close() })
	natstest.Within(t, "the connection", conn.Up)
	heard := make(chan []byte, 1000)
	if _, err := conn.Subscribe("ami.ha.*", "", func(m *nats.Msg) { heard <- m.Data }); err != nil {
		t.Fatal(err)
	}
	n := &Node{o: Options{Config: &cfg, Conn: conn}, log: zap.NewNop()}
	h := &standby.Heartbeat{Node: "b1", Incarnation: "i1", Seq: 1, Weight: 1}
	for i := range 1000 {
		h.Stands = append(h.Stands, standby.Stands{Server: fmt.Sprint("pbx", i), State: "in_sync", Term: 7, AgeMS: 123456})
	}
	n.publish(h)
	if n.pause != beat {
		t.Errorf("the next may be %v later", n.pause)
	}
	other := standby.Parts{}
	for {
		select {
		case data := <-heard:
			got, err := standby.DecodeHeartbeat(data)
			if err == nil {
				got, err = other.Add(got, time.Now())
			}
			if err != nil {
				t.Fatal(err)
			}
			if got != nil && len(got.Stands) == len(h.Stands) {
				return
			}
		case <-time.After(natstest.Patience):
			t.Fatal("it is not heard")
		}
	}
}
