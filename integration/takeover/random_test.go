//go:build unix

package takeover

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/longtest"
)

// rounds is how many take-overs TestRandom_… has: make faults-ha asks for a hundred.
var rounds = flag.Int("rounds", 3, "take-overs at random moments")

const (
	// patience is how long a caller waits for the reply to one attempt, pause how long it
	// waits until the next.
	patience = time.Second
	pause    = 50 * time.Millisecond
	callers  = 4
)

// ended is how the last attempt of a call ended, and how many there were.
type ended struct {
	channel, kind, sent string
	attempts            int
}

// A call with a key is asked for again until somebody knows what became of it, while bridges are
// killed, frozen and ended at random moments: whichever has which attempt, no phone rings twice,
// each rings of which it is said so, none of which it is said that it was not sent, and no
// attempt has two replies.
func TestRandom_NoPhoneRingsTwice(t *testing.T) {
	longtest.Mark(t, "bridges are killed, frozen and ended in turn, under requests")
	d := newDuo(t)
	prefix := d.answers()
	for _, sim := range d.sims {
		sim.Always("Originate", func(s *amisim.Session, a *amisim.Action) {
			s.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond) // so that some are always on their way
			d.ring(s, a)
		})
	}
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	var all [callers][]ended
	for c := range callers {
		group.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				to := []string{"pbx1", "pbx2", "any"}[n%3]
				all[c] = append(all[c], d.call(to, fmt.Sprintf("%s%d.%d", prefix, c, n), fmt.Sprintf("Local/%d.%d@x", c, n)))
			}
		})
	}
	group.Go(func() { d.emit(ctx) })
	everyone := 0
	group.Go(func() {
		for ; ctx.Err() == nil; everyone++ {
			d.ask(fmt.Sprint(prefix, "all.", everyone), "all", "CoreStatus", "")
			<-time.After(pause)
		}
	})
	kinds := []string{"kill", "freeze", "end"}
	for i := range *rounds {
		d.takeOver(kinds[i%len(kinds)])
	}
	stop()
	group.Wait()
	d.checkAll(prefix, everyone)
	d.check(slices.Concat(all[:]...))
}

// checkAll wants the replies of all, where an end came, to be those of each server, once.
func (d *duo) checkAll(prefix string, asked int) {
	d.t.Helper()
	ends, results := 0, map[string]int{}
	for i := range asked {
		inbox := fmt.Sprint(prefix, "all.", i)
		replies := d.to(inbox)
		d.mu.Lock()
		delete(d.inbox, inbox)
		d.mu.Unlock()
		servers, last := []string(nil), ""
		for _, m := range replies {
			if last = m.Header.Get("Ami-Replies"); last != "" {
				ends++
				continue
			}
			if len(m.Data) > 0 {
				kind, sent := outcome(d.t, m)
				results[kind+", "+sent]++
				servers = append(servers, harness.ParseReply(d.t, m).Server)
			}
		}
		slices.Sort(servers)
		if last != "" && (last != "2" || !slices.Equal(servers, []string{"pbx1", "pbx2"}) || len(replies) != 3) {
			d.t.Errorf("all: %q, then an end with %s; %d messages", servers, last, len(replies))
		}
	}
	d.t.Logf("all: asked %d times, %d ends; %v", asked, ends, results)
	if ends == 0 {
		d.t.Error("all never had an end")
	}
}

// call asks until it is known what became of it.
func (d *duo) call(to, inbox, channel string) ended {
	deadline := time.Now().Add(3 * harness.Patience)
	for attempt := 0; ; attempt++ {
		own := fmt.Sprint(inbox, ".", attempt)
		d.ask(own, to, "Originate", phone(channel), harness.KeyHeader, channel)
		for until := time.Now().Add(patience); len(d.to(own)) == 0 && time.Now().Before(until); {
			<-time.After(2 * time.Millisecond)
		}
		if got := d.to(own); len(got) > 0 {
			if kind, sent := outcome(d.t, got[0]); sent != "no" {
				return ended{channel, kind, sent, attempt + 1}
			}
		}
		if time.Now().After(deadline) {
			d.t.Errorf("%s: nobody knows after %d attempts", channel, attempt+1)
			return ended{channel, "", "", attempt + 1}
		}
		<-time.After(pause)
	}
}

// emit has events raised, so that a bridge can be in sync.
func (d *duo) emit(ctx context.Context) {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		for _, sim := range d.sims {
			sim.Emit("Event", "UserEvent", "UserEvent", "n", "N", fmt.Sprint(n))
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// takeOver has a bridge that leads go in that way, at a random moment, and come back once the
// other one leads.
func (d *duo) takeOver(kind string) {
	d.t.Helper()
	leader := ""
	harness.Eventually(d.t, "every server is led, and stood by for", func() bool {
		if d.leads("b1")+d.leads("b2") != 2 || d.stands("b1")+d.stands("b2") != 2 {
			return false
		}
		for _, name := range []string{"b1", "b2"} {
			if d.leads(name) > 0 && (leader == "" || rand.IntN(2) == 0) {
				leader = name
			}
		}
		return true
	})
	<-time.After(time.Duration(rand.IntN(1000)) * time.Millisecond)
	b, back := d.bridges[leader], func() {}
	switch kind {
	case "kill":
		b.Kill()
		back = b.Start
	case "freeze":
		b.Freeze()
		back = b.Thaw
	case "end":
		if err := b.Stop(); err != nil {
			d.t.Errorf("%s ended with %v", leader, err)
		}
		back = b.Start
	}
	harness.Eventually(d.t, "the other one leads", func() bool { return d.leads(other(leader)) == 2 })
	<-time.After(time.Duration(rand.IntN(400)) * time.Millisecond)
	back()
}

// check holds what callers were told against what Asterisk got.
func (d *duo) check(calls []ended) {
	d.t.Helper()
	results, most, again := map[string]int{}, 0, 0
	for _, c := range calls {
		results[c.kind+", "+c.sent]++
		most = max(most, c.attempts)
		if c.attempts > 1 {
			again++
		}
		switch n := d.rings(c.channel); {
		case n > 1:
			d.t.Errorf("%s rang %d times", c.channel, n)
		case n == 0 && c.sent == "yes":
			d.t.Errorf("%s: %s, and it did not ring", c.channel, c.kind)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	attempts := 0
	for inbox, all := range d.inbox {
		attempts++
		if len(all) != 1 {
			d.t.Errorf("%d replies to %s", len(all), inbox)
		}
	}
	d.t.Logf("%d take-overs, %d calls, %d of them asked for again, %d times at most; %d attempts had a reply: %v",
		*rounds, len(calls), again, most, attempts, results)
	if results["Success, yes"] == 0 {
		d.t.Error("no call was made")
	}
}
