package bridge

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
)

// One header of a name is taken, however it is spelled; of two none, whatever
// order a map has. What is wrong is said in the same words each time.
func TestOptions_AHeaderIsThereOnce(t *testing.T) {
	for name, test := range map[string]struct {
		header nats.Header
		want   string // of the error, or none
	}{
		"as documented":       {nats.Header{"Ami-Timeout": {"1s"}, "Ami-Requester": {"alice"}}, ""},
		"in another spelling": {nats.Header{"ami-timeout": {"1s"}, "AMI-REQUESTER": {"alice"}}, ""},
		"two spellings":       {nats.Header{"Ami-Timeout": {"1s"}, "ami-timeout": {"9s"}}, `"ami-timeout" is there more than once`},
		"two that agree":      {nats.Header{"Ami-Timeout": {"1s"}, "AMI-Timeout": {"1s"}}, `"Ami-Timeout" is there more than once`},
		"two requesters":      {nats.Header{"Ami-Requester": {"alice"}, "ami-requester": {"bob"}}, `"ami-requester" is there more than once`},
		"two values":          {nats.Header{"Ami-Requester": {"alice", "bob"}}, `"Ami-Requester" is there more than once`},
		"letters beyond ASCII": {nats.Header{"Ami-Idempotency-Key": {"1"}, "Ami-Idempotency-\u212aey": {"2"}},
			`"Ami-Idempotency-` + "\u212a" + `ey" is there more than once`},
		"two that are wrong": {nats.Header{"Ami-A": {"1"}, "Ami-B": {"1"}}, `"Ami-A" is no header`},
		"one of each": {nats.Header{"Ami-Wait": {"no"}, "Ami-Reply": {"no"}, "Ami-Timeout": {"no"}, "Ami-Validate": {"no"}},
			"Ami-Reply wants stream"},
		"too many": {func() nats.Header {
			h := nats.Header{"ami-Requester": {"alice"}}
			for i := range 100 {
				h[fmt.Sprint("Ami-", i)] = []string{"1"}
			}
			return h
		}(), "32 or more headers begin with Ami-"},
	} {
		for range 20 { // a map has another order each time
			err := new(options).read(test.header)
			if got := fmt.Sprint(err); !strings.HasPrefix(got, test.want) || (err == nil) != (test.want == "") {
				t.Fatalf("%s: %v, want %s", name, err, test.want)
			}
		}
	}
}

// Whatever else is wrong with a request, its record says who claims to have made
// it.
func TestOptions_TheRequesterIsRecordedWhateverIsWrong(t *testing.T) {
	a := unconnected(t, "pbx1")
	long := strings.Repeat("x", maxRequester+1)
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
		a.audit.journal.take(1000)
		clear(a.audit.refusals.of) // or they are too many for a record each
		a.to(test.m)
		records := a.audit.journal.take(1000)
		if len(records) != 1 {
			t.Errorf("%s: %d records", name, len(records))
			continue
		}
		r := recordOf(t, records[0].msg)
		if got := fmt.Sprint(r.Requester, " ", r.Outcome); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}
