package actions

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/realasterisk"
)

func realBridge(t *testing.T, a *realasterisk.Instance) *harness.Running {
	t.Helper()
	allow := func(c *config.Config) { c.ActionsAllow = setting.Globs{"Command"} }
	return harness.Bridge(t, harness.NATS(t), allow, harness.Server("pbx1", a.Addr(), a.User().Name, a.User().Secret))
}

func TestReal_CommandOfHundredsOfLines(t *testing.T) {
	realasterisk.Each(t, func(t *testing.T, a *realasterisk.Instance) {
		r := realBridge(t, a)
		direct, err := a.Actions(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer direct.Close()
		frames, err := direct.Do(t.Context(), "Action: Command", "Command: core show functions")
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, line := range frames[0].Lines() {
			if line, ok := strings.CutPrefix(line, "Output: "); ok {
				lines = append(lines, line)
			}
		}
		reply := r.Call("pbx1", "Command", `{"Command":"core show functions"}`)
		if diff := cmp.Diff(lines, reply.Output); diff != "" || len(lines) < 100 {
			t.Errorf("%d lines (-direct +NATS): %s", len(lines), diff)
		}
		if reply := r.Call("pbx1", "Command", `{"Command":"no such command"}`); reply.Error == nil || len(reply.Output) == 0 {
			t.Errorf("an unknown command: %+v, want an error with its output", reply)
		}
	})
}

func TestReal_ErrorsSayWhatAsteriskSaid(t *testing.T) {
	realasterisk.Each(t, func(t *testing.T, a *realasterisk.Instance) {
		r := realBridge(t, a)
		for _, test := range []struct {
			action, body string
			code         int
			kind, sent   string
			message      string // of Asterisk
		}{
			{"NoSuchAction", "", 422, "asterisk_error", "yes", "Invalid/unknown command"},
			{"Hangup", `{"Channel":"PJSIP/nobody-1"}`, 422, "asterisk_error", "yes", "No such channel"},
			{"Originate", `{"Channel":"Local/none@nowhere","Application":"Wait"}`, 422, "asterisk_error", "yes", ""},
			{"ping", "", 400, "bad_request", "no", ""},
			{"Login", "", 403, "forbidden", "no", ""},
			{"logoff", "", 403, "forbidden", "no", ""},
			{"UpdateConfig", "", 403, "forbidden", "no", ""},
			{"Ping", `{"Action":"Pong"}`, 400, "bad_request", "no", ""},
			{"Ping", `["x"]`, 400, "bad_request", "no", ""},
			{"Getvar", `{"Variable":"x\r\nAction: Logoff"}`, 400, "bad_request", "no", ""},
			{"Getvar", `{"Variable":"` + strings.Repeat("x", 2000) + `"}`, 400, "bad_request", "no", ""},
		} {
			reply := r.Call("pbx1", test.action, test.body)
			if e := reply.Error; e == nil || e.Code != test.code || e.Kind != test.kind || e.Sent != test.sent {
				t.Errorf("%s %.60s: %+v, want %d %s, sent %s", test.action, test.body, e, test.code, test.kind, test.sent)
			}
			if !strings.Contains(reply.Message, test.message) {
				t.Errorf("%s: message %q, want %q", test.action, reply.Message, test.message)
			}
			if code := reply.Header.Get("Nats-Service-Error-Code"); code != fmt.Sprint(test.code) {
				t.Errorf("%s: Nats-Service-Error-Code %q", test.action, code)
			}
		}
		if reply := r.Call("pbx1", "Ping", `{"ActionID":"mine"}`); reply.Response != "Success" || reply.RequestID != "mine" || reply.Error != nil {
			t.Errorf("Ping after all that: %+v", reply)
		}
	})
}

// limited is refused by Asterisk itself.
func TestReal_PermissionDenied(t *testing.T) {
	realasterisk.Each(t, func(t *testing.T, a *realasterisk.Instance) {
		a.NeedsOwn(t)
		u := a.Limited()
		r := harness.Bridge(t, harness.NATS(t), nil, harness.Server("pbx1", a.Addr(), u.Name, u.Secret))
		if reply := r.Call("pbx1", "Reload", ""); reply.Error == nil || reply.Error.Code != 422 || reply.Message != "Permission denied" {
			t.Errorf("Reload by a limited user: %+v", reply)
		}
	})
}

func TestReal_NamesThatAreNotASCII(t *testing.T) {
	realasterisk.Each(t, func(t *testing.T, a *realasterisk.Instance) {
		a.NeedsOwn(t)
		r := realBridge(t, a)
		const name = "Zoë Ω 李雷"
		if reply := r.Call("pbx1", "DBPut", `{"Family":"bench","Key":"name","Val":"`+name+`"}`); reply.Error != nil {
			t.Fatalf("DBPut: %+v", reply)
		}
		reply := r.Call("pbx1", "DBGet", `{"Family":"bench","Key":"name"}`)
		if len(reply.Events) == 0 || reply.Events[0]["Val"] != name {
			t.Errorf("DBGet: %+v, want %q", reply.Events, name)
		}
		// A variable's commas, quotes and backslashes arrive whole.
		const value = `a,b "c" \d é`
		sets := r.Subscribe("ami.events.pbx1.VarSet")
		body := `{"Channel":"Local/answer@load","Application":"Wait","Data":"1","Async":true,"Timeout":3000,
			"CallerID":"` + name + ` <1>","Variable":{"PROBE":"a,b \"c\" \\d é","OTHER":1}}`
		reply = r.Call("pbx1", "Originate", body, "Ami-Wait", "complete", "Ami-Timeout", "20s")
		if reply.Error != nil || len(reply.Events) != 1 || reply.Events[0]["Event"] != "OriginateResponse" {
			t.Fatalf("Originate: %+v", reply)
		}
		for {
			event := map[string]string{}
			for _, p := range harness.PayloadPairs(t, r.Next(sets).Data) {
				event[p.Key] = p.Values[0]
			}
			if event["Variable"] != "PROBE" {
				continue
			}
			// Asterisk escapes quotes and backslashes in this event.
			if want := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value); event["Value"] != want {
				t.Errorf("PROBE is %s, want %s", event["Value"], want)
			}
			return
		}
	})
}

func TestReal_OriginateThatFailsIsAnError(t *testing.T) {
	realasterisk.Each(t, func(t *testing.T, a *realasterisk.Instance) {
		a.NeedsOwn(t)
		r := realBridge(t, a)
		body := `{"Channel":"Local/reject@load","Application":"Wait","Data":"1","Async":"true","Timeout":3000}`
		reply := r.Call("pbx1", "Originate", body, "Ami-Wait", "complete", "Ami-Timeout", "20s")
		if reply.Error == nil || reply.Error.Kind != "asterisk_error" || reply.Error.Sent != "yes" || len(reply.Events) != 1 {
			t.Errorf("an async Originate to a busy extension: %+v", reply)
		}
	})
}
