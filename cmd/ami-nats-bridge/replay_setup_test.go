package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// archive is a NATS server with the streams of a bridge.
type archive struct {
	t    *testing.T
	url  string
	js   jetstream.JetStream
	n    map[string]int    // events by server
	prev map[string]string // hashes by server
}

func newArchive(t *testing.T) *archive {
	t.Helper()
	url := natstest.Serve(t, nil).ClientURL()
	a := &archive{t: t, url: url, js: jetStreamOf(t, url), n: map[string]int{}, prev: map[string]string{}}
	for name, subject := range map[string]string{"AMI_EVENTS": "ami.events.>", "AMI_AUDIT": "ami.audit.>"} {
		_, err := a.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{subject}, AllowDirect: true})
		if err != nil {
			t.Fatal(err)
		}
	}
	envtest.Set(t, "BRIDGE_NATS_URL="+a.url)
	return a
}

// event stores one, given as its headers.
func (a *archive) event(server string, read time.Time, headers ...string) {
	a.t.Helper()
	m := nats.NewMsg("ami.events." + server + "." + headers[1])
	number := 0
	if headers[1] != "Gap" {
		a.n[server]++
		number = a.n[server]
	}
	m.Header.Set("Ami-Seq", fmt.Sprintf("s1:%d", number))
	m.Header.Set("Ami-Time", read.UTC().Format("2006-01-02T15:04:05.000000Z"))
	var members []string
	for i := 0; i < len(headers); i += 2 {
		members = append(members, fmt.Sprintf("%q:%q", headers[i], headers[i+1]))
	}
	m.Data = []byte("{" + strings.Join(members, ",") + "}")
	a.store(m)
}

// record stores one of the audit's, linked to the one before. Its text is the
// members between its server and its place.
func (a *archive) record(server, action string, made time.Time, text string) {
	a.t.Helper()
	a.n["audit."+server]++
	m := nats.NewMsg("ami.audit." + server + "." + action)
	prev := a.prev[server]
	if prev == "" {
		prev = "genesis"
	}
	m.Data = fmt.Appendf(nil, `{"at":%q,"node":"b1","server":%q,"action":%q,%s,"run":"r1","seq":%d,"prev":%q}`,
		made.UTC().Format(time.RFC3339), server, action, text, a.n["audit."+server], prev)
	a.prev[server] = fmt.Sprintf("%x", sha256.Sum256(m.Data))
	m.Header.Set("Nats-Msg-Id", fmt.Sprintf("b1.r1.%s%d", server, a.n["audit."+server]))
	a.store(m)
}

func (a *archive) store(m *nats.Msg) {
	a.t.Helper()
	if _, err := a.js.PublishMsg(a.t.Context(), m); err != nil {
		a.t.Fatal(err)
	}
}

// printed is what a command prints.
func printed(t *testing.T, want int, args ...string) (out, problems string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(append([]string{"ami-nats-bridge"}, args...), stdio{"ami-nats-bridge", &stdout, &stderr}); code != want {
		t.Errorf("%q: exit code %d, want %d\n%s%s", args, code, want, &stdout, &stderr)
	}
	return stdout.String(), stderr.String()
}

// story is a call that goes through a queue to an agent, with what else happens
// meanwhile. Its times are of the last minutes.
func (a *archive) story() (began time.Time) {
	began = time.Now().Add(-5 * time.Minute).Truncate(time.Second)
	at := func(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }
	alice := func(event string, more ...string) []string {
		return append([]string{"Event", event, "Channel", "PJSIP/alice-00000001", "ChannelStateDesc", "Up", "CallerIDNum", "100",
			"CallerIDName", "Alice", "Uniqueid", storyID, "Linkedid", storyID}, more...)
	}
	const joined = "1763980001.43"
	a.event("pbx1", at(0), alice("Newchannel", "Exten", "800")...)
	a.event("pbx2", at(5), "Event", "Hangup", "Channel", "PJSIP/else-1", "Uniqueid", "9.1", "Linkedid", "9.1", "Cause", "16")
	a.event("pbx1", at(10), "Event", "Newchannel", "Channel", "PJSIP/bob-00000002", "ChannelStateDesc", "Down",
		"Uniqueid", joined, "Linkedid", joined) // not the call's yet
	a.event("pbx1", at(20), alice("QueueCallerJoin", "Queue", "support", "Position", "1")...)
	a.event("pbx1", at(30), "Event", "Gap", "From", "2026-11-24T10:00:00Z", "To", "2026-11-24T10:00:01Z", "Reason", "overflow", "Lost", "2")
	a.n["pbx1"] += 2
	a.event("pbx1", at(1500), alice("AgentConnect", "DestChannel", "PJSIP/bob-00000002", "DestUniqueid", joined, "DestLinkedid", storyID,
		"Queue", "support", "MemberName", "Bob", "HoldTime", "1")...)
	a.event("pbx1", at(1600), alice("BridgeEnter", "BridgeUniqueid", "b-1")...)
	a.event("pbx1", at(1700), "Event", "BridgeVideoSourceUpdate", "BridgeUniqueid", "b-1")
	a.event("pbx1", at(1800), "Event", "OldStyle", "Channel", "PJSIP/bob-00000002")
	a.event("pbx1", at(1850), "Event", "BridgeEnter", "BridgeUniqueid", "b-1", "Channel", "PJSIP/guest-9", "Uniqueid", "9.9", "Linkedid", "9.9")
	a.n["pbx1"] += 3 // gone, and no Gap says so
	a.event("pbx1", at(9000), alice("Hangup", "Cause", "16", "Cause-txt", "Normal Clearing")...)
	a.event("pbx2", at(9500), "Event", "Hangup", "Channel", "SIP/x", "Uniqueid", storyID, "Linkedid", storyID, "Cause", "17")
	return began
}

// storyID has the time at which no Asterisk made it: long before.
const storyID = "1763980000.42"
