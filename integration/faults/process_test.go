//go:build unix

package faults

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// process is a bridge in a process of its own, with the same configuration from
// one start to the next.
type process struct{ harness.Process }

func newProcess(t *testing.T, n *node, all []*asterisk) *process {
	t.Helper()
	p := &process{harness.Process{T: t, Program: harness.BuildBridge(t), Args: []string{"run"}, Log: filepath.Join(t.TempDir(), "log")}}
	var names []string
	for _, a := range all {
		names = append(names, a.name)
		prefix := "BRIDGE_SERVER_" + strings.ToUpper(a.name) + "_"
		p.Env = append(p.Env, prefix+"ADDR="+a.addr, prefix+"USERNAME=bridge", prefix+"SECRET=s3cret")
	}
	p.Env = append(p.Env, "PATH="+os.Getenv("PATH"), "BRIDGE_SERVERS="+strings.Join(names, ","), "BRIDGE_NODE=b1", "BRIDGE_HTTP_ADDR=",
		"BRIDGE_NATS_URL="+n.url(), "BRIDGE_NATS_USER=bridge", "BRIDGE_NATS_PASSWORD=bridge", "BRIDGE_STREAM_MAX_BYTES=1GiB")
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("the end of the bridge's log:\n%s", tail(p.Log, 40))
		}
	})
	return p
}

// stop ends it in order, which leaves nothing behind.
func (p *process) stop() {
	p.T.Helper()
	if err := p.Stop(); err != nil {
		p.T.Errorf("the bridge ended with: %v", err)
	}
}

// incarnation is what one process has stored of a server, and the Gap before it.
type incarnation struct {
	session     string
	gap         *harness.GapEvent
	first, last int // numbers
}

// continuous wants the events of a server to follow one another without a gap
// within each session, each of which is a process's only one, and a Gap between
// two processes and nowhere else, which says when what is missing was sent.
func continuous(t *testing.T, all []stored, a *asterisk) (found []incarnation) {
	t.Helper()
	var gap *stored
	var last stored
	seen := map[string]bool{}
	for _, e := range all {
		switch {
		case e.server != a.name:
			continue
		case e.isGap():
			if gap != nil {
				t.Errorf("%s: two Gaps in one place: %s %s", a.name, gap.data, e.data)
			}
			gap = &e
			continue
		case e.session == last.session:
			if e.seq != last.seq+1 || e.number != last.number+1 || gap != nil {
				t.Errorf("%s: %s:%d, number %d, came after %s:%d, number %d, a Gap between them: %v",
					a.name, e.session, e.seq, e.number, last.session, last.seq, last.number, gap != nil)
			}
			found[len(found)-1].last = e.number
		case seen[e.session] || e.seq != 1 || e.number <= last.number:
			t.Errorf("%s: %s:%d, number %d, came after %s:%d, number %d", a.name, e.session, e.seq, e.number, last.session, last.seq, last.number)
		default:
			seen[e.session] = true
			in := incarnation{session: e.session, first: e.number, last: e.number}
			if gap != nil {
				in.gap = new(harness.GapOf(t, gap.data))
			}
			if len(found) > 0 {
				states(t, a, in.gap, last, e)
			} else if gap != nil {
				t.Errorf("%s: a Gap before the first event: %s", a.name, gap.data)
			}
			found = append(found, in)
		}
		last, gap = e, nil
	}
	return found
}

// states wants a Gap to state the gap between two events.
func states(t *testing.T, a *asterisk, g *harness.GapEvent, before, behind stored) {
	t.Helper()
	if g == nil || g.Reason != "bridge_restart" || g.Lost != "unknown" || g.Restarted != "unknown" {
		t.Errorf("%s: between %d and %d stands %+v", a.name, before.number, behind.number, g)
		return
	}
	from, to := at(t, g.From), at(t, g.To)
	if from.After(before.at) || to.Before(from) || to.After(behind.at.Add(time.Second)) {
		t.Errorf("%s: between %d of %v and %d of %v stands %+v", a.name, before.number, before.at, behind.number, behind.at, g)
	}
	if behind.number > before.number+1 && a.at[behind.number-2].After(to) {
		t.Errorf("%s: number %d is missing, which was sent at %v; the Gap ends at %v", a.name, behind.number-1, a.at[behind.number-2], to)
	}
}

// lastReceived is what the last status of a server's buffers says.
func (r *rig) lastReceived(server string) (received, published uint64) {
	r.t.Helper()
	stream, err := r.js.Stream(r.t.Context(), streams.StatusStream)
	if err != nil {
		r.t.Fatal(err)
	}
	msg, err := stream.GetLastMsgForSubject(r.t.Context(), "ami.status."+server+".buffers")
	if err != nil {
		r.t.Fatal(err)
	}
	return countsOf(r.t, msg.Data)
}
