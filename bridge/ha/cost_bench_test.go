//go:build linux

package ha

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strconv"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/costtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// BenchmarkShare is what a second of sharing costs one of ten bridges of a thousand servers,
// each read by two: hearing the others, the ticks, its own beats. It is the thread's time on
// the processor, and how often as long as encoding/json takes for the same Heartbeats.
func BenchmarkShare(b *testing.B) {
	for _, name := range []string{"idle", "events"} {
		b.Run(name, func(b *testing.B) {
			w, moves := newShared(b, 10, 1000), name == "events" // four a second of each server
			w.second(b, moves)                                   // what is new to it
			w.bill = bill{}
			seconds := 0
			for b.Loop() {
				w.second(b, moves)
				seconds++
			}
			w.verify(b)
			all := w.bill
			each := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 / float64(seconds) }
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(each(all.hears), "ms-hear/s")
			b.ReportMetric(each(all.ticks), "ms-tick/s")
			b.ReportMetric(each(all.beats), "ms-beat/s")
			b.ReportMetric(each(all.hears+all.ticks+all.beats), "ms/s")
			b.ReportMetric(float64(all.hears+all.ticks+all.beats)/float64(all.json), "to-json")
			b.ReportMetric(float64(all.allocated)/float64(seconds)/1024, "KiB/s")
		})
	}
}

// A tick of servers that are led, stood by for in sync, or not read, and at which nothing is
// due, allocates nothing.
func TestTick_AllocatesNothing(t *testing.T) {
	w := newShared(t, 3, 60)
	w.second(t, true)
	w.verify(t)
	if n := costtest.Allocations(func() { w.hinderedAt = time.Now(); w.tick() }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// bill is what it all has taken.
type bill struct {
	hears, ticks, beats, json time.Duration
	allocated                 uint64
}

// shared is a Node, and what others say to it.
type shared struct {
	*Node
	servers []*sharedServer
	others  []string
	list    standby.Sum
	seq     uint64
	bill    bill
}

// sharedServer is a server, by whom it is led and who stands by.
type sharedServer struct {
	name            string
	leader, standby string
	ledger          *standby.Ledger // of its leader
	s               *server
	events          int
}

// newShared returns the first of so many bridges of so many servers, at a moment when all are led.
func newShared(b testing.TB, bridges, servers int) *shared {
	b.Helper()
	cfg := config.DefaultConfig()
	cfg.Node, cfg.NATS.URL, cfg.HASilence = "b1", natstest.Serve(b, nil).ClientURL(), time.Hour // nobody is silent, however slow this is
	dial := func(name string) *natsconn.Conn {
		c := natsconn.New(natsconn.Options{
			Name: name, Config: &cfg, Login: natsconn.NewLogin(cfg.NATS, func(setting.Secret) {}, zap.NewNop()), Log: zap.NewNop(),
		})
		if err := c.Open(); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { c.Get().Close() })
		natstest.Within(b, "the connection", c.Up)
		return c
	}
	n, err := New(Options{
		Config: &cfg, Conn: dial("control"), Events: dial("events"), Incarnation: "i1", Log: zap.NewNop(),
		Epoch: func() string { return "e1" }, Unshared: func() error { return nil }, Place: func([]string, []string) {},
	})
	if err != nil {
		b.Fatal(err)
	}
	w := &shared{Node: n, seq: 1}
	n.began = n.began.Add(-cfg.HASilence - 20*time.Second) // batches are ended no more, and the term is not renewed yet
	n.lookedAt, n.places.beganAt = time.Now(), n.began.Add(-cfg.HASilence)
	var names []string
	for i := range servers {
		names = append(names, fmt.Sprint("pbx", i+1))
	}
	w.list = standby.ListHash(names)
	ranks := standby.NewRoster("b1", "i1", 1, cfg.HASilence)
	ranks.Serve(names)
	for i := 1; i < bridges; i++ {
		w.others = append(w.others, fmt.Sprint("b", i+1))
		h := &standby.Heartbeat{Node: w.others[i-1], Incarnation: "i", Seq: 1, Weight: 1, List: standby.ListHash(names), Servers: names}
		if err := ranks.Observe(h, time.Now()); err != nil {
			b.Fatal(err)
		}
		w.hear(b, h)
	}
	for _, name := range names {
		ranked := ranks.Ranked(name, time.Now())
		w.add(b, &sharedServer{name: name, leader: ranked[0], standby: ranked[1], ledger: standby.NewLedger("e1", 0)})
	}
	n.serve()
	return w
}

// add adds a server.
func (w *shared) add(b testing.TB, one *sharedServer) {
	box := outbox.New(1<<20, "gap", outbox.NewBudget(1<<30, 1), func() {})
	h := w.Add(Server{Name: one.name, Outbox: box, Most: 1000, Changed: func(bool) {}})
	h.s.machine = standby.NewLeading(one.name, "b1", "i1", w.o.Config.HASilence, w.began)
	h.Begin(func() {}, func() {})
	h.Follow(func() {}, func() bool { return true })
	h.Copies(2)
	one.s = h.s
	w.servers = append(w.servers, one)
	if one.leader != "b1" && one.standby != "b1" {
		return
	}
	w.read(one.s, true)
	one.s.up.Store(int64(time.Second))
	tail, _ := box.Tail(one.name, time.Now())
	box.Begin(tail, nil)
	if one.standby == "b1" {
		box.Stand(1, time.Now())
		if how := box.Shared(0); how.State != standby.InSync {
			b.Fatalf("%s is %v", one.name, how.State)
		}
		return
	}
	at := w.began.Add(w.o.Config.HASilence)
	for _, e := range []standby.Event{
		{Kind: standby.Tick}, {Kind: standby.SawTerm}, {Kind: standby.Wrote, Seq: 1}, {Kind: standby.Wrote, Seq: 2}, {Kind: standby.Read, Exact: true}, {Kind: standby.FirstStored},
	} {
		one.s.machine.Step(at, standby.View{Session: true, InSync: true, Fresh: true}, e)
	}
	w.let(one.s)
	if !one.s.led {
		b.Fatalf("%s is not led", one.name)
	}
}

// time returns for how long this thread is on the processor while f runs, and adds what f
// allocates.
func (w *shared) time(b testing.TB, f func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, after unix.Timespec
	var heapBefore, heapAfter runtime.MemStats
	runtime.ReadMemStats(&heapBefore)
	err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &before)
	f()
	if err == nil {
		err = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &after)
	}
	if err != nil {
		b.Fatal(err)
	}
	runtime.ReadMemStats(&heapAfter)
	w.bill.allocated += heapAfter.TotalAlloc - heapBefore.TotalAlloc
	return time.Duration(after.Nano() - before.Nano())
}

