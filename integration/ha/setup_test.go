//go:build unix

package ha

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

const server = "pbx1"

// fleet is bridges on one simulated Asterisk, each a process of its own, with ways of its
// own to the Asterisk and to NATS.
type fleet struct {
	t       *testing.T
	program string
	sim     *amisim.Server
	addr    string
	nats    *harness.Place
	nc      *nats.Conn
	bridges map[string]*node

	mu    sync.Mutex
	heard map[string]word // by node

	sent, alike int
}

// node is one of them.
type node struct {
	harness.Process
	name          string
	toNATS, toPBX *harness.Relay
	away          bool // is not waited for
}

// word is what a bridge said last of the server.
type word struct {
	at    time.Time
	leads bool
	state string
}

func newFleet(t *testing.T, names ...string) *fleet {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{t: t, program: program, nats: harness.NewPlace(t), bridges: map[string]*node{}, heard: map[string]word{}}
	f.nats.Start(nil)
	f.sim, f.addr = harness.Sim(t, amisim.Config{})
	f.nc = harness.Client(t, f.nats.URL())
	if _, err := f.nc.Subscribe("ami.ha.*", f.hear); err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		if f.start(name); i == 0 { // else who starts a moment later may not hear that it leads
			harness.Eventually(t, "the first one leads", func() bool { return f.leads(name) })
		}
	}
	if err := f.sim.WaitEventSessions(t.Context(), len(names)); err != nil {
		t.Fatal(err)
	}
	return f
}

// leads reports whether the bridge of that name has said so.
func (f *fleet) leads(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.heard[name].leads
}

func (f *fleet) hear(m *nats.Msg) {
	h, err := standby.DecodeHeartbeat(m.Data)
	if err != nil {
		f.t.Error(err)
		return
	}
	w := word{at: time.Now(), leads: len(h.Leads) > 0}
	for _, s := range h.Stands {
		w.state = s.State
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heard[h.Node] = w
}

// start starts a bridge, or starts it again.
func (f *fleet) start(name string) {
	f.t.Helper()
	b := f.bridges[name]
	if b == nil {
		b = &node{
			name: name, toNATS: harness.StartRelay(f.t, strings.TrimPrefix(f.nats.URL(), "nats://")), toPBX: harness.StartRelay(f.t, f.addr),
			Process: harness.Process{T: f.t, Program: f.program, Log: filepath.Join(f.t.TempDir(), name)},
		}
		b.Env = append(os.Environ(), asBridge+"="+name, "HA_NATS=nats://"+b.toNATS.Addr, "HA_PBX="+b.toPBX.Addr)
		f.bridges[name] = b
		f.t.Cleanup(func() {
			b.Kill()
			if f.t.Failed() {
				log, _ := os.ReadFile(b.Log)
				f.t.Logf("%s:\n%s", name, log[max(0, len(log)-8000):])
			}
		})
	}
	b.away = false
	b.Start()
}

// settled waits until one of the bridges that run leads, and the others are in sync, while
// the Asterisk goes on.
func (f *fleet) settled() (leader, standby *node) {
	f.t.Helper()
	harness.Eventually(f.t, "one leads, the others are in sync", func() bool {
		f.emit(1 + rand.IntN(3))
		f.mu.Lock()
		defer f.mu.Unlock()
		leader, standby = nil, nil
		for name, b := range f.bridges {
			switch w := f.heard[name]; {
			case b.away:
			case time.Since(w.at) > 600*time.Millisecond:
				return false
			case w.leads && leader != nil:
				return false
			case w.leads:
				leader = b
			case w.state != "in_sync":
				return false
			default:
				standby = b
			}
		}
		return leader != nil
	})
	return leader, standby
}

// emit has the Asterisk raise n events with a number of their own, and others that are all
// alike.
func (f *fleet) emit(n int) {
	for range n {
		f.sent++
		f.sim.Emit("Event", "UserEvent", "UserEvent", "n", "N", strconv.Itoa(f.sent))
		for range rand.IntN(3) {
			f.alike++
			f.sim.Emit("Event", "UserEvent", "UserEvent", "alike")
		}
	}
}

// emitFor has it do so for some time, about 2,000 events a second.
func (f *fleet) emitFor(d time.Duration) {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); <-ticker.C {
		f.emit(5)
	}
}

// message is an event as the stream holds it.
type message struct {
	subject, epoch, data string
	seq                  uint64
	n                    int // 0: one of those that are alike, or a Gap
	at                   time.Time
}

// stored returns what the stream holds, once all that was raised is there.
func (f *fleet) stored() (all []message) {
	f.t.Helper()
	js := harness.JetStream(f.t, f.nc)
	consumer, err := js.OrderedConsumer(f.t.Context(), streams.EventStream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{"ami.events.>"}})
	if err != nil {
		f.t.Fatal(err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		f.t.Fatal(err)
	}
	defer messages.Stop()
	for number, alike := 0, 0; number < f.sent || alike < f.alike; {
		m, err := messages.Next(jetstream.NextMaxWait(20 * time.Second))
		if err != nil {
			f.t.Errorf("the last of %d is %d, %d of %d are alike: %v", f.sent, number, alike, f.alike, err)
			return all
		}
		one := message{subject: m.Subject(), data: string(m.Data())}
		if one.epoch, one.seq, err = standby.ParseSeq(m.Headers().Get("Ami-Seq")); err != nil {
			f.t.Fatalf("%v: %q", err, m.Headers())
		}
		var event struct{ N string }
		if err := json.Unmarshal(m.Data(), &event); err != nil {
			f.t.Fatal(err)
		}
		if meta, err := m.Metadata(); err == nil {
			one.at = meta.Timestamp
		}
		switch one.n, _ = strconv.Atoi(event.N); {
		case one.n > 0:
			number = max(number, one.n)
		case !strings.HasSuffix(one.subject, ".Gap"):
			alike++
		}
		all = append(all, one)
	}
	return all
}

// verify wants each event to be stored once, in order, under one numbering without a hole.
func (f *fleet) verify() {
	f.t.Helper()
	number, alike, last := 0, 0, message{}
	problems := 0
	problem := func(format string, args ...any) {
		if problems++; problems < 20 {
			f.t.Errorf(format, args...)
		}
	}
	pause := time.Duration(0)
	for i, m := range f.stored() {
		if i > 0 {
			pause = max(pause, m.at.Sub(last.at))
		}
		switch {
		case strings.HasSuffix(m.subject, ".Gap"):
			problem("at %d: %s", i, m.data)
		case i > 0 && (m.epoch != last.epoch || m.seq != last.seq+1), i == 0 && m.seq != 1:
			problem("at %d: %s:%d comes behind %s:%d", i, m.epoch, m.seq, last.epoch, last.seq)
		}
		switch last = m; {
		case m.n == 0:
			alike++
			continue
		case m.n != number+1:
			problem("at %d: number %d comes behind %d", i, m.n, number)
		}
		number = m.n
	}
	if number != f.sent || alike != f.alike {
		problem("the last is number %d of %d, %d of %d are alike", number, f.sent, alike, f.alike)
	}
	f.t.Logf("%s: %d events, the longest pause %v", f.t.Name(), number+alike, pause.Round(time.Millisecond))
}
