package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// natsContexts makes contexts of the nats command line, by name, in a home of the
// test's own.
func natsContexts(t *testing.T, contents map[string]string) {
	t.Helper()
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	dir := filepath.Join(home, "nats", "context")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range contents {
		if err := os.WriteFile(filepath.Join(dir, name+".json"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// The first that is set says where NATS is, and has its credentials with it.
func TestClient_FindsNATSInOrder(t *testing.T) {
	natsContexts(t, map[string]string{
		"prod":  `{"url":"nats://ctx:1"}`,
		"stage": `{"url":"nats://stage:1","user":"u","password":"p"}`,
	})
	all := []string{"BRIDGE_NATS_URL=nats://bridge:1", "BRIDGE_NATS_USER=b", "BRIDGE_NATS_PASSWORD=bp", "NATS_CONTEXT=prod", "NATS_URL=nats://env:1", "NATS_USER=n", "NATS_PASSWORD=np"}
	for name, test := range map[string]struct {
		flags    natsFlags
		set      []string
		url      string
		from     string
		user     string
		problems string
	}{
		"the flag":                    {natsFlags{NATS: "nats://flag:1"}, all, "nats://flag:1", "--nats", "b", ""},
		"the flag, nats's user":       {natsFlags{NATS: "nats://flag:1"}, all[3:], "nats://flag:1", "--nats", "n", ""},
		"the bridge's":                {natsFlags{}, all, "nats://bridge:1", "BRIDGE_NATS_URL", "b", ""},
		"a context":                   {natsFlags{Context: "stage"}, all[3:], "nats://stage:1", "--context stage", "", ""},
		"a context of the env.":       {natsFlags{}, all[3:], "nats://ctx:1", "NATS_CONTEXT=prod", "", ""},
		"NATS_URL":                    {natsFlags{}, all[4:], "nats://env:1", "NATS_URL", "n", ""},
		"NATS_URL, the bridge's user": {natsFlags{}, []string{"NATS_URL=nats://env:1", "BRIDGE_NATS_USER=b", "BRIDGE_NATS_PASSWORD=bp"}, "nats://env:1", "NATS_URL", "", ""},
		"embedded":                    {natsFlags{}, nil, "nats://127.0.0.1:4222", "the bridge's embedded server", "", ""},
		"embedded elsewhere":          {natsFlags{}, []string{"BRIDGE_EMBEDDED_NATS_ADDR=0.0.0.0:5222"}, "nats://127.0.0.1:5222", "the bridge's embedded server", "", ""},
		"embedded, a user":            {natsFlags{}, []string{"BRIDGE_NATS_USER=b", "BRIDGE_NATS_PASSWORD=bp"}, "nats://127.0.0.1:4222", "the bridge's embedded server", "b", ""},
		"embedded, of a leaf":         {natsFlags{}, []string{"BRIDGE_NATS_LEAF_URL=nats://hub:7422", "BRIDGE_NATS_USER=b", "BRIDGE_NATS_PASSWORD=bp"}, "nats://127.0.0.1:4222", "the bridge's embedded server", "", ""},
		"flag and context":            {natsFlags{NATS: "nats://flag:1", Context: "prod"}, nil, "", "", "", "--nats and --context both say"},
		"context beside the bridge's": {natsFlags{Context: "prod"}, all, "", "", "", "--context has no effect while BRIDGE_NATS_URL is set"},
		"no such context":             {natsFlags{Context: "pord"}, nil, "", "", "", "--context pord: no context of the nats command line is called pord: the nearest is prod"},
		"no such context in the env.": {natsFlags{}, []string{"NATS_CONTEXT=../x"}, "", "", "", "NATS_CONTEXT=../x: no context"},
		"no URL":                      {natsFlags{}, []string{"NATS_URL=nats://u:" + envtest.Canary + "%zz@n"}, "", "", "", "NATS_URL: wants URLs"},
	} {
		t.Run(name, func(t *testing.T) {
			envtest.Set(t, test.set...)
			s, _ := env.Load()
			p, err := test.flags.where(&s)
			if test.problems != "" {
				if err == nil || !strings.Contains(err.Error(), test.problems) || strings.Contains(err.Error(), envtest.Canary) {
					t.Errorf("%v, want %q", err, test.problems)
				}
				return
			}
			if err != nil || p.nats.URL != test.url || p.from != test.from || p.nats.User != test.user {
				t.Errorf("%s by %s as %q, %v", p.nats.URL, p.from, p.nats.User, err)
			}
		})
	}
}

// Bridges of another prefix on the same NATS are none of ours. Those that share servers end
// the replies of all together.
func TestDiscover_KnowsOwnBridgesOnly(t *testing.T) {
	for name, test := range map[string]struct {
		bridges []string // the subject of all, and its group
		ends    int
	}{
		"two of their own":   {[]string{"ami.actions.all.* ", "ami.actions.all.* "}, 2},
		"two that share":     {[]string{"ami.actions.all.* q", "ami.actions.all.* q"}, 1},
		"both, and a third":  {[]string{"ami.actions.all.* ", "ami.actions.all.* q", "ami.actions.all.* q"}, 2},
		"the other way":      {[]string{"ami.actions.all.* q", "ami.actions.all.* ", "other.actions.all.* "}, 2},
		"of another prefix":  {[]string{"other.actions.all.* "}, 0},
		"one that stands by": {[]string{"ami.actions.all.* q", ""}, 1},
	} {
		var s served
		for i, all := range test.bridges {
			subject, group, _ := strings.Cut(all, " ")
			prefix, _, _ := strings.Cut(cmp.Or(subject, "ami"), ".")
			var endpoints strings.Builder
			for _, kind := range []string{"server", "group"} {
				fmt.Fprintf(&endpoints, `{"name":"%s%d","subject":"%s.actions.%s%d.*","queue_group":"q","metadata":{"kind":"%s"}},`, kind, i, prefix, kind, i, kind)
			}
			if subject == "" {
				s.add([]byte(`{"endpoints":[]}`), "ami")
				continue
			}
			s.add([]byte(`{"endpoints":[`+endpoints.String()+`{"name":"all","subject":"`+subject+`","queue_group":"`+group+`","metadata":{"kind":"all"}}]}`), "ami")
		}
		own := 0
		for _, all := range test.bridges {
			if strings.HasPrefix(all, "ami.") {
				own++
			}
		}
		if s.ends != test.ends || len(s.servers) != own || len(s.groups) != own {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// A context has a JetStream of its own, by a domain or by a prefix.
func TestClient_AsksTheContextsJetStream(t *testing.T) {
	natsContexts(t, map[string]string{
		"leaf":     `{"url":"nats://h","jetstream_domain":"hub"}`,
		"imported": `{"url":"nats://h","jetstream_domain":"hub","jetstream_api_prefix":"ami.js"}`,
	})
	for name, want := range map[string]string{"leaf": "$JS.hub.API", "imported": "ami.js"} {
		if p, err := contextPlace(name, ""); err != nil || p.api != want {
			t.Errorf("%s asks %s, %v", name, p.api, err)
		}
	}
}

// A context's credentials log in, and its inbox and JetStream are used.
func TestClient_UsesAContext(t *testing.T) {
	s := natstest.Serve(t, func(o *server.Options) {
		o.JetStreamDomain = "hub"
		o.Users = []*server.User{{Username: "reader", Password: "pw", Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: []string{"$JS.API.DIRECT.GET.AMI_EVENTS", "ami.actions.>"}},
			Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX_reader.>"}},
		}}, {Username: "admin", Password: "pw"}}
	})
	admin := strings.Replace(s.ClientURL(), "://", "://admin:pw@", 1)
	makes(t, admin, jetstream.StreamConfig{Name: "AMI_EVENTS", Subjects: []string{"ami.events.>"}, AllowDirect: true})
	a := &archive{t: t, url: admin, js: jetStreamOf(t, admin), n: map[string]int{}, prev: map[string]string{}}
	a.story()
	envtest.Set(t, "NATS_CONTEXT=prod")
	natsContexts(t, map[string]string{
		"prod": `{"url":"` + s.ClientURL() + `","user":"reader","password":"pw","inbox_prefix":"_INBOX_reader","jetstream_domain":"hub"}`,
	})
	if out, _ := printed(t, 0, "replay", "--server", "pbx1"); !strings.Contains(out, "Hangup") {
		t.Errorf("%s", out)
	}
	if _, problems := printed(t, 1, "call", "pbx1", "Ping"); !strings.Contains(problems, "no bridge serves") {
		t.Errorf("%s", problems)
	}
}

// call says where it asks if that is not this machine, whatever said so.
func TestCall_SaysWhichNATSItUses(t *testing.T) {
	nc := answering(t, 0, "")
	_, err := nc.Subscribe("ami.actions.lab.Ping", func(m *nats.Msg) { _ = m.Respond([]byte(`{"server":"lab","response":"Success"}`)) })
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	local := nc.ConnectedUrl()
	wild := strings.Replace(local, "127.0.0.1", "0.0.0.0", 1) // which Linux takes for this machine
	if _, problems := printed(t, 0, "call", "-s", local, "lab", "Ping"); problems != "" {
		t.Errorf("on loopback: %s", problems)
	}
	envtest.Set(t, "NATS_URL="+wild)
	if _, problems := printed(t, 0, "call", "lab", "Ping"); problems != "NATS is at "+wild+" (NATS_URL)\n" {
		t.Errorf("elsewhere: %s", problems)
	}
	for dialled, want := range map[string]bool{
		"nats://127.0.0.1:1": false, "nats://[::1]:1": false, "tls://localhost:1": false, "nats://10.0.0.1:1": true, "nats://pbx:1": true, "nats://127.0.0.1.example:1": true,
	} {
		if got := remote(dialled); got != want {
			t.Errorf("%s: %v", dialled, got)
		}
	}
}
