package main

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/terminal"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// bridged runs a bridge for each list of servers, each with a simulated Asterisk
// and in the group sales, and returns the URL of their NATS.
func bridged(t *testing.T, lists ...string) (url string, sims map[string]*amisim.Server) {
	t.Helper()
	url, sims = natstest.Serve(t, nil).ClientURL(), map[string]*amisim.Server{}
	for i, list := range lists {
		cfg := config.DefaultConfig()
		cfg.Node, cfg.NATS.URL, cfg.HTTPAddr = fmt.Sprintf("b%d", i+1), url, ""
		for name := range strings.FieldsSeq(list) {
			sim, addr := simulate(t, amisim.Config{Users: map[string]string{"bridge": "secret"}})
			s := config.DefaultServerConfig()
			s.Name, s.Addr, s.Username, s.Secret = name, addr, "bridge", "secret"
			cfg.Servers, sims[name] = append(cfg.Servers, s), sim
		}
		cfg.Groups = []config.Group{{Name: "sales", Servers: strings.Fields(list)[:1]}}
		startBridge(t, cfg, "connection", `"role":"action"`, `"to":"up"`)
	}
	envtest.Set(t, "BRIDGE_NATS_URL="+url)
	return url, sims
}

// refused runs a bridge that pbx1 does not let in, and returns once its breaker is
// open.
func refused(t *testing.T) {
	t.Helper()
	_, addr := simulate(t, amisim.Config{Users: map[string]string{"bridge": "right"}})
	cfg, s := config.DefaultConfig(), config.DefaultServerConfig()
	cfg.Node, cfg.NATS.URL, cfg.HTTPAddr = "b1", natstest.Serve(t, nil).ClientURL(), ""
	s.Name, s.Addr, s.Username, s.Secret = "pbx1", addr, "bridge", "wrong"
	cfg.Servers = append(cfg.Servers, s)
	startBridge(t, cfg, "breaker", `"to":"open"`)
	envtest.Set(t, "BRIDGE_NATS_URL="+cfg.NATS.URL)
}

// startBridge runs a bridge until the test ends, and returns once each of its
// servers has had a status of that name with all of parts.
func startBridge(t *testing.T, cfg config.Config, status string, parts ...string) {
	t.Helper()
	b, err := bridge.New(cfg, bridge.Deps{Version: version()})
	if err != nil {
		t.Fatal(err)
	}
	nc := dialNATS(t, cfg.NATS.URL)
	up := make(chan string, 64)
	_, err = nc.Subscribe("ami.status.*."+status, func(m *nats.Msg) {
		if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(string(m.Data), p) }) {
			up <- strings.Split(m.Subject, ".")[2]
		}
	})
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := contextOf(t)
	var group sync.WaitGroup
	group.Go(func() { _ = b.Run(ctx) })
	t.Cleanup(func() { end(); group.Wait() })
	missing := map[string]bool{}
	for _, s := range cfg.Servers {
		missing[s.Name] = true
	}
	for len(missing) > 0 {
		select {
		case name := <-up:
			delete(missing, name)
		case <-time.After(patience):
			t.Fatalf("not up: %v", missing)
		}
	}
}

func TestCall_SaysWhoAnswered(t *testing.T) {
	_, sims := bridged(t, "pbx1 pbx2")
	var group sync.WaitGroup // those to all wait for the bridges' answers
	says := func(code int, args string, right func(out, problems string) bool) {
		group.Go(func() {
			if out, problems := printed(t, code, strings.Fields("call "+args)...); !right(out, problems) {
				t.Errorf("%s: %s%s", args, out, problems)
			}
		})
	}
	says(0, "any Ping", func(out, problems string) bool {
		return strings.Contains(out, "Ping: Pong") && strings.HasPrefix(problems, "answered by pbx")
	})
	says(0, "sales Ping", func(_, problems string) bool { return strings.HasPrefix(problems, "answered by pbx1 in ") })
	says(0, "pbx2 Ping", func(_, problems string) bool { return problems == "" })
	says(0, "all Ping", func(out, problems string) bool {
		return strings.Count(out, "Ping: Pong") == 2 && strings.Contains(out, "pbx1, in ") && strings.Contains(out, "\n\npbx") && problems == ""
	})
	says(0, "all Ping --group sales -o json", func(out, _ string) bool {
		return strings.Count(out, "\n") == 1 && strings.Contains(out, `"server":"pbx1"`)
	})
	group.Wait()

	sims["pbx2"].Always("Ping", amisim.Deny("not you"))
	says(1, "all Ping", func(out, problems string) bool {
		return strings.Count(out, "Ping: Pong") == 1 && problems == "pbx2: error: asterisk_error: not you (sent: yes)\n"
	})
	says(1, "pbx7 Ping", func(_, problems string) bool {
		return strings.Contains(problems, "(sent: no): no server or group is called pbx7: the nearest is pbx1\n")
	})
	says(1, "all Ping --group support", func(_, problems string) bool { return strings.Contains(problems, "support") })
	group.Wait()
}

