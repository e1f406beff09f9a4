package actions

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/realasterisk"
)

// shadowed is what a masked value is.
const shadowed = "[redacted]"

// showAuths answers PJSIPShowAuths with a list, and with a secret header in its
// response, as nobody does.
func showAuths(canary string) amisim.Fault {
	return func(s *amisim.Session, a *amisim.Action) {
		id := "ActionID: " + a.Get("ActionID") + "\r\n"
		s.Write([]byte("Response: Success\r\n" + id + "EventList: start\r\nMessage: Listing\r\nsecret: " + canary + "\r\n\r\n" +
			"Event: AuthList\r\n" + id + "Username: alice\r\nPassword: " + canary + "\r\nMd5Cred: \r\n\r\n" +
			"Event: AuthList\r\n" + id + "Username: bob\r\nMD5CRED: " + canary + "\r\nOauthSecret: " + canary + "\r\nOauthSecret: " + canary + "2\r\n" +
			"SecretExist: Y\r\nVariable: PIN=1\r\n\r\n" +
			"Event: AuthListComplete\r\n" + id + "EventList: Complete\r\nListItems: 2\r\n\r\n"))
	}
}

// Secrets in a reply are hidden, and it says which: in the response and the list,
// whole, as a stream, again by its key, and where Asterisk says Error.
func TestMask_SecretsInReplies(t *testing.T) {
	t.Parallel()
	const canary = "c4n4ry"
	sim, r := harness.ChaosBridge(t, amisim.Config{}, nil)
	sim.Always("PJSIPShowAuths", showAuths(canary))
	everybody := r.Subscribe("_INBOX.>")
	want := harness.Reply{Masked: []string{"secret", "Password", "MD5CRED", "OauthSecret"}}
	for range 2 { // the second is the first one's outcome
		whole := r.Call("pbx1", "PJSIPShowAuths", "", harness.KeyHeader, "k")
		wantMasked(t, whole, want.Masked)
		if whole.Fields["secret"] != shadowed || whole.Events[0]["Password"] != shadowed || whole.Events[0]["Md5Cred"] != "" ||
			whole.Events[1]["MD5CRED"] != shadowed || fmt.Sprint(whole.Events[1]["OauthSecret"]) != "[[redacted] [redacted]]" ||
			whole.Events[1]["SecretExist"] != "Y" || whole.Events[1]["Variable"] != "PIN=1" {
			t.Errorf("fields %v, events %v", whole.Fields, whole.Events)
		}
	}
	replies := r.Ask("pbx1", "PJSIPShowAuths", "", "Ami-Reply", "stream")
	for _, masked := range []string{"Password", "MD5CRED,OauthSecret", ""} {
		if part := r.Next(replies); part.Header.Get("Ami-Masked") != masked || part.Header.Get("Ami-Part") == "" {
			t.Errorf("part %s has %v, want Ami-Masked %q", part.Data, part.Header, masked)
		}
	}
	last := harness.ParseReply(t, r.Next(replies))
	slices.Sort(last.Masked)
	wantMasked(t, last, []string{"MD5CRED", "OauthSecret", "Password", "secret"})

	sim.Next("CoreSettings", amisim.Deny("no"))
	sim.Next("SIPshowpeer", func(s *amisim.Session, a *amisim.Action) {
		s.Write([]byte("Response: Error\r\nActionID: " + a.Get("ActionID") + "\r\nMessage: no\r\nRemoteSecret: " + canary + "\r\n\r\n"))
	})
	harness.Fails(t, r.Call("pbx1", "CoreSettings", ""), "asterisk_error", "yes")
	failed := r.Call("pbx1", "SIPshowpeer", `{"Peer":"a"}`)
	harness.Fails(t, failed, "asterisk_error", "yes")
	wantMasked(t, failed, []string{"RemoteSecret"})
	if plain := r.Call("pbx1", "CoreSettings", ""); plain.Masked != nil || plain.Error != nil {
		t.Errorf("nothing is hidden in %+v", plain)
	}
	if err := r.Client.Flush(); err != nil {
		t.Fatal(err)
	}
	schema := harness.Schemas(t)["reply"]
	for _, msg := range r.Pending(everybody) {
		if strings.Contains(string(msg.Data)+fmt.Sprint(msg.Header), canary) {
			t.Errorf("%s %v", msg.Data, msg.Header)
		}
		if strings.Contains(string(msg.Data), shadowed) {
			if err := schema.Validate(harness.Document(t, msg.Data)); err != nil {
				t.Errorf("%v\n%s", err, msg.Data)
			}
		}
	}
}

func wantMasked(t *testing.T, r harness.Reply, names []string) {
	t.Helper()
	if diff := cmp.Diff(names, r.Masked); diff != "" {
		t.Errorf("masked (-want +got): %s\n%+v", diff, r)
	}
}

