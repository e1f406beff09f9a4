package main

import (
	"bytes"
	"errors"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env"
)

func TestCall_PrintsReplies(t *testing.T) {
	for name, c := range map[string]struct {
		reply, out string
		err        string
	}{
		"single": {
			reply: `{"server":"pbx1","action":"Ping","response":"Success","message":"","fields":{"Response":"Success","ActionID":"x","Ping":"Pong","Timestamp":"1.5"}}`,
			out:   "Response: Success\nPing: Pong\nTimestamp: 1.5\n",
		},
		"list": {
			reply: `{"response":"Success","fields":{},"events":[{"Event":"QueueParams","ActionID":"x","Queue":"sales","Max":"0"},
				{"Event":"QueueMember","Queue":"sales","Name":"Zoë Ω","Empty":""},{"Event":"QueueMember","Queue":"s","Name":"a"},
				{"Event":"QueueStatusComplete","EventList":"Complete","ListItems":"3"}]}`,
			out: "QueueParams\n  Queue  Max\n  sales  0\n\nQueueMember\n  Queue  Name\n  sales  Zoë Ω\n  s      a\n\nQueueStatusComplete: ListItems=3\n",
		},
		"command": {
			reply: `{"response":"Success","fields":{"Response":"Success"},"output":["one","\u001b[31mtwo\u0007"]}`,
			out:   "one\n\uFFFD[31mtwo\uFFFD\n",
		},
		"refused by asterisk": {
			reply: `{"response":"Error","message":"Permission denied","fields":{"Response":"Error"},"error":{"code":422,"kind":"asterisk_error","sent":"yes","message":"Asterisk refused or failed it"}}`,
			err:   "error: asterisk_error: Permission denied (sent: yes)",
		},
		"not connected": {
			reply: `{"error":{"code":503,"kind":"not_connected","sent":"no","retry_after_ms":1200}}`,
			err:   "error: not_connected (sent: no, retry after 1.2s)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			err := printReply(stdio{out: &out}, &nats.Msg{Data: []byte(c.reply)}, false)
			if out.String() != c.out {
				t.Errorf("printed\n%q, want\n%q", &out, c.out)
			}
			if text := ""; err != nil {
				if text = err.Error(); text != c.err {
					t.Errorf("error %q, want %q", text, c.err)
				}
				if e, ok := errors.AsType[*exitError](err); !ok || e.code != 1 {
					t.Error("exit code is not 1")
				}
			} else if c.err != "" {
				t.Error("no error")
			}
		})
	}
}

func TestCall_MakesThePayload(t *testing.T) {
	got, err := payloadOf([]string{"Queue=sales", "Variable=a=1", "Variable=b=2", "Empty="})
	if want := `{"Empty":"","Queue":"sales","Variable":["a=1","b=2"]}`; err != nil || string(got) != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
	if got, err := payloadOf(nil); got != nil || err != nil {
		t.Errorf("no headers: %q, %v", got, err)
	}
	if _, err := payloadOf([]string{"Queue"}); err == nil {
		t.Error("a header without = is taken")
	}
}

// An Action is for one server: what would reach others, or none, is wrong usage
// before anything is asked.
func TestCall_IsForOneServer(t *testing.T) {
	for _, c := range []callCmd{
		{Server: "all", Action: "Ping"}, {Server: "*", Action: "Ping"}, {Server: "pbx1", Action: ">"}, {Server: "a.b", Action: "Ping"}, {Server: "pbx1", Action: "a b"},
		{Server: "pbx1", Action: "Ping", Headers: []string{"Key"}},
	} {
		if e, ok := c.Run(stdio{}).(*exitError); !ok || e.code != 2 {
			t.Errorf("%s %s: %+v", c.Server, c.Action, e)
		}
	}
	for list, want := range map[string]string{
		"nats://u:p@ss@h:4222,tls://h2": "nats://[redacted]@h:4222,tls://h2", "t0ken@h": "[redacted]@h", "nats://h": "nats://h",
	} {
		if got := env.RedactURLs(list); got != want {
			t.Errorf("a list of URLs is shown as %q, want %q", got, want)
		}
	}
}
