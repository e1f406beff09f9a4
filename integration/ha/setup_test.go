package ha

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

const server = "pbx1"

var debug = os.Getenv("HADEBUG") != ""

// pair is two bridges on one simulated Asterisk, each with ways of its own to it and to
// NATS.
type pair struct {
	t       *testing.T
	sim     *amisim.Server
	addr    string
	url     string
	nc      *nats.Conn
	bridges map[string]*member

	mu    sync.Mutex
	heard map[string]word // by node

	sent, alike int
}

type member struct {
	*harness.Running
	toNATS, toPBX *harness.Relay
}

// word is what a bridge said last of the server.
type word struct {
	at    time.Time
	leads bool
	state string
	n     uint64
	term  uint64
}

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{t: t, url: harness.NATS(t), bridges: map[string]*member{}, heard: map[string]word{}}
	p.sim, p.addr = harness.Sim(t, amisim.Config{})
	p.nc = harness.Client(t, p.url)
	_, err := p.nc.Subscribe("ami.ha.*", func(m *nats.Msg) {
		h, err := standby.DecodeHeartbeat(m.Data)
		if err != nil {
			t.Error(err)
			return
		}
		w := word{at: time.Now()}
		for _, l := range h.Leads {
			w.leads, w.n, w.term = true, l.N, l.Term
		}
		for _, s := range h.Stands {
			w.state, w.term = s.State, s.Term
		}
		p.mu.Lock()
		if debug {
			t.Logf("%s: %s", h.Node, m.Data)
		}
		p.heard[h.Node] = w
		p.mu.Unlock()
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// start starts a bridge.
func (p *pair) start(node string) *member {
	p.t.Helper()
	m := &member{toNATS: harness.StartRelay(p.t, strings.TrimPrefix(p.url, "nats://")), toPBX: harness.StartRelay(p.t, p.addr)}
	s := harness.ChaosServer(server, m.toPBX.Addr)
	cfg := config.DefaultConfig()
	cfg.Node, cfg.HTTPAddr, cfg.NATS.URL, cfg.Servers = node, "", "nats://"+m.toNATS.Addr, []config.ServerConfig{s}
	cfg.HA, cfg.ShutdownTimeout = true, 20*time.Second
	m.Running = harness.Run(p.t, log(p.t, node), cfg)
	p.bridges[node] = m
	return m
}

func log(t *testing.T, node string) *zap.Logger { return zaptest.NewLogger(t).Named(node) }

// cut takes a bridge off the world: nothing of it reaches anybody, and it hears nothing,
// until it is healed.
func (p *pair) cut(node string) (heal func()) {
	m := p.bridges[node]
	toNATS, toPBX := m.toNATS.Close(), m.toPBX.Close()
	delete(p.bridges, node)
	return func() {
		toNATS()
		toPBX()
		p.bridges[node] = m
	}
}

// says waits until the bridges say so.
func (p *pair) says(what string, holds func(map[string]word) bool) {
	p.t.Helper()
	harness.Eventually(p.t, what, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return holds(p.heard)
	})
}

// settled waits until one of the bridges that run leads, and the others are in sync, while
// the Asterisk goes on.
func (p *pair) settled() (leader string) {
	p.t.Helper()
	p.says("one leads, the others are in sync", func(said map[string]word) bool {
		p.emit(5)
		leader = ""
		for node := range p.bridges {
			w := said[node]
			switch {
			case time.Since(w.at) > time.Second:
				return false
			case w.leads && leader != "":
				return false
			case w.leads:
				leader = node
			case w.state != "in_sync":
				return false
			}
		}
		return leader != ""
	})
	return leader
}

// emit has the Asterisk raise n events, of which some are alike.
func (p *pair) emit(n int) {
	for range n {
		p.sent++
		p.sim.Emit("Event", "UserEvent", "UserEvent", "n", "N", strconv.Itoa(p.sent))
		for range rand.IntN(3) {
			p.alike++
			p.sim.Emit("Event", "UserEvent", "UserEvent", "alike")
		}
	}
}

type message struct {
	subject, id, epoch string
	seq                uint64
	n                  int // 0: one of those that are alike, or a Gap
	data               string
}

// stored returns what the stream holds, once the last event that was raised is there.
func (p *pair) stored() (all []message) {
	p.t.Helper()
	js := harness.JetStream(p.t, p.nc)
	last := fmt.Sprintf(`"N":"%d"`, p.sent)
	harness.Eventually(p.t, "the last event is stored", func() bool {
		m, _, err := streams.LastOn(p.t.Context(), js, "ami.events."+server+".>")
		if err != nil || m == nil {
			return false
		}
		prev, err := js.Stream(p.t.Context(), streams.EventStream)
		if err != nil {
			return false
		}
		for seq := m.Sequence; seq > 0 && seq+40 > m.Sequence; seq-- {
			if b, err := prev.GetMsg(p.t.Context(), seq); err == nil && strings.Contains(string(b.Data), last) {
				return true
			}
		}
		return false
	})
	sub, err := p.nc.SubscribeSync(nats.NewInbox())
	if err != nil {
		p.t.Fatal(err)
	}
	defer sub.Unsubscribe()
	stream, err := js.Stream(p.t.Context(), streams.EventStream)
	if err != nil {
		p.t.Fatal(err)
	}
	info := stream.CachedInfo().State
	for seq := info.FirstSeq; seq <= info.LastSeq; seq++ {
		m, err := stream.GetMsg(p.t.Context(), seq)
		if err != nil {
			p.t.Fatal(err)
		}
		if !strings.HasPrefix(m.Subject, "ami.events.") {
			continue
		}
		one := message{subject: m.Subject, id: m.Header.Get("Nats-Msg-Id"), data: string(m.Data)}
		if one.epoch, one.seq, err = standby.ParseSeq(m.Header.Get("Ami-Seq")); err != nil {
			p.t.Fatalf("%v: %q", err, m.Header)
		}
		var event struct{ N string }
		if err := json.Unmarshal(m.Data, &event); err != nil {
			p.t.Fatal(err)
		}
		one.n, _ = strconv.Atoi(event.N)
		all = append(all, one)
	}
	return all
}

// verify wants each event to be stored once, in order, under one numbering without a hole.
func (p *pair) verify() {
	p.t.Helper()
	all := p.stored()
	number, alike, seq, epoch := 0, 0, uint64(0), ""
	for i, m := range all {
		switch {
		case strings.HasSuffix(m.subject, ".Gap"):
			p.t.Errorf("at %d: %s", i, m.data)
			epoch, seq = m.epoch, 0
			continue
		case epoch == "":
			epoch = m.epoch
		}
		if seq++; m.epoch != epoch || m.seq != seq {
			p.t.Errorf("at %d: %s:%d comes behind %s:%d", i, m.epoch, m.seq, epoch, seq-1)
			epoch, seq = m.epoch, m.seq
		}
		switch {
		case m.n == 0:
			alike++
		case m.n != number+1:
			p.t.Errorf("at %d: number %d comes behind %d", i, m.n, number)
			number = m.n
		default:
			number = m.n
		}
	}
	if number != p.sent || alike != p.alike {
		p.t.Errorf("the last is number %d of %d, %d of %d are alike", number, p.sent, alike, p.alike)
	}
}
