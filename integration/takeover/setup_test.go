//go:build unix

package takeover

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/standby"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// duo is two bridges, processes of their own, that share pbx1 and pbx2, with a caller.
type duo struct {
	t       *testing.T
	sims    []*amisim.Server
	nc      *nats.Conn
	bridges map[string]*harness.Process
	ways    map[string]*way // theirs to NATS

	mu    sync.Mutex                    // protects the following
	said  map[string]*standby.Heartbeat // by node, the last one
	at    map[string]time.Time
	rang  map[string]int         // how often Asterisk got the Originate of that channel
	inbox map[string][]*nats.Msg // the replies, by the attempt that they are to
}

// newDuo starts them, and returns when b1 leads both servers and b2 stands by.
func newDuo(t *testing.T) *duo {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	d := &duo{
		t: t, bridges: map[string]*harness.Process{}, ways: map[string]*way{}, said: map[string]*standby.Heartbeat{}, at: map[string]time.Time{},
		rang: map[string]int{}, inbox: map[string][]*nats.Msg{},
	}
	var addrs []string
	for range 2 {
		sim, addr := harness.SimBehind(t, amisim.Config{}, func(l net.Listener) net.Listener { return narrow{l} })
		sim.Always("Originate", d.ring)
		d.sims, addrs = append(d.sims, sim), append(addrs, addr)
	}
	url := harness.NATS(t)
	d.nc = harness.Client(t, url)
	if _, err := d.nc.Subscribe("ami.ha.*", d.onHeartbeat); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"b1", "b2"} {
		p := &harness.Process{T: t, Program: program, Log: filepath.Join(t.TempDir(), name)}
		d.ways[name] = newWay(t, strings.TrimPrefix(url, "nats://"))
		p.Env = append(os.Environ(), asBridge+"="+name, "TAKEOVER_NATS=nats://"+d.ways[name].addr, "TAKEOVER_PBX="+strings.Join(addrs, ","))
		d.bridges[name] = p
		t.Cleanup(func() {
			p.Kill()
			if log, _ := os.ReadFile(p.Log); t.Failed() {
				t.Logf("%s:\n%s", name, log[max(0, len(log)-6000):])
			}
		})
		p.Start()
		harness.Eventually(t, "b1 leads, b2 stands by", func() bool { return d.leads("b1") == 2 && (name == "b1" || d.stands("b2") == 2) })
	}
	return d
}

// narrow has the system hold little of what is not read, where it would hold megabytes.
type narrow struct{ net.Listener }

func (n narrow) Accept() (net.Conn, error) {
	conn, err := n.Listener.Accept()
	if err == nil {
		err = conn.(*net.TCPConn).SetReadBuffer(16 << 10)
	}
	return conn, err
}

// ring counts an Originate, and is answered like any other.
func (d *duo) ring(s *amisim.Session, a *amisim.Action) {
	d.mu.Lock()
	d.rang[a.Get("Channel")]++
	d.mu.Unlock()
	s.Serve(a)
}

func (d *duo) rings(channel string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rang[channel]
}

func (d *duo) onHeartbeat(m *nats.Msg) {
	h, err := standby.DecodeHeartbeat(m.Data)
	if err != nil {
		d.t.Error(err)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.said[h.Node], d.at[h.Node] = h, time.Now()
}

// silentFor is for how long nothing was heard of a bridge.
func (d *duo) silentFor(name string) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Since(d.at[name])
}

// lately is how a bridge stands that is not silent; nil if it is.
func (d *duo) lately(name string) *standby.Heartbeat {
	if d.silentFor(name) > 700*time.Millisecond {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.said[name]
}

// leads is how many servers it leads, stands for how many it stands by.
func (d *duo) leads(name string) int {
	if h := d.lately(name); h != nil {
		return len(h.Leads)
	}
	return 0
}

func (d *duo) stands(name string) int {
	if h := d.lately(name); h != nil {
		return len(h.Stands)
	}
	return 0
}

// other is the name of the other bridge.
func other(name string) string { return map[string]string{"b1": "b2", "b2": "b1"}[name] }

// answers has every reply be kept that comes to an attempt.
func (d *duo) answers() (prefix string) {
	d.t.Helper()
	prefix = d.nc.NewInbox() + "."
	_, err := d.nc.Subscribe(prefix+">", func(m *nats.Msg) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.inbox[m.Subject] = append(d.inbox[m.Subject], m)
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return prefix
}

// to are the replies that have come to that inbox.
func (d *duo) to(inbox string) []*nats.Msg {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.inbox[inbox]
}

// phone is the body of an Originate of its own channel.
func phone(channel string) string {
	return fmt.Sprintf(`{"Channel":"%s","Exten":"1","Context":"x","Priority":"1"}`, channel)
}

// ask publishes a request whose replies go to inbox. It may be called from any goroutine.
func (d *duo) ask(inbox, to, action, body string, headers ...string) {
	m := nats.NewMsg("ami.actions." + to + "." + action)
	m.Reply, m.Data = inbox, []byte(body)
	for i := 0; i < len(headers); i += 2 {
		m.Header.Set(headers[i], headers[i+1])
	}
	if err := d.nc.PublishMsg(m); err != nil {
		d.t.Error(err)
	}
}

// outcome is a reply in short: what kind, sent; Success, yes for an answer.
func outcome(t *testing.T, m *nats.Msg) (kind, sent string) {
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		return "no responders", "no"
	}
	var r harness.Reply
	if err := json.Unmarshal(m.Data, &r); err != nil {
		t.Errorf("%v in %q", err, m.Data)
	}
	if r.Error != nil {
		return r.Error.Kind, r.Error.Sent
	}
	return r.Response, "yes"
}
