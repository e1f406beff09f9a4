package main

import (
	"bytes"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/replay"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// A signal ends a replay at once and in order, and the exit code says that this
// was not all.
func TestReplay_EndsWithASignal(t *testing.T) {
	a := newArchive(t)
	a.event("pbx1", time.Now().Add(-time.Hour), "Event", "First")
	a.event("pbx1", time.Now(), "Event", "Second")
	show, problems := newScreen(), newScreen()
	var code int
	var group sync.WaitGroup
	group.Go(func() {
		code = run([]string{"x", "replay", "--pace", "original"}, stdio{"x", show, problems})
	})
	show.await(t, `First`)
	if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	group.Wait()
	if code != 1 || strings.Contains(show.String(), "Second") || !strings.Contains(problems.String(), "interrupted: this is not all") ||
		!strings.Contains(problems.String(), "1 events in ") {
		t.Errorf("exit code %d, %s%s", code, show, problems)
	}
}

// What NATS does not permit is said at once.
func TestReplay_SaysWhatIsNotPermitted(t *testing.T) {
	envtest.Set(t)
	s := natstest.Serve(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "u", Password: "p", Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Deny: []string{"$JS.>"}},
			Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX_u.>"}},
		}}}
	})
	envtest.Set(t, "BRIDGE_NATS_URL="+s.ClientURL(), "BRIDGE_NATS_USER=u", "BRIDGE_NATS_PASSWORD=p")
	for args, want := range map[string]string{
		"replay":                  `"_INBOX.`,
		"replay --inbox _INBOX_u": `"$JS.API.DIRECT.GET.AMI_EVENTS"`,
		"audit --inbox=_INBOX_u":  `"$JS.API.DIRECT.GET.AMI_AUDIT"`,
	} {
		if _, problems := printed(t, 1, strings.Fields(args)...); !strings.Contains(problems, want) || !strings.Contains(problems, "Permissions Violation") {
			t.Errorf("%s: %s", args, problems)
		}
	}
}

// Who may get messages alone reads a stream that nobody answers for at first.
func TestReplay_MayNotAskWhetherTheStreamIsThere(t *testing.T) {
	s := natstest.Serve(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "admin", Password: "p"}, {Username: "u", Password: "p", Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: []string{"$JS.API.DIRECT.GET.LATE"}},
			Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
		}}}
	})
	admin := dialNATS(t, strings.Replace(s.ClientURL(), "://", "://admin:p@", 1))
	asked := 0
	if _, err := admin.Subscribe("$JS.API.DIRECT.GET.LATE", func(m *nats.Msg) {
		asked++
		answer := nats.NewMsg(m.Reply)
		answer.Header.Set("Status", map[bool]string{true: "503", false: "404"}[asked == 1])
		_ = admin.PublishMsg(answer) // the command says if it does not come
	}); err != nil {
		t.Fatal(err)
	}
	if err := admin.Flush(); err != nil {
		t.Fatal(err)
	}
	envtest.Set(t, "BRIDGE_NATS_URL="+s.ClientURL(), "BRIDGE_NATS_USER=u", "BRIDGE_NATS_PASSWORD=p")
	if _, problems := printed(t, 0, "replay", "--stream", "LATE"); !strings.HasPrefix(problems, "0 events in ") {
		t.Errorf("%s", problems)
	}
}

func TestProgress_IsForATerminalThatTheOutputDoesNotGoTo(t *testing.T) {
	var out, err bytes.Buffer
	if p := newProgress(stdio{out: &out, err: &err}); p.on {
		t.Error("a buffer is no terminal")
	}
	p := &progress{std: stdio{err: &err}, on: true, began: time.Now().Add(-2 * time.Second)}
	p.show(replay.Progress{Read: 255, Total: 1000})
	p.show(replay.Progress{Read: 256, Total: 1000})
	p.show(replay.Progress{Read: 512, Total: 1000}) // too soon
	p.done()
	if text := err.String(); !strings.HasPrefix(text, "\r\033[K256 of 1000 read, 1") || strings.Count(text, "\r\033[K") != 2 {
		t.Errorf("%q", text)
	}
}
