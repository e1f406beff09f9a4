package actions

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

const phone = `{"Channel":"PJSIP/1","Context":"x","Exten":"1","Priority":1}`

// pair is two bridges that share pbx1, pbx2 and pbx3, which are the group sales but for pbx1.
type pair struct {
	t      *testing.T
	b1, b2 *asking
	leads  map[string]map[string]*atomic.Bool // by node and server
	nc     *nats.Conn
}

// newPair returns two of which b1 leads pbx1, and b2 the others.
func newPair(t *testing.T, change func(*config.Config)) *pair {
	t.Helper()
	url := natstest.Start(t, t.TempDir(), 0).ClientURL()
	p := &pair{t: t, leads: map[string]map[string]*atomic.Bool{"b1": {}, "b2": {}}}
	var servers []config.ServerConfig
	share := func(node string) func(*config.Config) {
		return func(c *config.Config) {
			c.Node, c.HA = node, true
			if servers == nil {
				servers = c.Servers
			}
			c.Servers = slices.Clone(servers)
			c.Groups = []config.Group{{Name: "sales", Servers: []string{"pbx2", "pbx3"}}}
			if change != nil {
				change(c)
			}
		}
	}
	p.b1 = askingAt(t, url, share("b1"), "pbx1", "pbx2", "pbx3")
	p.b2 = askingAt(t, url, share("b2"), "pbx1", "pbx2", "pbx3")
	p.nc = p.b1.nc
	for node, b := range map[string]*asking{"b1": p.b1, "b2": p.b2} {
		for _, s := range b.targets {
			p.leads[node][s.cfg.Name] = new(atomic.Bool)
			s.Share(p.leads[node][s.cfg.Name].Load)
			if err := b.Lead(s.cfg.Name, false); err != nil {
				t.Fatal(err)
			}
		}
	}
	p.lead("b1", "pbx1")
	p.lead("b2", "pbx2", "pbx3")
	return p
}

// lead has the bridge of that name lead servers, and nobody else.
func (p *pair) lead(node string, servers ...string) {
	p.t.Helper()
	for _, name := range servers {
		for other, b := range map[string]*asking{"b1": p.b1, "b2": p.b2} {
			if p.leads[other][name] == nil {
				continue // it does not have it
			}
			p.leads[other][name].Store(other == node)
			if err := b.Lead(name, other == node); err != nil {
				p.t.Fatal(err)
			}
			if err := b.control.Get().FlushTimeout(natstest.Patience); err != nil {
				p.t.Fatal(err)
			}
		}
	}
}

// answer is a reply as a test reads it.
type answer struct {
	Server, Node, Response string
	RequestID              string `json:"request_id"`
	Error                  *reply.Error
	Events                 []map[string]any
	Parts                  *int
	header                 nats.Header
	body                   string
}

func (a answer) String() string {
	if a.Error != nil {
		return fmt.Sprintf("%s: %s, sent: %s", a.Server, a.Error.Kind, a.Error.Sent)
	}
	return a.Server + " by " + a.Node + ": " + a.Response
}

// ask asks that bridge, or whichever NATS chooses, and returns what comes until the last.
func (p *pair) ask(b *asking, m *nats.Msg, until func(*nats.Msg) bool) (all []answer) {
	p.t.Helper()
	m.Reply = p.nc.NewInbox()
	sub, err := p.nc.SubscribeSync(m.Reply)
	if err != nil {
		p.t.Fatal(err)
	}
	defer sub.Unsubscribe()
	if b == nil {
		err = p.nc.PublishMsg(m)
	} else if err = p.nc.Flush(); err == nil {
		b.to(m)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	for {
		got, err := sub.NextMsg(natstest.Patience)
		if err != nil {
			p.t.Fatalf("%s: behind %v: %v", m.Subject, all, err)
		}
		a := answer{header: got.Header, body: string(got.Data)}
		if len(got.Data) > 0 {
			if err := json.Unmarshal(got.Data, &a); err != nil {
				p.t.Fatalf("%v in %s", err, got.Data)
			}
		}
		all = append(all, a)
		if until == nil || until(got) {
			return all
		}
	}
}

// every are the replies to a request to all, sorted, and how many the end says there are.
func (p *pair) every(b *asking, m *nats.Msg) (all []string, said string) {
	p.t.Helper()
	for _, a := range p.ask(b, m, func(m *nats.Msg) bool { return m.Header.Get("Ami-Replies") != "" }) {
		if said = a.header.Get("Ami-Replies"); said == "" {
			all = append(all, a.String())
		}
	}
	slices.Sort(all)
	return all, said
}

// to is the one reply to m, which that bridge has as if NATS had chosen it.
func (p *pair) to(b *asking, m *nats.Msg) answer { p.t.Helper(); return p.ask(b, m, nil)[0] }

func (p *pair) received(action string) (n [3]int) {
	for i, name := range []string{"pbx1", "pbx2", "pbx3"} {
		n[i] = p.b1.sims[name].Received(action)
	}
	return n
}
