package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/embedded"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
)

// screen is a terminal that tells when it was written to.
type screen struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	news chan struct{}
}

func newScreen() *screen { return &screen{news: make(chan struct{}, 1)} }

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.news <- struct{}{}:
	default:
	}
	return s.buf.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// await waits until something like pattern is on the screen.
func (s *screen) await(t *testing.T, pattern string) {
	t.Helper()
	want := regexp.MustCompile(pattern)
	for !want.MatchString(s.String()) {
		select {
		case <-s.news:
		case <-t.Context().Done():
			t.Fatalf("%q never showed in\n%s", pattern, s)
		case <-time.After(patience):
			t.Fatalf("%q never showed in\n%s", pattern, s)
		}
	}
}

// The demo shows events, and its commands work as printed; what README shows of it is so;
// its page has calls; and it leaves nothing behind.
func TestDocs_DemoAndReadme(t *testing.T) {
	envtest.Set(t)
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	show := newScreen()
	done := make(chan error, 1)
	var group sync.WaitGroup
	group.Go(func() { done <- (&demoCmd{Rate: 20}).demo(ctx, stdio{"ami-nats-bridge", show, show}, zap.NewNop()) })
	defer group.Wait()
	defer cancel()
	show.await(t, `Ctrl-C ends it`)

	printedWork(t, show)
	text := readme(t)
	recorded(t, text, regexp.MustCompile(`NATS is at (\S+)\.\n`).FindStringSubmatch(show.String())[1])
	page := regexp.MustCompile(`(?m)^  (http://127\.0\.0\.1:\d+) `).FindStringSubmatch(show.String())
	if page == nil {
		t.Fatalf("no address of the page in\n%s", show)
	}
	moves(t, page[1])
	show.await(t, `pbx1 +[1-9]\d* events/s +\d+ in all   pbx2 +[1-9]`)
	cancel()
	if err := <-done; err != nil {
		t.Error("demo:", err)
	}
	if !regexp.MustCompile(`\npbx1 [1-9]\d* events, pbx2 [1-9]\d* events, 0 lost\n$`).MatchString(show.String()) {
		t.Errorf("no summary at the end of\n%s", show)
	}
	counts := regexp.MustCompile(`(?m)^pbx1 .* in all$`).FindString(text)
	if counts == "" || !slices.Contains(shapesOf(show.String()), shapeOf(counts)) {
		t.Errorf("README shows %q, and the demo prints\n%s", counts, show)
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "*")); len(left) > 0 {
		t.Error("left behind:", left)
	}
}

// printedWork runs the commands that the demo shows.
func printedWork(t *testing.T, show *screen) {
	t.Helper()
	printed := regexp.MustCompile(`(?m)^  (ami-nats-bridge (?:tail|call|top).*)$`).FindAllStringSubmatch(show.String(), -1)
	if len(printed) != 3 {
		t.Fatalf("%d commands in\n%s", len(printed), show)
	}
	for _, command := range printed {
		args := strings.Fields(strings.ReplaceAll(command[1], "'", ""))
		if args[1] == "tail" {
			args = append(args, "--count", "3")
		}
		var out, problems bytes.Buffer
		code := 0
		until(t, command[1], func() bool { // call and top end with 1 while the servers are logged in to
			out.Reset()
			problems.Reset()
			code = run(args, stdio{args[0], &out, &problems})
			return args[1] == "tail" || code == 0
		})
		if code != 0 || problems.Len() > 0 {
			t.Errorf("%s: exit code %d, %s", command[1], code, &problems)
		}
		if args[1] == "top" && !strings.Contains(out.String(), "All 2 servers are well") {
			t.Errorf("top says %s", &out)
		}
		if lines := strings.Count(out.String(), "\n"); lines < 3 {
			t.Errorf("%s: %q", command[1], &out)
		}
	}
}

// moves wants calls that go through queues with agents on the page at url.
func moves(t *testing.T, url string) {
	t.Helper()
	until(t, "calls on the floor", func() bool {
		_, body, err := askHTTP(t.Context(), url+"/status.json")
		var snap view.Snapshot
		if err != nil || json.Unmarshal(body, &snap) != nil {
			return false
		}
		f := snap.Floor
		return f != nil && f.Calls > 0 && len(f.Queues) >= 4 && len(f.Agents) >= 5 && f.Talking > 0
	})
	if code, body, err := askHTTP(t.Context(), url+"/?view=floor"); err != nil || code != 200 || !strings.Contains(string(body), "support") {
		t.Errorf("the floor is %d, %v: %s", code, err, body)
	}
}

func TestDemo_TakesTheNextPort(t *testing.T) {
	envtest.Set(t)
	// Not demoPort: another demo may have it and let go of it meanwhile.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	srv, err := demoNATS(listener.Addr().(*net.TCPAddr).Port, t.TempDir(), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer embedded.Stop(srv)
	var out bytes.Buffer
	introduce(stdio{name: "bin/ami-nats-bridge", out: &out}, srv.ClientURL(), "127.0.0.1:9109")
	if want := "\n  bin/ami-nats-bridge call --nats " + srv.ClientURL() + " pbx1 QueueStatus\n"; !strings.Contains(out.String(), want) || !strings.Contains(out.String(), "127.0.0.1:4222 is taken.") {
		t.Errorf("no %q in\n%s", want, &out)
	}
}
