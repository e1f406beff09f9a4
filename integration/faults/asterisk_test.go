//go:build unix

package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// asterisk is a simulated one whose events are numbered from 1. What it sends
// as the n'th follows from n, so that nothing need be remembered.
type asterisk struct {
	name string
	addr string
	sim  *amisim.Server
	sent int
	at   []time.Time // when each was sent
}

func startAsterisk(t *testing.T, name string) *asterisk {
	t.Helper()
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	return &asterisk{name: name, addr: addr, sim: sim}
}

// emit sends the next event.
func (a *asterisk) emit() {
	a.sent++
	a.at = append(a.at, time.Now())
	a.sim.EmitRaw(frame(a.name, a.sent))
}

// kinds are the sorts of events: what each looks like on the wire, and, as
// docs/subjects.md has it, in JSON.
var kinds = [...]struct{ name, wire string }{
	{"Newexten", "Channel: PJSIP/trunk-00000001\r\nContext: from-trunk\r\nExtension: 100\r\n"},
	{"VarSet", "Variable: QUOTED\r\nValue: a \"b\" \\ c\td <&>\r\n"},
	{"Hangup", "CallerIDName: Zoë Ω 李雷\r\nCause: 16\r\n"},
	{"NewCallerid", "CallerIDName: Jos\xe9\r\n"},
	{"QueueCallerJoin", "Queue: support\r\nChanVariable: a=1\r\nPosition: 1\r\nChanVariable: b=2\r\n"},
	{"Status", "no colon here\r\nEmpty: \r\n"},
	{"UserEvent", "UserEvent: Filler\r\nText: " + filler + "\r\n"},
}

var filler = strings.Repeat("lorem ipsum ", 120)

func kind(n int) int { return n % len(kinds) }

// frame is the n'th event of a server on the wire.
func frame(server string, n int) []byte {
	k := kinds[kind(n)]
	return fmt.Appendf(nil, "Event: %s\r\nPrivilege: call,all\r\nServer: %s\r\nN: %d\r\n%s\r\n", k.name, server, n, k.wire)
}

// wanted is the n'th event of a server in NATS, found without the bridge's own
// parser and encoder.
func wanted(server string, n int) (subject string, payload []byte) {
	k := kinds[kind(n)]
	var out bytes.Buffer
	text := func(s string) {
		e := json.NewEncoder(&out)
		e.SetEscapeHTML(false)
		_ = e.Encode(strings.ToValidUTF8(s, "\uFFFD"))
		out.Truncate(out.Len() - 1) // the newline
	}
	member := func(key string, value any) {
		out.WriteByte("{,"[min(1, out.Len())])
		text(key)
		out.WriteByte(':')
		if s, ok := value.(string); ok {
			text(s)
			return
		}
		for i, s := range value.([]string) {
			out.WriteByte("[,"[min(1, i)])
			text(s)
		}
		out.WriteByte(']')
	}
	member("Event", k.name)
	member("Privilege", "call,all")
	member("Server", server)
	member("N", strconv.Itoa(n))
	switch k.name {
	case "Newexten":
		member("Channel", "PJSIP/trunk-00000001")
		member("Context", "from-trunk")
		member("Extension", "100")
	case "VarSet":
		member("Variable", "QUOTED")
		member("Value", "a \"b\" \\ c\td <&>")
	case "Hangup":
		member("CallerIDName", "Zoë Ω 李雷")
		member("Cause", "16")
	case "NewCallerid":
		member("CallerIDName", "Jos\xe9")
	case "QueueCallerJoin":
		member("Queue", "support")
		member("ChanVariable", []string{"a=1", "b=2"})
		member("Position", "1")
	case "Status":
		member("$raw", "no colon here")
		member("Empty", "")
	case "UserEvent":
		member("UserEvent", "Filler")
		member("Text", filler)
	}
	out.WriteByte('}')
	return "ami.events." + server + "." + k.name, out.Bytes()
}

// load has each of all send n events, rate a second, evenly.
func load(ctx context.Context, all []*asterisk, n, rate int) {
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	began := time.Now()
	for sent := 0; sent < n && ctx.Err() == nil; {
		due := min(n, int(time.Since(began).Seconds()*float64(rate)))
		for _, a := range all {
			for range due - sent {
				a.emit()
			}
		}
		sent = due
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}
