package delivery

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// Servers come and go while others' events flow: each one's are stored whole and in order,
// and whoever comes takes the number of one that has left.
func TestPublisher_SourcesComeAndGo(t *testing.T) {
	eachWay(t, func(t *testing.T, keep func(*Publisher)) {
		nats := natstest.Start(t, t.TempDir(), 0)
		b, p := newBench(t, defaultsAt(nats.ClientURL()), "stays")
		keep(p)
		startPublisher(t, p)
		budget := outbox.NewBudget(1<<24, 2)
		stays, sent := b.servers[0], 0
		const rounds, each = 20, 200
		for round := range rounds {
			comes := join(p, fmt.Sprintf("comes%d", round), b.cfg.SubjectPrefix, budget)
			b.servers = append(b.servers, comes)
			for i := range each {
				sent++
				stays.push(outbox.Entry{Subject: "ami.events.stays.Test", Session: "s1", Seq: uint64(sent), At: 1}, fmt.Appendf(nil, `{"n":"%d"}`, sent), false)
				comes.push(outbox.Entry{Subject: "ami.events." + comes.name + ".Test", Session: "s1", Seq: uint64(i + 1), At: 1}, fmt.Appendf(nil, `{"n":"%d"}`, i+1), false)
			}
			p.Remove(comes.source)
			if round%3 == 2 {
				natstest.Within(t, "those that left have gone", func() bool { return !p.departures.Load() })
			}
		}
		natstest.Within(t, "those that left have gone", func() bool { return !p.departures.Load() })
		if left := drainWithin(t, b, natstest.Patience); left > 0 {
			t.Fatalf("%d events left", left)
		}
		if n := len(p.all()); n > 4 {
			t.Errorf("%d numbers for at most 4 servers at once", n)
		}
		next := map[string]int{}
		messages := storedEvents(t, nats.ClientURL())
		for range 2 * sent {
			m, err := messages.Next()
			if err != nil {
				t.Fatal(err)
			}
			server := strings.Split(m.Subject(), ".")[2]
			next[server]++
			if want := fmt.Sprintf(`{"n":"%d"}`, next[server]); string(m.Data()) != want {
				t.Fatalf("of %s comes %s, want %s", server, m.Data(), want)
			}
		}
		for round := range rounds {
			if n := next[fmt.Sprintf("comes%d", round)]; n != each {
				t.Errorf("%d events of comes%d, want %d", n, round, each)
			}
		}
	})
}

func defaultsAt(url string) config.Config {
	cfg := config.DefaultConfig()
	cfg.NATS.URL, cfg.Delivery = url, config.DeliverJetStream
	return cfg
}
