package actions

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/audit"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/journal"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// fullQueue is a queue that has no room while it is full.
type fullQueue struct {
	audit.Queue
	is atomic.Bool
}

func (q *fullQueue) Write(e journal.Entry) error {
	if q.is.Load() {
		return journal.ErrFull
	}
	return q.Queue.Write(e)
}

// With AUDIT=strict nothing is sent whose intent does not fit into the queue.
func TestAudit_StrictSendsNothingBesideAFullQueue(t *testing.T) {
	url := natstest.Start(t, t.TempDir(), 0).ClientURL()
	full := &fullQueue{}
	a := askingBy(t, url, func(c *config.Config) { c.Audit = config.AuditStrict }, func(j *journal.Journal) audit.Queue {
		full.Queue = j
		return full
	})
	full.is.Store(true)
	if kind, sent, _, _ := a.answered(requestFor("pbx1", "CoreStatus", "")); kind != "audit_unavailable" || sent != "no" {
		t.Errorf("it ends with %s, sent %s", kind, sent)
	}
	if n := a.sims["pbx1"].Received("CoreStatus"); n != 0 {
		t.Errorf("it was sent %d times", n)
	}
	full.is.Store(false)
	if kind, _, _, _ := a.answered(requestFor("pbx1", "CoreStatus", "")); kind != "" {
		t.Errorf("with room again it ends with %s", kind)
	}
}

// heldQueue takes nothing before it is let go.
type heldQueue struct {
	audit.Queue
	held <-chan struct{}
}

func (q *heldQueue) Write(e journal.Entry) error {
	<-q.held
	return q.Queue.Write(e)
}

// Neither a caller nor the AMI reader waits for the record of an outcome.
func TestAudit_TheReplyGoesBeforeItsRecord(t *testing.T) {
	held, url := make(chan struct{}), natstest.Start(t, t.TempDir(), 0).ClientURL()
	letGo := sync.OnceFunc(func() { close(held) })
	t.Cleanup(letGo)
	a := askingBy(t, url, nil, func(j *journal.Journal) audit.Queue { return &heldQueue{j, held} })
	t.Cleanup(letGo) // before what askingBy has cleaned up
	if kind, sent, _, _ := a.answered(requestFor("pbx1", "CoreStatus", "")); kind != "" {
		t.Errorf("it ends with %s, sent %s", kind, sent)
	}
}

// Whatever else is wrong with a request, its record says who claims to have made
// it.
func TestOptions_TheRequesterIsRecordedWhateverIsWrong(t *testing.T) {
	long := strings.Repeat("x", audit.MaxRequester+1)
	spoilt := func(m *nats.Msg, name string, values ...string) *nats.Msg { m.Header[name] = values; return m }
	of := func(server, action, body string) *nats.Msg {
		return requestFor(server, action, body, "Ami-Requester", "alice")
	}
	outside := of("pbx1", "Ping", "")
	outside.Reply = "ami.events.pbx1.Hangup"
	nowhere := of("pbx1", "Ping", "")
	nowhere.Reply = ""
	for name, test := range map[string]struct {
		m    *nats.Msg
		want string // requester, outcome
	}{
		"nothing is":            {of("pbx1", "Ping", ""), "alice not_connected"},
		"an unknown header":     {spoilt(of("pbx1", "Ping", ""), "Ami-A", "1"), "alice bad_request"},
		"one before it":         {spoilt(of("pbx1", "Ping", ""), "Ami-Idempotency-Key", ""), "alice bad_request"},
		"one that is twice":     {spoilt(of("pbx1", "Ping", ""), "Ami-Timeout", "1s", "1s"), "alice bad_request"},
		"itself is twice":       {spoilt(of("pbx1", "Ping", ""), "ami-requester", "bob"), "alice, bob bad_request"},
		"itself has two values": {spoilt(of("pbx1", "Ping", ""), "Ami-Requester", "alice", "bob"), "alice, bob bad_request"},
		"itself is too long":    {spoilt(of("pbx1", "Ping", ""), "Ami-Requester", long), long[1:] + "… bad_request"},
		"the group":             {spoilt(of("all", "Ping", ""), "Ami-Group", "none"), "alice bad_request"},
		"the body":              {of("pbx1", "Ping", "["), "alice bad_request"},
		"a body too large":      {of("pbx1", "Ping", strings.Repeat(" ", maxBody+1)), "alice bad_request"},
		"the body, to any":      {of("any", "Ping", "["), "alice bad_request"},
		"the body, to all":      {of("all", "Ping", "["), "alice bad_request"},
		"the Action":            {of("pbx1", "Login", ""), "alice forbidden"},
		"its spelling":          {of("pbx1", "ping", ""), "alice bad_request"},
		"the reply subject":     {outside, "alice no_inbox"},
		"no reply subject":      {nowhere, "alice no_inbox"},
	} {
		a := unconnected(t, "pbx1") // of one, too many would have no record of their own
		a.to(test.m)
		records := a.unstored.Take(1000)
		if len(records) != 1 {
			t.Errorf("%s: %d records", name, len(records))
			continue
		}
		r := auditOf(t, records[0].Msg)
		if got := fmt.Sprint(r.Requester, " ", r.Outcome); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}
