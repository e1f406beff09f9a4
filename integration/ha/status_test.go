//go:build unix

package ha

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/longtest"
)

// said is a message of a status or node subject, as far as these tests look at it.
type said struct {
	subject                       string
	At                            time.Time
	Node, Leader, Reason, Trigger string
	Term                          uint64
	Standbys                      []struct{ Node, State string }
	HA                            struct {
		Leads    int
		StandsBy int `json:"stands_by"`
		InSync   int `json:"in_sync"`
		Led      []string
		StoodBy  []struct {
			Server, Leader, State, Reason string
			Sessions                      map[string]string
		} `json:"stood_by"`
	}
}

// ear keeps all that is said, each of which must be as docs/schemas has it.
type ear struct {
	t       *testing.T
	schemas map[string]*jsonschema.Schema
	emits   func() // what goes on while something is awaited; nil: nothing

	mu  sync.Mutex // protects the following
	all []said
}

func listen(t *testing.T, nc *nats.Conn) *ear {
	t.Helper()
	e := &ear{t: t, schemas: harness.Schemas(t)}
	for _, subject := range []string{"ami.status.>", "ami.nodes.>"} {
		if _, err := nc.Subscribe(subject, e.hear); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return e
}

func (e *ear) hear(m *nats.Msg) {
	kind := "node"
	if strings.HasPrefix(m.Subject, "ami.status.") {
		kind = m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(m.Data)))
	if err == nil {
		err = e.schemas[kind].Validate(doc)
	}
	one := said{subject: m.Subject}
	if err == nil {
		err = json.Unmarshal(m.Data, &one)
	}
	if err != nil {
		e.t.Errorf("%s: %v in %s", m.Subject, err, m.Data)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, one)
}

// from returns what was said behind the first so many.
func (e *ear) from(n int) []said {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.all[n:len(e.all):len(e.all)]
}

// await returns where in all that was said the first message behind n is that one wants.
func (e *ear) await(what string, n int, one func(said) bool) (at int) {
	e.t.Helper()
	harness.Eventually(e.t, what, func() bool {
		if e.emits != nil {
			e.emits()
		}
		for i, s := range e.from(n) {
			if one(s) {
				at = n + i
				return true
			}
		}
		return false
	})
	return at
}

// leads waits until node says that it leads.
func (e *ear) leads(node string, n int) int {
	e.t.Helper()
	return e.await(node+" says that it leads", n, func(s said) bool {
		return strings.HasSuffix(s.subject, ".ha") && s.Leader == node && s.Node == node
	})
}

// alone wants all that is said of the server behind n to be said by one node.
func (e *ear) alone(node string, n int) {
	e.t.Helper()
	for _, s := range e.from(n) {
		if strings.HasPrefix(s.subject, "ami.status.") && s.Node != node {
			e.t.Errorf("%s speaks for the server, and %s says %+v", node, s.Node, s)
		}
	}
}

// oneSpeaks wants all that is said of the server to be said by the bridge that leads, from
// its first word as the leader to that of the next. What the one before had said by then may
// have waited in a connection that let nothing pass.
func (e *ear) oneSpeaks() {
	e.t.Helper()
	speaker, term, since, wrong := "", uint64(0), time.Time{}, 0
	for _, s := range e.from(0) {
		if strings.HasSuffix(s.subject, ".ha") && s.Leader == s.Node && s.Term > term {
			speaker, term, since = s.Node, s.Term, s.At
		}
		if strings.HasPrefix(s.subject, "ami.status.") && speaker != "" && s.Node != speaker && s.At.After(since) {
			if wrong++; wrong < 5 {
				e.t.Errorf("%s leads in term %d, and %s says %+v", speaker, term, s.Node, s)
			}
		}
	}
}

