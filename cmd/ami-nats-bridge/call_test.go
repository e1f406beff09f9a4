package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

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
		"breaker open": { // its message begins with the kind
			reply: `{"error":{"code":503,"kind":"breaker_open","sent":"no","retry_after_ms":60000,"message":"breaker open: auth: Login refused: Authentication failed"}}`,
			err:   "error: breaker open: auth: Login refused: Authentication failed (sent: no, retry after 1m0s)",
		},
		"not connected": {
			reply: `{"error":{"code":503,"kind":"not_connected","sent":"no","retry_after_ms":1200}}`,
			err:   "error: not_connected (sent: no, retry after 1.2s)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			r := replies{c: &callCmd{Server: "pbx1"}, std: stdio{out: &out, err: &out}}
			err := r.reply(&nats.Msg{Data: []byte(strings.Replace(c.reply, "{", `{"server":"pbx1",`, 1))}, false)
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

// What ended the waiting is said, and what had come by then.
func TestCall_SaysWhyNothingMoreComes(t *testing.T) {
	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	interrupted, stop := context.WithCancel(t.Context())
	stop()
	denied, deny := context.WithCancelCause(t.Context())
	deny(errors.New("Permissions Violation"))
	for _, test := range []struct {
		ctx   context.Context
		err   error
		every bool
		shown int
		want  string
	}{
		{late, late.Err(), false, 0, "Ping: no reply: nothing more within 3s (sent: unknown)"},
		{late, late.Err(), true, 2, "Ping: 2 replies came: nothing more within 3s (sent: unknown)"},
		{interrupted, interrupted.Err(), false, 0, "Ping: no reply: interrupted (sent: unknown)"},
		{denied, denied.Err(), true, 1, "Ping: 1 reply came: Permissions Violation (sent: unknown)"},
		{t.Context(), nats.ErrConnectionClosed, false, 0, "Ping: no reply: nats: connection closed (sent: unknown)"},
		{t.Context(), nats.ErrNoResponders, true, 0, nats.ErrNoResponders.Error()},
	} {
		r := replies{c: &callCmd{Action: "Ping", Timeout: time.Second}, every: test.every, shown: test.shown}
		if got := r.broken(test.ctx, test.err); got.Error() != test.want {
			t.Errorf("%v, want %s", got, test.want)
		}
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
}

// What makes no sense is wrong usage before anything is asked, with the nearest
// that does.
func TestCall_RefusesBeforeItAsks(t *testing.T) {
	for args, want := range map[string]string{
		"* Ping":                         "the name of a server",
		"pbx1 >":                         "of one action",
		"a.b Ping":                       "the name of a server",
		"pbx1 Ping Key":                  `"Key" is not Key=Value`,
		"pbx1 QueueStatsu":               "no Action of Asterisk 1.8 to 23 is called QueueStatsu: the nearest is QueueStatus (--no-validate sends it)",
		"pbx1 queuestatus":               "the nearest is QueueStatus",
		"pbx1 QueueStatus Qeue=sales":    "Qeue is not a header of QueueStatus: did you mean Queue? (--no-validate sends it)",
		"pbx1 Ping Queue=sales":          "Queue is not a header of Ping, which takes none",
		"pbx1 Ping --timeout 0s":         "--timeout wants more than 0",
		"pbx1 Ping --group sales":        "--group is for all",
		"pbx1 Ping --key 1 --stream":     "do not go together",
		"pbx1 Ping --wait":               "--wait is for Originate",
		"pbx1 Originate --wait":          "--wait wants Async=true",
		"pbx1 Ping --columns a -o json":  "--columns is for tables",
		"pbx1 Originate Async=no --wait": "--wait wants Async=true",
		// Asterisk takes the first (manager.c astman_get_header).
		"pbx1 Originate Async=no Async=yes --wait": "--wait wants Async=true",
	} {
		if _, problems := printed(t, 2, append([]string{"call"}, strings.Fields(args)...)...); !strings.Contains(problems, want) {
			t.Errorf("%s: %s", args, problems)
		}
	}
	for _, c := range []callCmd{
		{Server: "all", Action: "Odd", Timeout: 1}, {Server: "pbx1", Action: "Ping", Headers: []string{"Odd=1"}, Timeout: 1},
		{Server: "pbx1", Action: "Originate", Headers: []string{"async=yes"}, Wait: true, Validate: true, Timeout: 1},
		{Server: "pbx1", Action: "Originate", Headers: []string{"Async=yes", "Async=no"}, Wait: true, Validate: true, Timeout: 1},
	} {
		if err := c.check(); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestURLs_AreShownWithoutSecrets(t *testing.T) {
	for list, want := range map[string]string{
		"nats://u:p@ss@h:4222,tls://h2": "nats://[redacted]@h:4222,tls://h2", "t0ken@h": "[redacted]@h", "nats://h": "nats://h",
		"nats://h1:4222,h2,tls://t0ken@h3": "nats://h1:4222,h2,tls://[redacted]@h3",
		"nats://h1,nats://u:p,4@h2":        "nats://h1,nats://[redacted],[redacted]@h2",
		"u:p,4,5@h":                        "[redacted],[redacted],[redacted]@h",
	} {
		if got := env.RedactURLs(list); got != want {
			t.Errorf("a list of URLs is shown as %q, want %q", got, want)
		}
	}
}
