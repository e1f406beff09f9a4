//go:build unix

package ha

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/longtest"
)

// deafRights are users of NATS of which neither bridge gets what the other says, and nothing is
// denied to them: so it is where the two have accounts of their own that share a stream.
func deafRights() string {
	var b strings.Builder
	b.WriteString("authorization { users: [\n  {user: reader, password: reader}\n")
	for name, other := range map[string]string{"b1": "b2", "b2": "b1"} {
		fmt.Fprintf(&b, "  {user: %s, password: %s, permissions: {subscribe: {deny: [ami.ha.%s]}}}\n", name, name, other)
	}
	return b.String() + "] }\n"
}

// Two bridges that do not hear each other, though nothing is denied to them, do not exchange the
// lead without an end. One leads; the other one says that it does not hear it, and stands by in
// sync once it does. Nothing is lost or stored twice.
func TestUnheard_OneLeadsAndTheOtherSaysSo(t *testing.T) {
	longtest.Mark(t, "two bridges take each other for dead, in waits that grow")
	t.Parallel()
	f := newFleet(t, shape{apart: true})
	quick := func(c *config.Config) { c.HASilence = 500 * time.Millisecond }
	b1, log1 := f.shares("b1", f.nats[0].URL, f.addr, quick)
	f.ear.leads("b1", 0)
	b2, log2 := f.shares("b2", f.nats[0].URL, f.addr, quick)
	f.settled()
	f.nats[0].Configure(deafRights())
	harness.Eventually(t, "one says that it does not hear who leads", func() bool { return f.unheard(b1) || f.unheard(b2) })
	claims := func() int { return strings.Count(lines(log1)+lines(log2), "leads ") }
	before := claims()
	f.emitFor(20 * time.Second)
	if n := claims() - before; n > 3 {
		t.Errorf("%d claims since one says that it does not hear who leads: %s; %s", n, lines(log1), lines(log2))
	}
	if n := log1.FilterMessage("another bridge leads and is not heard").Len() + log2.FilterMessage("another bridge leads and is not heard").Len(); n == 0 {
		t.Error("the log does not say so")
	}
	f.nats[0].Configure(rights(""))
	f.settled()
	if got := f.verify(); !got.whole() {
		t.Error(got)
	}
}

// unheard reports whether a bridge says that another one leads, and is not heard, while the Asterisk goes on.
func (f *fleet) unheard(r *harness.Running) bool {
	f.emit(1)
	_, ready := r.Get("/readyz")
	return r.Metric("ha_standby_reason", "state", "joining", "reason", "unheard") == 1 && strings.Contains(ready, "leads it and is not heard")
}

// A bridge that starts and does not hear who leads a busy server does not claim it.
func TestUnheard_WhoStartsLeavesTheLead(t *testing.T) {
	longtest.Mark(t, "a bridge listens, claims nothing, and says so after five silences")
	t.Parallel()
	f := newFleet(t, shape{apart: true})
	f.nats[0].Configure(deafRights())
	f.shares("b1", f.nats[0].URL, f.addr, nil)
	f.ear.leads("b1", 0)
	b2, log2 := f.shares("b2", f.nats[0].URL, f.addr, nil)
	harness.Eventually(t, "it says that it does not hear who leads", func() bool { return f.unheard(b2) })
	if n := log2.FilterMessage("leads").Len(); n > 0 {
		t.Errorf("it has claimed %d times", n)
	}
	if got := f.verify(); !got.whole() {
		t.Error(got)
	}
}