// shares starts a bridge in this process, by way of the relay if there is one.
func (f *fleet) shares(name, url, addr string, change func(*config.Config)) (*harness.Running, *observer.ObservedLogs) {
	f.t.Helper()
	cfg := config.DefaultConfig()
	s := harness.ChaosServer(server, addr)
	s.PingInterval = time.Second
	cfg.Node, cfg.HTTPAddr, cfg.NATS.URL, cfg.Servers = name, harness.Addr(f.t), url, []config.ServerConfig{s}
	cfg.NATS.User, cfg.NATS.Password = name, setting.Secret(name)
	cfg.HA, cfg.StatusInterval, cfg.ShutdownTimeout = true, 100*time.Millisecond, 2*harness.Patience
	cfg.BesideEvery = cfg.StatusInterval
	if change != nil {
		change(&cfg)
	}
	core, logs := observer.New(zap.InfoLevel)
	r := harness.Run(f.t, zap.New(core), cfg)
	f.bridges[name] = &node{name: name}
	return r, logs
}

// lines are what the log says of who leads, and of events that wait.
func lines(logs *observer.ObservedLogs) string {
	var all []string
	for _, l := range logs.All() {
		fields := l.ContextMap()
		switch l.Message {
		case "leads":
			all = append(all, fmt.Sprint("leads ", fields["term"], " ", fields["reason"]))
		case "stands by":
			all = append(all, fmt.Sprint("stands by ", fields["term"], " ", fields["leader"]))
		case "events flow again":
			all = append(all, l.Message)
		}
	}
	return strings.Join(all, ", ")
}

// shows wants the page of a bridge, and what else it serves, to say so of the server, to know
// both bridges, and to be ready.
func shows(r *harness.Running, state, words, requests string) {
	r.T.Helper()
	harness.Eventually(r.T, r.Config.Node+" shows "+words, func() bool {
		_, text := r.Get("/status.json")
		var snap view.Snapshot
		if err := json.Unmarshal([]byte(text), &snap); err != nil {
			r.T.Fatalf("%v in %s", err, text)
		}
		var roles []string
		for _, b := range snap.Bridges {
			roles = append(roles, b.Node+" "+b.Role())
		}
		code, ready := r.Readyz()
		_, page := r.Get("/?server=" + server)
		s := snap.Servers[0]
		return string(s.State) == state && (s.Word == words || s.HA.Text() == words) && strings.Join(roles, ", ") == "b1 leader, b2 in sync" &&
			code == 200 && ready.Actions[server] == requests && strings.Contains(page, s.HA.Text())
	})
}