// A grant shows them, deny beats it, and a server's own lists are its own.
func TestMask_UntilTheyAreGranted(t *testing.T) {
	t.Parallel()
	const canary = "c4n4ry"
	for _, test := range []struct {
		allow, deny string
		shown       bool
	}{
		{"", "", false},
		{"PJSIPShowAuths", "", false},
		{"PJSIPShowAuths:Secret", "", false},
		{"PJSIPShowEndpoint:secrets", "", false},
		{"PJSIPShowAuths:secrets", "", true},
		{"Ping,pjsipshowauths:SECRETS", "", true},
		{"*:secrets", "", true},
		{"*", "", true},
		{"PJSIPShowAuths:secrets", "PJSIPShowAuths:secrets", false},
		{"*", "*:secrets", false},
		{"*", "PJSIPShowEndpoint:secrets", true},
	} {
		t.Run(test.allow+" but "+test.deny, func(t *testing.T) {
			t.Parallel()
			sim, addr := harness.Sim(t, amisim.Config{})
			sim.Always("PJSIPShowAuths", showAuths(canary))
			own := harness.ChaosServer("pbx2", addr)
			own.ActionsAllow = setting.Globs{"Command"}
			r := harness.Bridge(t, harness.NATS(t), func(c *config.Config) {
				harness.ChaosConfig(c)
				c.Audit = config.AuditOff
				for to, text := range map[*setting.Globs]string{&c.ActionsAllow: test.allow, &c.ActionsDeny: test.deny} {
					if err := to.Decode(text); err != nil {
						t.Fatal(err)
					}
				}
			}, harness.ChaosServer("pbx1", addr), own)
			for _, server := range []string{"pbx1", "pbx2"} {
				want := any(shadowed)
				if test.shown && server == "pbx1" {
					want = canary
				}
				got := r.Call(server, "PJSIPShowAuths", "")
				if len(got.Events) != 3 || got.Events[0]["Password"] != want || (got.Masked == nil) != (want == canary) {
					t.Errorf("%s: %+v", server, got)
				}
			}
		})
	}
}

// What a caller without a grant hears of a real Asterisk has no secret of
// pjsip.conf in it, whatever he asks for; but for that it is what Asterisk said.
func TestReal_SecretsAreMasked(t *testing.T) {
	realasterisk.Each(t, func(t *testing.T, a *realasterisk.Instance) {
		if !a.OwnConfiguration() {
			return // whose secrets nobody knows here
		}
		ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
		defer cancel()
		r := harness.Bridge(t, harness.NATS(t), nil, harness.Server("pbx1", a.Addr(), a.User().Name, a.User().Secret))
		direct, err := a.Actions(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer direct.Close()
		for _, test := range []struct{ action, headers string }{
			{"PJSIPShowAuths", ""}, {"PJSIPShowEndpoint", "Endpoint: alice"}, {"PJSIPShowEndpoint", "Endpoint: dora"},
			{"PJSIPShowRegistrationsOutbound", ""},
		} {
			lines := []string{"Action: " + test.action}
			body := ""
			if test.headers != "" {
				lines = append(lines, test.headers)
				_, endpoint, _ := strings.Cut(test.headers, ": ")
				body = `{"Endpoint":"` + endpoint + `"}`
			}
			frames, err := direct.Do(ctx, lines...)
			if err != nil {
				t.Fatal(err)
			}
			said := ofFrames(frames)
			whole := r.Call("pbx1", test.action, body)
			heard, hidden := ofReply(whole), 0
			for i := range said.Events {
				for name, values := range said.Events[i] {
					if slices.ContainsFunc(values, isSecretOfAuths) {
						hidden++
						said.Events[i][name] = []string{shadowed}
						if !slices.Contains(whole.Masked, name) {
							t.Errorf("%s: masked %q without %s", test.action, whole.Masked, name)
						}
					}
				}
			}
			if diff := cmp.Diff(said, heard); diff != "" || hidden == 0 {
				t.Errorf("%s %s, %d hidden (-said +heard): %s", test.action, test.headers, hidden, diff)
			}
			text, _ := json.Marshal(whole)
			if isSecretOfAuths(string(text)) {
				t.Errorf("%s", text)
			}
			t.Logf("Asterisk %s: %s %s: %d values hidden, masked %q", a.Version(), test.action, test.headers, hidden, whole.Masked)
		}
	})
}

// isSecretOfAuths reports whether text holds a secret of pjsip.conf.
func isSecretOfAuths(text string) bool {
	return slices.ContainsFunc([]string{"alicepw", "carrierpw", digestOfDora, "oauthsecret-pw", "refreshtoken-pw"}, func(s string) bool { return strings.Contains(text, s) })
}

// digestOfDora is the md5_cred of an auth in pjsip.conf.
const digestOfDora = "d02a03aef03a03aef0d02a03aef03aef"