// all has the replies of each bridge, which each say when they are through.
func TestCall_AllOfSeveralBridges(t *testing.T) {
	bridged(t, "pbx1 pbx2", "pbx3")
	if out, problems := printed(t, 0, "call", "all", "CoreStatus"); !strings.Contains(out, "pbx1, in ") || !strings.Contains(out, "pbx2, in ") || !strings.Contains(out, "pbx3, in ") {
		t.Errorf("%s%s", out, problems)
	}
	out, problems := printed(t, 0, "call", "all", "QueueStatus", "--stream")
	if !strings.Contains(out, `pbx3: {"Event":`) || strings.Count(out, ", in ") != 3 {
		t.Errorf("streamed: %s%s", out, problems)
	}
}

// What the flags say is what the bridge gets.
func TestCall_SendsWhatTheFlagsSay(t *testing.T) {
	nc := answering(t, 0, "")
	got := make(chan *nats.Msg, 1)
	_, err := nc.Subscribe("ami.actions.sales.Originate", func(m *nats.Msg) {
		got <- m
		_ = m.Respond([]byte(`{"server":"pbx1","response":"Success"}`))
	})
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	printed(t, 0, "call", "sales", "Originate", "Channel=PJSIP/1", "Async=true", "Data=a,b", "Variable=A=1", "Variable=B=2",
		"--wait", "--key", "k1", "--timeout", "5s", "--requester", "night shift")
	m := <-got
	if want := "map[Ami-Idempotency-Key:[k1] Ami-Requester:[night shift] Ami-Timeout:[5s] Ami-Wait:[complete]]"; fmt.Sprint(m.Header) != want {
		t.Errorf("headers %v, want %s", m.Header, want)
	}
	if want := `{"Async":"true","Channel":"PJSIP/1","Data":"a,b","Variable":["A=1","B=2"]}`; string(m.Data) != want {
		t.Errorf("body %s, want %s", m.Data, want)
	}
	t.Setenv("SUDO_USER", "")
	printed(t, 0, "call", "sales", "Originate")
	me, err := user.Current()
	host, hostErr := os.Hostname()
	if err != nil || hostErr != nil {
		t.Fatal(err, hostErr)
	}
	if got := (<-got).Header.Get("Ami-Requester"); got != me.Username+"@"+host {
		t.Errorf("asked by %q", got)
	}
	t.Setenv("SUDO_USER", "alice")
	printed(t, 0, "call", "sales", "Originate")
	if got := (<-got).Header.Get("Ami-Requester"); got != "alice@"+host {
		t.Errorf("behind sudo asked by %q", got)
	}
}

// The columns of a list are chosen.
func TestCall_ChoosesColumns(t *testing.T) {
	bridged(t, "pbx1")
	out, _ := printed(t, 0, "call", "pbx1", "QueueStatus", "--columns", "Name,Queue,Nothing")
	if !strings.Contains(out, "QueueMember\n  Name") || strings.Contains(out, "Penalty") {
		t.Errorf("%s", out)
	}
}

// What a terminal has no room for is named, whatever there is of it.
func TestCall_NamesTheColumnsThatDoNotFit(t *testing.T) {
	bridged(t, "pbx1")
	t.Setenv("NO_COLOR", "1")
	file, shown := terminalOf(t, 60)
	code := run([]string{"x", "call", "pbx1", "QueueStatus"}, stdio{"x", file, file})
	out := shown()
	for line := range strings.Lines(out) {
		if width := terminal.Width(strings.TrimSuffix(line, "\n")); width > 60 {
			t.Errorf("%q has %d columns", line, width)
		}
	}
	for _, want := range []string{"  Queue ", "not shown (--columns): ", "Wrapuptime"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit code %d, no %q in\n%s", code, want, out)
		}
	}
}

// tail says at once that no bridge has such a server.
func TestTail_SaysThatThereIsNoSuchServer(t *testing.T) {
	bridged(t, "pbx1 pbx2")
	var ends, quiet sync.WaitGroup // each waits for the bridges' answers
	var says []func()
	for args, want := range map[string]string{
		"--server pbx7":                     "no server of a running bridge is called pbx7: the nearest is pbx1\n",
		"ami.status.pbx.connection":         "no server of a running bridge is called pbx: the nearest is pbx1\n",
		"ami.status.*.connection":           "",
		"ami.status.pbx2.connection":        "",
		"Hangup --server pbx*,lab --grep x": "no server of a running bridge is called lab",
	} {
		show, problems := newScreen(), newScreen()
		tail := func() {
			run(append([]string{"x", "tail", "--count", "1"}, strings.Fields(args)...), stdio{"x", show, problems})
		}
		if want != "" {
			ends.Go(tail)
			says = append(says, func() { problems.await(t, regexp.QuoteMeta(want)) })
			continue
		}
		quiet.Go(func() {
			if tail(); problems.String() != "" {
				t.Errorf("%s: %s", args, problems)
			}
		})
	}
	quiet.Wait()
	for _, one := range says {
		one()
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	ends.Wait()
}

// contextOf ends before the test does, so that what it runs can be waited for.
func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithCancel(context.WithoutCancel(t.Context()))
}
