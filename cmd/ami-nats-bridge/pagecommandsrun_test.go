package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/longtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// runElsewhere are the commands of pages that no test of this package can run as they are, by
// how they begin, and why not. One with the name of a test is run by that.
var runElsewhere = map[string]string{
	"BRIDGE_NATS_USER=":  "needs the users of deploy/nats: TestDocs_EachUsersCommandWorks in integration/audit/vault_test.go",
	"git clone https://": "asks another machine",
	"make demo":          "runs until it is ended, on fixed ports: TestDocs_DemoAndReadme in cmd/ami-nats-bridge/demo_test.go",
	"make build":         "compiles: TestVersion_IsWhatTheLinkerIsTold in integration/status/version_test.go does the same",
}

// maybeMissing are the programs of others that not every machine has; their commands are run
// where they are there.
var maybeMissing = map[string]string{
	"nats":    "go install github.com/nats-io/natscli/nats",
	"curl":    "apt-get install curl",
	"openssl": "apt-get install openssl",
}

// nothingShown are those that may show nothing here: what they ask for is of certain days.
var nothingShown = []string{"2026-11-24", "--from -2d --to -1d", "--from yesterday --to today", "journalctl", "state pbx9 --purge"}

// goesOn are those that show what comes until they are interrupted.
var goesOn = regexp.MustCompile(`ami-nats-bridge tail |ami-nats-bridge tail$| --watch|nats kv watch`)

// Each command of a page's blocks is run as it is printed, by a shell, where a bridge with two
// Asterisks is at work; runElsewhere says of which that cannot be, and is itself no longer
// than need be.
func TestDocs_EachCommandIsRunAsPrinted(t *testing.T) {
	longtest.Mark(t, "ninety commands of pages are run, each a process")
	var all []pageCommand
	for page, text := range pagesOf(t) {
		all = append(all, shownIn(page, text)...)
	}
	if len(all) < 60 {
		t.Fatalf("only %d commands are found", len(all))
	}
	for begins, why := range runElsewhere {
		if !slices.ContainsFunc(all, func(c pageCommand) bool { return strings.HasPrefix(c.text, begins) }) {
			t.Errorf("%q (%s) is on no page any more", begins, why)
		}
		if name := regexp.MustCompile(`(Test\w+) in (\S+_test\.go)`).FindStringSubmatch(why); name != nil {
			if file, err := os.ReadFile(filepath.Join("../..", name[2])); err != nil || !bytes.Contains(file, []byte("func "+name[1]+"(")) {
				t.Errorf("%q: no %s, %v", begins, name[0], err)
			}
		}
	}
	w := newPageWorld(t)
	var group sync.WaitGroup
	room := make(chan struct{}, 3)
	for _, c := range all {
		if w.isElsewhere(t, c) {
			continue
		}
		group.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			w.run(t, c)
		})
	}
	group.Wait()
	t.Run("FitTerminals", fitTerminals)
}

// pageWorld is what the pages' commands are run in.
type pageWorld struct {
	dir     string // where they are run
	replace *strings.Replacer
}

