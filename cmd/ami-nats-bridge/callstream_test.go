package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// answering is a bridge that answers each request for pbx1 with parts, numbered
// from 1 but for what skip leaves out, and a reply.
func answering(t *testing.T, skip int, reply string, parts ...string) *nats.Conn {
	t.Helper()
	url := natstest.Serve(t, nil).ClientURL()
	envtest.Set(t, "BRIDGE_NATS_URL="+url)
	nc := dialNATS(t, url)
	_, err := nc.Subscribe("ami.actions.pbx1.*", func(m *nats.Msg) {
		if m.Header.Get("Ami-Reply") != "stream" {
			_ = m.Respond([]byte(`{"error":{"code":413,"kind":"reply_too_large","sent":"yes","message":"ask for a stream"}}`))
			return
		}
		for i, part := range parts {
			if i+1 == skip {
				continue
			}
			msg := nats.NewMsg(m.Reply)
			msg.Header.Set("Ami-Part", strconv.Itoa(i+1))
			msg.Data = []byte(part)
			_ = nc.PublishMsg(msg)
		}
		_ = nc.Publish(m.Reply, []byte(reply))
	})
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	return nc
}

func TestCall_Stream(t *testing.T) {
	one, two := `{"output":["one","","\u001btwo"]}`, `{"output":["three"]}`
	event := `{"Event":"QueueMember","Name":"Zoë"}`
	done := func(parts int) string {
		return fmt.Sprintf(`{"response":"Success","fields":{"Response":"Success","Ping":"Pong"},"parts":%d}`, parts)
	}
	failed := `{"error":{"code":413,"kind":"reply_too_large","sent":"yes","message":"NATS took the parts too slowly"},"parts":2}`
	for name, tc := range map[string]struct {
		args     string
		skip     int
		reply    string
		parts    []string
		code     int
		out      string
		problems string
	}{
		"output":         {"--stream", 0, done(2), []string{one, two}, 0, "one\n\n\uFFFDtwo\nthree\n", ""},
		"events":         {"--stream", 0, done(2), []string{event, event}, 0, event + "\n" + event + "\n", ""},
		"json":           {"--stream -o json", 0, done(2), []string{one, event}, 0, one + "\n" + event + "\n" + done(2) + "\n", ""},
		"no list":        {"--stream", 0, done(0), nil, 0, "Response: Success\nPing: Pong\n", ""},
		"an error":       {"--stream", 0, failed, []string{one, two}, 1, "one\n\n\uFFFDtwo\nthree\n", "reply_too_large: NATS took the parts too slowly (sent: yes)"},
		"part missing":   {"--stream", 1, done(2), []string{one, two}, 1, "", "part 1 is missing"},
		"last missing":   {"--stream", 2, done(2), []string{one, two}, 1, "one\n\n\uFFFDtwo\n", "1 of 2 parts came"},
		"without stream": {"", 0, done(2), []string{one, two}, 1, "", "ask for a stream"},
	} {
		t.Run(name, func(t *testing.T) {
			answering(t, tc.skip, tc.reply, tc.parts...)
			args := append([]string{"call", "pbx1", "Command", "Command=dialplan show"}, strings.Fields(tc.args)...)
			out, problems := printed(t, tc.code, args...)
			if out != tc.out || !strings.Contains(problems, tc.problems) || (problems == "") != (tc.problems == "") {
				t.Errorf("printed %q, want %q; problems %q", out, tc.out, problems)
			}
		})
	}
}

func TestCall_StreamToNobody(t *testing.T) {
	answering(t, 0, "")
	_, problems := printed(t, 1, "call", "--stream", "pbx2", "Ping")
	if !strings.Contains(problems, "no bridge serves ami.actions.pbx2") {
		t.Errorf("problems %q", problems)
	}
	// A token is no user's name, which nats.go shows.
	t.Setenv("BRIDGE_NATS_URL", strings.Replace(os.Getenv("BRIDGE_NATS_URL"), "://", "://t0ken@", 1))
	if _, problems := printed(t, 1, "call", "pbx2", "Ping"); !strings.Contains(problems, "no bridge serves") || strings.Contains(problems, "t0ken") {
		t.Errorf("with a token: problems %q", problems)
	}
}