// hear has the Node hear what another bridge says.
func (w *shared) hear(b testing.TB, h *standby.Heartbeat) {
	data, err := h.Encode()
	if err != nil {
		b.Fatal(err)
	}
	w.bill.hears += w.time(b, func() { w.receive(data) })
	allocated := w.bill.allocated
	w.bill.json += w.time(b, func() {
		var again standby.Heartbeat
		if err := json.Unmarshal(data, &again); err != nil {
			b.Error(err)
		}
	})
	w.bill.allocated = allocated
}

// second is a second of it: four beats of each bridge, twenty ticks of this one.
func (w *shared) second(b testing.TB, moves bool) {
	for range 4 {
		if moves {
			for _, one := range w.servers {
				w.raise(one)
			}
		}
		w.seq++
		for _, node := range w.others {
			w.hear(b, w.says(node))
		}
		for range 5 {
			w.bill.ticks += w.time(b, w.tick)
		}
		w.places.movedAt = time.Time{}
		w.bill.beats += w.time(b, func() { w.beat(time.Now()) })
		for len(w.asks) > 0 {
			<-w.asks // nothing is asked of a stream here
		}
	}
}

// raise has the server raise an event, which its leader has stored and both have read.
func (w *shared) raise(one *sharedServer) {
	one.events++
	payload := strconv.AppendInt(nil, int64(one.events), 10)
	n, _ := one.ledger.Send(standby.Hash(payload)) // all before is stored
	one.ledger.Ack(n)
	switch "b1" {
	case one.leader:
		one.s.Outbox.Push(outbox.Entry{At: time.Now().UnixNano()}, payload, false)
		one.s.Outbox.Take(nil)
		one.s.Outbox.Ack()
	case one.standby:
		one.s.Outbox.Push(outbox.Entry{At: time.Now().UnixNano()}, payload, false)
	}
}

// verify wants all to be as it was.
func (w *shared) verify(b testing.TB) {
	b.Helper()
	for _, one := range w.servers {
		how, standing := one.s.Outbox.Shared(0), one.s.known.standing.Load()
		switch {
		case standing == nil || standing.Leader != one.leader || len(standing.Standbys) != 1 || standing.Standbys[0].Node != one.standby:
			b.Fatalf("%s stands %+v", one.name, standing)
		case one.leader == "b1" && (!one.s.led || !one.s.open), one.standby == "b1" && (how.State != standby.InSync || how.Lag > 0):
			b.Fatalf("%s is %+v, led %v", one.name, how, one.s.led)
		}
	}
}

// says is what another bridge says.
func (w *shared) says(node string) *standby.Heartbeat {
	h := &standby.Heartbeat{Node: node, Incarnation: "i", Seq: w.seq, Weight: 1, List: w.list}
	for _, one := range w.servers {
		switch node {
		case one.leader:
			h.Leads = append(h.Leads, standby.LeadsOf(one.name, one.ledger.Mark(1), ""))
		case one.standby:
			h.Stands = append(h.Stands, standby.Stands{Server: one.name, State: standby.InSync.String(), Term: 1, AgeMS: int64(100_000 + 250*w.seq)})
		}
	}
	return h
}