func newPageWorld(t *testing.T) *pageWorld {
	t.Helper()
	page, err := freeAddr(demoHTTP)
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.DefaultConfig()
	url := natstest.Serve(t, nil).ClientURL()
	cfg.Node, cfg.NATS.URL, cfg.HTTPAddr = "b2", url, page
	cfg.Groups = []config.Group{{Name: "sales", Servers: []string{"pbx1"}}}
	set := []string{"BRIDGE_NATS_URL=" + url, "NATS_URL=" + url, "BRIDGE_HTTP_ADDR=" + page, "BRIDGE_SERVERS=pbx1,pbx2", "BRIDGE_NODE=b2", "BRIDGE_GROUP_SALES=pbx1", "BRIDGE_DATA_DIR=" + t.TempDir()}
	var sims []*amisim.Server
	for _, name := range []string{"pbx1", "pbx2"} {
		sim, addr := simulate(t, amisim.Config{Users: map[string]string{"bridge": "secret"}})
		s := config.DefaultServerConfig()
		s.Name, s.Addr, s.Username, s.Secret = name, addr, "bridge", "secret"
		cfg.Servers, sims = append(cfg.Servers, s), append(sims, sim)
		upper := "BRIDGE_SERVER_" + strings.ToUpper(name)
		set = append(set, upper+"_ADDR="+addr, upper+"_USERNAME=bridge", upper+"_SECRET=secret")
	}
	startBridge(t, cfg, "connection", `"role":"event"`, `"to":"up"`)
	envtest.Set(t, set...)
	head := past(t, url)
	liven(t, sims)
	until(t, "all is well", func() bool {
		return run([]string{"x", "status"}, stdio{"x", new(bytes.Buffer), new(bytes.Buffer)}) == 0
	})

	w := &pageWorld{dir: t.TempDir()}
	bin := installed(t)
	t.Setenv("TZ", "UTC")
	w.write(t, "journalctl", "#!/bin/sh\necho '{\"level\":\"info\",\"msg\":\"x\"}'\necho '{\"level\":\"warn\",\"msg\":\"y\"}'\n", bin)
	if err := os.Symlink(bin, filepath.Join(w.dir, "bin")); err != nil {
		t.Fatal(err)
	}
	w.replace = strings.NewReplacer(
		"localhost:9108", page, "10.0.0.1:5038", cfg.Servers[0].Addr, "/run/secrets/pbx1", envtest.File(t, "secret"),
		"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", head,
	)
	if openssl, err := exec.LookPath("openssl"); err == nil {
		out, err := exec.CommandContext(t.Context(), openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=asterisk",
			"-keyout", filepath.Join(w.dir, "key.pem"), "-out", filepath.Join(w.dir, "asterisk.pem")).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return w
}

// past stores what happened before, by the bridge b1, and returns the head of the audit's records.
func past(t *testing.T, url string) (head string) {
	t.Helper()
	a := &archive{t: t, url: url, js: jetStreamOf(t, url), n: map[string]int{}, prev: map[string]string{}}
	a.story()
	a.event("pbx1", time.Now().Add(-time.Minute), "Event", "Newchannel", "Channel", "PJSIP/trunk-1", "CallerIDNum", "+49301234567", "Uniqueid", "8.1", "Linkedid", "8.1")
	for i, end := range []string{"timeout", "connection_lost", "answered"} {
		a.record("pbx1", "Originate", time.Now().Add(time.Duration(i-10)*time.Minute), `"phase":"outcome","requester":"crm/7","decision":"allowed","sent":"unknown","outcome":"`+end+`"`)
	}
	a.record("pbx2", "Originate", time.Now().Add(-time.Minute), `"phase":"outcome","requester":"crm","decision":"refused","rule":"ACTIONS_DENY=Originate","sent":"no","outcome":"forbidden","code":403`)
	verified, _ := printed(t, 0, "audit", "--verify")
	found := regexp.MustCompile(`head ([0-9a-f]{64}) `).FindStringSubmatch(verified)
	if found == nil {
		t.Fatalf("no head in\n%s", verified)
	}
	return found[1]
}

func (w *pageWorld) write(t *testing.T, name, text, dir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil { // #nosec G306: a program of the test's
		t.Fatal(err)
	}
}

// liven has calls be made, and what the pages look for happen again and again, until the test
// ends.
func liven(t *testing.T, sims []*amisim.Server) {
	t.Helper()
	ctx, end := contextOf(t)
	var group sync.WaitGroup
	for i, sim := range sims {
		group.Go(func() { _ = sim.RunTraffic(ctx, amisim.Traffic{CallsPerSecond: 5, Seed: uint64(i)}) })
	}
	group.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				sims[0].Emit("Event", "Hangup", "Channel", "PJSIP/100-1", "Cause", "34", "Uniqueid", "7.1", "Linkedid", "7.1")
				run([]string{"x", "call", "pbx1", "Originate", "Channel=PJSIP/100", "Application=Playback", "Data=x", "Async=true"}, stdio{"x", new(bytes.Buffer), new(bytes.Buffer)})
			case <-ctx.Done():
				return
			}
		}
	})
	t.Cleanup(func() { end(); group.Wait() })
}

// isElsewhere says whether c is not run here.
func (w *pageWorld) isElsewhere(t *testing.T, c pageCommand) bool {
	t.Helper()
	for begins := range runElsewhere {
		if strings.HasPrefix(c.text, begins) {
			return true
		}
	}
	program := programOf(c.text)
	if _, err := exec.LookPath(program); err != nil && maybeMissing[program] != "" {
		t.Logf("NOT RUN: %s of %s: no %s here: %s", c.text, c.page, program, maybeMissing[program])
		return true
	}
	return false
}

// run runs c, again if need be: on a slow machine something may answer too late.
func (w *pageWorld) run(t *testing.T, c pageCommand) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	shown, problems, err := w.once(ctx, c)
	for err != nil && ctx.Err() == nil {
		shown, problems, err = w.once(ctx, c)
	}
	if err != nil {
		t.Errorf("%s: %s: %v\n%.3000s\n%.3000s", c.page, c.text, err, shown, problems)
	}
	if shown == "" && !slices.ContainsFunc(nothingShown, func(part string) bool { return strings.Contains(c.text, part) }) {
		t.Errorf("%s: %s shows nothing: %s", c.page, c.text, problems)
	}
}

// once is what c prints. What goes on is interrupted once it has printed something.
func (w *pageWorld) once(ctx context.Context, c pageCommand) (shown, problems string, err error) {
	text, stays := w.replace.Replace(c.text), goesOn.MatchString(c.text)
	if stays {
		text = "exec " + text // it is the one to be interrupted
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", text)
	cmd.Dir = w.dir
	if strings.HasPrefix(text, "BRIDGE_SERVERS=") { // it says all itself
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "AMI_NATS_BRIDGE_AS_PROGRAM=1", "BRIDGE_DATA_DIR=" + w.dir, "BRIDGE_EMBEDDED_NATS_ADDR=127.0.0.1:0"}
	}
	out, notes := newScreen(), newScreen()
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = out, notes, patience
	if err := cmd.Start(); err != nil {
		return "", "", err
	}
	if stays { // what it prints is waited for, or its end
		for out.String() == "" && ctx.Err() == nil {
			select {
			case <-out.news:
			case <-ctx.Done():
			}
		}
		_ = cmd.Process.Signal(syscall.SIGINT) // it may have ended, which Wait tells
	}
	err = cmd.Wait()
	if interrupted := new(exec.ExitError); errors.As(err, &interrupted) && stays && out.String() != "" && programOf(c.text) == "nats" {
		err = nil // as it ends
	}
	return out.String(), notes.String(), err
}
