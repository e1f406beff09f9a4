package realasterisk

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

// orphanVariable makes the test binary start the Asterisk installed in that folder and get killed.
const orphanVariable = "REALASTERISK_ORPHAN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(orphanVariable); dir != "" {
		orphan(dir)
	}
	goleak.VerifyTestMain(m)
}

func TestAsterisk(t *testing.T) {
	Each(t, func(t *testing.T, a *Instance) {
		t.Run("logs in", func(t *testing.T) { testLogins(t, a) })
		t.Run("TLS", func(t *testing.T) { testTLS(t, a) })
		t.Run("actions", func(t *testing.T) { testActions(t, a) })
		t.Run("five calls", func(t *testing.T) { testFiveCalls(t, a) })
		t.Run("5,000 events", func(t *testing.T) { testSameOrder(t, a) })
	})
}

func testLogins(t *testing.T, a *Instance) {
	login := func(u User, auth Auth) error {
		c, err := Dial(t.Context(), a.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c.Login(t.Context(), u, auth, "off")
	}
	for _, auth := range []Auth{Plain, MD5} {
		if err := login(a.User(), auth); err != nil {
			t.Errorf("way %d: %v", auth, err)
		}
		if err := login(User{a.User().Name, "wrong"}, auth); err == nil {
			t.Errorf("way %d: a wrong secret logged in", auth)
		}
	}
	if !a.OwnConfiguration() {
		return
	}
	if err := login(a.Limited(), MD5); err != nil {
		t.Error(err)
	}
	if err := login(a.Barred(), MD5); err == nil {
		t.Error("the barred user logged in")
	}
	if err := login(a.Single(), MD5); err != nil {
		t.Error(err)
	}
	if err := login(a.Single(), Plain); err == nil {
		t.Error("the single user logged in twice")
	}
}

func testTLS(t *testing.T, a *Instance) {
	if a.TLSAddr() == "" {
		t.Skip("not started by the bench")
	}
	certificate, err := os.ReadFile(a.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certificate)
	conn, err := (&tls.Dialer{Config: &tls.Config{RootCAs: roots}}).DialContext(t.Context(), "tcp", a.TLSAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	banner := make([]byte, len("Asterisk Call Manager/"))
	if _, err := io.ReadFull(conn, banner); err != nil || string(banner) != "Asterisk Call Manager/" {
		t.Errorf("banner %q, %v", banner, err)
	}
}

func testActions(t *testing.T, a *Instance) {
	c, err := a.Actions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	do := func(lines ...string) []Frame {
		reply, err := c.Do(t.Context(), lines...)
		if err != nil {
			t.Fatal(err)
		}
		return reply
	}
	loaded := do("Action: ListCommands")
	for _, action := range []string{"CoreShowChannels", "QueueStatus", "PJSIPShowEndpoints", "Parkinglots", "VoicemailUsersList", "Agents",
		"DeviceStateList", "PresenceStateList", "ExtensionStateList", "IAXpeers", "ConfbridgeListRooms", "FAXSessions"} {
		if a.OwnConfiguration() && loaded[0].Get(action) == "" {
			t.Errorf("%s is not loaded", action)
		}
	}
	if lines := len(do("Action: Command", "Command: core show functions")[0].Lines()); lines < 150 {
		t.Errorf("core show functions has %d lines", lines)
	}
	list := do("Action: QueueStatus")
	if got := list[len(list)-1].Event(); got != "QueueStatusComplete" {
		t.Errorf("a list of %d frames ends with %q", len(list), got)
	}
	if reply := do("Action: Nonsense"); len(reply) != 1 || reply[0].Get("Response") != "Error" {
		t.Errorf("an unknown action: %q", reply)
	}
	if reply := do("Action: DBGet", "Family: bench", "Key: name"); a.OwnConfiguration() && reply[1].Get("Val") != "Zoë Ω 李雷" {
		t.Errorf("the seed: %q", reply)
	}
}

func testFiveCalls(t *testing.T, a *Instance) {
	counts := map[string]int{}
	for _, f := range record(t, a, "call", "busy", "sip", "quick", "latin1") {
		counts[f.Event()]++
	}
	for _, event := range []string{"Newchannel", "Hangup", "BridgeEnter", "QueueCallerJoin", "VarSet", "NewCallerid", "UserEvent", "CEL", "Cdr"} {
		if counts[event] == 0 {
			t.Errorf("no %s in %v", event, counts)
		}
	}
}

// testSameOrder is what the comparison of the bridge with a second session rests on.
func testSameOrder(t *testing.T, a *Instance) {
	a.NeedsOwn(t)
	other := make(chan []Frame, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	c, err := a.Events(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	wg.Go(func() {
		frames, err := c.Until(t.Context(), IsMark("end"))
		if err != nil {
			t.Error(err)
		}
		other <- frames
	})
	calls := strings.Split(strings.Repeat("call,", 59)+"call", ",")
	start := time.Now()
	frames := record(t, a, calls...)
	t.Logf("Asterisk %s: %d calls, %d events in %v", a.Version(), len(calls), len(frames), time.Since(start))
	if len(frames) < 5000 {
		t.Errorf("only %d events", len(frames))
	}
	if diff := cmp.Diff(after(frames), after(<-other)); diff != "" {
		t.Errorf("two sessions differ:\n%.4000s", diff)
	}
}

// record makes calls and returns the events from the login to the mark "end".
func record(t *testing.T, a *Instance, calls ...string) []Frame {
	a.NeedsOwn(t)
	events, err := a.Events(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		err := errors.Join(a.Mark(t.Context(), "start"), a.Calls(t.Context(), calls...), a.Mark(t.Context(), "end"))
		if err != nil {
			t.Error(err)
			events.Close()
		}
	})
	frames, err := events.Until(t.Context(), IsMark("end"))
	if err != nil {
		t.Fatal(err)
	}
	return frames
}

// after drops what comes before the mark "start": sessions begin at different times.
func after(frames []Frame) []string {
	var all []string
	for _, f := range frames {
		if IsMark("start")(f) {
			all = nil
		}
		all = append(all, string(f))
	}
	return all
}

func TestStart_RunsTwoOfOneInstallAndStopsThem(t *testing.T) {
	Each(t, func(t *testing.T, a *Instance) {
		a.NeedsOwn(t)
		b, err := Start(startContext(t), a.home.root)
		if err != nil {
			t.Fatal(err)
		}
		if a.Addr() == b.Addr() {
			t.Errorf("both at %s", a.Addr())
		}
		pid := b.cmd.Process.Pid
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if err := syscall.Kill(-pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("the process group is not gone: %v", err)
		}
		if c, err := a.Actions(t.Context()); err != nil {
			t.Errorf("stopping one disturbed the other: %v", err)
		} else {
			c.Close()
		}
	})
}

func TestStart_LeavesNoOrphanWhenItsProcessIsKilled(t *testing.T) {
	Each(t, func(t *testing.T, a *Instance) {
		a.NeedsOwn(t)
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), orphanVariable+"="+a.home.root)
		stdin, _ := child.StdinPipe()
		stdout, _ := child.StdoutPipe()
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		addr := make([]byte, 64)
		n, err := stdout.Read(addr)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", string(addr[:n]))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		stdin.Close()
		child.Wait()
		if status := child.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
			t.Fatalf("the starter ended with %v", child.ProcessState)
		}
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("Asterisk outlived the process that started it")
		}
	})
}

// orphan starts Asterisk, says where, waits for its stdin to end and dies without any cleaning up.
func orphan(dir string) {
	a, err := Start(context.Background(), dir)
	if err != nil {
		panic(err)
	}
	os.Stdout.WriteString(a.Addr())
	io.Copy(io.Discard, os.Stdin)
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
}
