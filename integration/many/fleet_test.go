//go:build unix

package many

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// fleet is bridges that divide simulated Asterisks among them.
type fleet struct {
	t       *testing.T
	program string
	copies  int
	names   []string
	sims    map[string]*amisim.Server
	file    string // the Asterisks' addresses
	nats    *harness.NATSProcess
	nc      *nats.Conn

	began   time.Time // when all had their copies
	raising sync.WaitGroup
	quiet   chan struct{}
	sent    map[string]*atomic.Int64 // by Asterisk

	mu      sync.Mutex
	bridges map[string]*harness.Process // those that run
	words   map[string]word             // by node
	moves   int                         // sessions that began or ended, since the counts were reset
	leads   int                         // leads that began
	worst   int                         // most logins in a second
}

// word is what a bridge has said last, by Asterisk.
type word struct {
	seq   uint64
	leads map[string]bool
	reads map[string]string // the state of a standby, "tries" without a session
}

// newFleet returns a fleet of so many Asterisks, and no bridge yet.
func newFleet(t *testing.T, asterisks, copies int) *fleet {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{
		t: t, program: program, copies: copies, nats: harness.StartNATS(t), sims: map[string]*amisim.Server{}, sent: map[string]*atomic.Int64{},
		bridges: map[string]*harness.Process{}, words: map[string]word{}, file: filepath.Join(t.TempDir(), "addresses"),
	}
	addresses := map[string]string{}
	for i := range asterisks {
		name := fmt.Sprint("pbx", i+1)
		f.names, f.sent[name] = append(f.names, name), new(atomic.Int64)
		f.sims[name], addresses[name] = harness.Sim(t, amisim.Config{})
	}
	data, err := json.Marshal(addresses)
	if err == nil {
		err = os.WriteFile(f.file, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	f.nc = harness.Client(t, f.nats.URL)
	if _, err := f.nc.Subscribe("ami.ha.*", f.onWord); err != nil {
		t.Fatal(err)
	}
	f.watchLogins()
	return f
}

// start starts bridges.
func (f *fleet) start(names ...string) {
	f.t.Helper()
	for _, name := range names {
		p := &harness.Process{T: f.t, Program: f.program, Log: filepath.Join(f.t.TempDir(), name)}
		p.Env = append(os.Environ(), asBridge+"="+name, "MANY_NATS="+f.nats.URL, "MANY_ADDRESSES="+f.file, "MANY_COPIES="+strconv.Itoa(f.copies))
		f.mu.Lock()
		f.bridges[name] = p
		f.mu.Unlock()
		f.t.Cleanup(func() {
			p.Kill()
			if f.t.Failed() {
				log, _ := os.ReadFile(p.Log)
				f.t.Logf("%s:\n%s", name, log[max(0, len(log)-4000):])
			}
		})
		p.Start()
	}
}

// kill kills a bridge.
func (f *fleet) kill(name string) {
	f.bridges[name].Kill()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.bridges, name)
	delete(f.words, name)
}

func (f *fleet) onWord(m *nats.Msg) {
	h, err := standby.DecodeHeartbeat(m.Data)
	if err != nil {
		f.t.Error(err)
		return
	}
	w := word{h.Seq, map[string]bool{}, map[string]string{}}
	for _, s := range h.Stands {
		w.reads[s.Server] = s.State
	}
	for _, s := range h.Tries {
		w.reads[s.Server] = "tries"
	}
	for _, s := range h.Leads {
		w.leads[s.Server], w.reads[s.Server] = true, "leads"
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.bridges[h.Node] == nil {
		return // its last words
	}
	before := f.words[h.Node]
	for server := range w.reads {
		if before.reads[server] == "" {
			f.moves++
		}
		if w.leads[server] && !before.leads[server] {
			f.leads++
		}
	}
	for server := range before.reads {
		if w.reads[server] == "" {
			f.moves++
		}
	}
	f.words[h.Node] = w
}

// state is how many Asterisks are led, and how many have their copies, all in sync, and no
// reader more.
func (f *fleet) state() (led, whole int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, server := range f.names {
		leaders, readers, ready := 0, 0, 0
		for name := range f.bridges {
			w := f.words[name]
			state := w.reads[server]
			if state != "" {
				readers++
			}
			if w.leads[server] {
				leaders++
			}
			if state == "leads" || state == standby.InSync.String() {
				ready++
			}
		}
		if leaders == 1 {
			led++
		}
		if want := min(f.copies, len(f.bridges)); leaders == 1 && readers == want && ready == want {
			whole++
		}
	}
	return led, whole
}

// readsOf is how many Asterisks a bridge reads, and how many of them it leads.
func (f *fleet) readsOf(name string) (reads, leads int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.words[name].reads), len(f.words[name].leads)
}

// until waits for cond for at most that long, and returns how long that took.
func (f *fleet) until(what string, most time.Duration, cond func() bool) time.Duration {
	f.t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	began := time.Now()
	for !cond() {
		if time.Since(began) > most {
			led, whole := f.state()
			f.t.Fatalf("never came: %s: of %d Asterisks %d are led, %d have %d copies in sync", what, len(f.names), led, whole, f.copies)
		}
		<-ticker.C
	}
	return time.Since(began)
}

func (f *fleet) isLed() bool   { led, _ := f.state(); return led == len(f.names) }
func (f *fleet) isWhole() bool { _, whole := f.state(); return whole == len(f.names) }

// watchLogins keeps the most logins in any second.
func (f *fleet) watchLogins() {
	ended := make(chan struct{})
	var group sync.WaitGroup
	f.t.Cleanup(func() { close(ended); group.Wait() })
	group.Go(func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for last := 0; ; {
			select {
			case <-ended:
				return
			case <-ticker.C:
			}
			all := 0
			for _, sim := range f.sims {
				all += sim.Received("Login")
			}
			f.mu.Lock()
			f.worst = max(f.worst, all-last)
			f.mu.Unlock()
			last = all
		}
	})
}

// reset begins the counts anew, and counted returns them.
func (f *fleet) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.moves, f.leads, f.worst = 0, 0, 0
}

func (f *fleet) counted() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fmt.Sprintf("%d sessions began or ended, %d leads moved, at most %d logins a second", f.moves, f.leads, f.worst)
}

// raise has every Asterisk raise so many events a second, numbered from 1, until hush.
func (f *fleet) raise(perSecond int) {
	const slices = 20
	quiet := make(chan struct{})
	f.quiet = quiet // hush takes it away, maybe while the events are raised
	f.raising.Go(func() {
		ticker := time.NewTicker(time.Second / time.Duration(perSecond*slices))
		defer ticker.Stop()
		for turn := 0; ; turn++ {
			for i := turn % slices; i < len(f.names); i += slices {
				name := f.names[i]
				f.sims[name].Emit("Event", "UserEvent", "UserEvent", "n", "N", strconv.FormatInt(f.sent[name].Add(1), 10))
			}
			select {
			case <-quiet:
				return
			case <-ticker.C:
			}
		}
	})
	f.t.Cleanup(f.hush)
}

// more waits until every Asterisk has raised some more.
func (f *fleet) more() {
	f.t.Helper()
	since := map[string]int64{}
	for name, n := range f.sent {
		since[name] = n.Load()
	}
	f.until("some more events", harness.Patience, func() bool {
		for name, n := range f.sent {
			if n.Load() < since[name]+2 {
				return false
			}
		}
		return true
	})
}

// hush ends it.
func (f *fleet) hush() {
	if f.quiet != nil {
		close(f.quiet)
		f.quiet = nil
	}
	f.raising.Wait()
}