// Who leads says so, and who stands by; it alone speaks for the server, whichever bridge it
// is: at first, after one that led was cut off from NATS and is back, and after it has ended
// in order.
func TestStatus_TheLeaderAloneSaysWhoLeads(t *testing.T) {
	longtest.Mark(t, "two bridges join, and change places twice behind a silence of two seconds")
	t.Parallel()
	f := newFleet(t, shape{})
	e := f.ear
	way := harness.StartRelay(t, f.nats[0].Addr)
	patient := func(c *config.Config) { c.HASilence = 2 * time.Second } // the test may run beside others
	b1, log1 := f.shares("b1", "nats://"+way.Addr, f.addr, patient)
	e.leads("b1", 0)
	b2, log2 := f.shares("b2", f.nats[0].URL, f.addr, patient)
	if err := f.sim.WaitEventSessions(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	inSync := func(leader, other string, n int) {
		t.Helper()
		e.emits = func() { f.emit(1) }
		defer func() { e.emits = nil }()
		e.await(other+" is in sync", n, func(s said) bool {
			return s.Leader == leader && len(s.Standbys) == 1 && s.Standbys[0].Node == other && s.Standbys[0].State == "in_sync"
		})
		e.await(other+" says so itself", n, func(s said) bool {
			return s.subject == "ami.nodes."+other && s.HA.StandsBy == 1 && s.HA.InSync == 1 && s.HA.StoodBy[0].Leader == leader &&
				s.HA.StoodBy[0].Sessions["event"] == "up"
		})
		e.await(leader+" says that it leads", n, func(s said) bool {
			return s.subject == "ami.nodes."+leader && s.HA.Leads == 1 && s.HA.Led[0] == server
		})
	}
	inSync("b1", "b2", 0)
	e.alone("b1", 0)
	shows(b1, "well", "b1 leads, b2 in sync", "ok")
	shows(b2, "well", "led by b1", "led by another bridge")
	metrics := func(leader, other *harness.Running) {
		t.Helper()
		for _, m := range []struct {
			r           *harness.Running
			name, state string
			want        float64
		}{
			{leader, "ha_leads", "", 1}, {other, "ha_leads", "", 0}, {leader, "ha_standbys", "in_sync", 1}, {leader, "ha_standbys", "apart", 0},
			{other, "ha_standby_state", "in_sync", 1}, {other, "ha_standby_state", "apart", 0},
		} {
			labels := []string{"state", m.state}
			harness.Eventually(t, m.name, func() bool { f.emit(1); return m.r.Metric(m.name, labels[:2*min(1, len(m.state))]...) == m.want })
		}
	}
	metrics(b1, b2)

	undo := way.Close()
	n := e.leads("b2", 0)
	if by := e.from(n)[0]; by.Reason != "silence" || by.Trigger != "change" || by.Term != 2 {
		t.Errorf("b2 leads: %+v", by)
	}
	undo()
	inSync("b2", "b1", n)
	e.alone("b2", n) // nor does what b1 had handed over come once more
	metrics(b2, b1)
	if n, term := b2.Metric("ha_takeovers_total", "reason", "silence"), b2.Metric("ha_term"); n != 1 || term != 2 {
		t.Errorf("b2 took over %v times, its term is %v", n, term)
	}

	delete(f.bridges, "b2")
	if err := b2.Stop(); err != nil {
		t.Errorf("b2 ended with: %v", err)
	}
	last := e.leads("b1", n)
	if by := e.from(last)[0]; by.Reason != "yield" || by.Term != 3 {
		t.Errorf("b1 leads: %+v", by)
	}
	e.await("b1 speaks for it", last, func(s said) bool { return s.subject == "ami.status."+server+".buffers" && s.Trigger == "interval" })
	e.alone("b1", last)
	// That b1's events flow again is said of its NATS.
	if got := strings.Replace(lines(log1), "events flow again, ", "", 1); got != "leads 1 start, stands by 2 b2, leads 3 yield" {
		t.Errorf("the log of b1: %s", got)
	}
	if got := lines(log2); got != "leads 2 silence, stands by 3 b1" {
		t.Errorf("the log of b2: %s", got)
	}
}

// While nobody leads one bridge says so, and why, and how the sessions are.
func TestStatus_OneSaysThatNobodyLeads(t *testing.T) {
	t.Parallel()
	f := newFleet(t, shape{})
	e := f.ear
	closed := harness.Addr(t) // nothing listens there
	b1, _ := f.shares("b1", f.nats[0].URL, closed, nil)
	b2, _ := f.shares("b2", f.nats[0].URL, closed, nil)
	nobody := func(n int) int {
		return e.await("that nobody leads", n, func(s said) bool {
			return strings.HasSuffix(s.subject, ".ha") && s.Leader == "" && s.Reason == "no_session" && s.Trigger == "interval"
		})
	}
	n := nobody(0)
	speaker := e.from(n)[0].Node
	for range 5 {
		n = nobody(n + 1)
	}
	e.await("how its sessions are", n, func(s said) bool { return s.subject == "ami.status."+server+".connection" })
	for _, s := range e.from(n) {
		if strings.HasPrefix(s.subject, "ami.status.") && s.Node != speaker {
			t.Errorf("%s speaks for the server, and %s says %+v", speaker, s.Node, s)
		}
	}
	e.await("why both stand by", n, func(s said) bool {
		return strings.HasPrefix(s.subject, "ami.nodes.") && s.HA.Leads == 0 && s.HA.StandsBy == 1 && s.HA.StoodBy[0].Reason == "no_session"
	})
	for _, r := range []*harness.Running{b1, b2} {
		if leads := r.Metric("ha_leads"); leads != 0 {
			t.Errorf("ha_leads is %v", leads)
		}
	}
}
