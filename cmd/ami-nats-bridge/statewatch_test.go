package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/cmd/ami-nats-bridge/internal/env/envtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// watched is what a watch has shown and said so far.
type watched struct {
	mu   sync.Mutex
	text strings.Builder
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

// taken is what came since it was asked for last.
func (w *watched) taken() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.text.Reset()
	return w.text.String()
}

// watch runs changes until the test ends, and returns what it shows: +key and value, or -key.
func watch(t *testing.T, js jetstream.JetStream, up func() bool, back <-chan struct{}) *watched {
	t.Helper()
	out := new(watched)
	s := &stateChanges{
		js: js, up: up, filters: []string{"pbx1.>"}, quiet: 10 * time.Millisecond, again: 10 * time.Millisecond, back: back,
		show: func(e jetstream.KeyValueEntry) error {
			if e.Operation() != jetstream.KeyValuePut {
				fmt.Fprintf(out, "-%s ", e.Key())
			} else {
				fmt.Fprintf(out, "+%s=%s ", e.Key(), e.Value())
			}
			return nil
		},
		note: func(text string) { fmt.Fprintf(out, "(%s) ", text) },
	}
	if err := s.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	first, err := upNow(t.Context(), s.watcher)
	if err != nil {
		t.Fatal(err)
	}
	s.have(first)
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- s.run(ctx, 0) }()
	t.Cleanup(func() {
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
		s.end()
	})
	return out
}

// told waits until all of want has been shown, in any order, and says what else was.
func (w *watched) told(t *testing.T, want ...string) {
	t.Helper()
	var all strings.Builder
	defer func() {
		if t.Failed() {
			t.Logf("shown: %q", all.String())
		}
	}()
	natstest.Within(t, fmt.Sprint("shown: ", want), func() bool {
		all.WriteString(w.taken())
		for _, one := range want {
			if !strings.Contains(all.String(), one) {
				return false
			}
		}
		return true
	})
	rest := all.String()
	for _, one := range want {
		rest = strings.Replace(rest, one, "", 1)
	}
	if rest = strings.TrimSpace(rest); rest != "" {
		t.Errorf("shown too: %q", rest)
	}
}

func makeState(t *testing.T, js jetstream.JetStream) jetstream.KeyValue {
	t.Helper()
	kv, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: streams.StateBucket})
	if err != nil {
		t.Fatal(err)
	}
	return kv
}

// A bucket that is deleted and made anew is watched on, though a watch of the one before does not end:
// of the new one all is shown, and what is not up any more.
func TestState_WatchOfABucketThatIsMadeAnew(t *testing.T) {
	_, js := natstest.Client(t, natstest.Serve(t, nil).ClientURL())
	kv := makeState(t, js)
	put(t, kv, "pbx1.channel.1", "a")
	put(t, kv, "pbx1.channel.2", "b")
	away := new(atomic.Bool)
	out := watch(t, js, func() bool { return !away.Load() }, nil)
	put(t, kv, "pbx1.channel.3", "c")
	out.told(t, "+pbx1.channel.3=c")
	if err := js.DeleteKeyValue(t.Context(), streams.StateBucket); err != nil {
		t.Fatal(err)
	}
	out.told(t, "(there is no bucket AMI_STATE: is a bridge running there, with BRIDGE_STATE=on?; what was shown may have changed since, it is tried again)")
	away.Store(true)
	kv = makeState(t, js)
	put(t, kv, "pbx1.channel.1", "a2") // of the revision that it had
	away.Store(false)
	out.told(t, "(the bucket is read again)", "+pbx1.channel.1=a2", "-pbx1.channel.2", "-pbx1.channel.3")
	put(t, kv, "pbx1.channel.4", "d")
	out.told(t, "+pbx1.channel.4=d")
}

// What changed and what ended while NATS was away is shown when it is back, and nothing twice: be the
// marks of what ended gone by then.
func TestState_WatchOverAnOutage(t *testing.T) {
	server := natstest.Start(t, t.TempDir(), 0)
	port := 0
	if _, err := fmt.Sscanf(server.ClientURL(), "nats://127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	dir := strings.TrimSuffix(server.StoreDir(), "/jetstream")
	back, said := make(chan struct{}, 1), new(watched)
	nc, err := nats.Connect(server.ClientURL(), append(outages(said, "see below", back), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond), nats.Timeout(patience))...)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	kv := makeState(t, js)
	for _, key := range []string{"1", "2", "3"} {
		put(t, kv, "pbx1.channel."+key, "a")
	}
	out := watch(t, js, nc.IsConnected, back)
	server.Shutdown()
	server.WaitForShutdown()
	natstest.Within(t, "it says that NATS is gone", func() bool { return strings.Contains(said.taken(), "see below") })
	aside := natstest.Start(t, dir, 0)
	_, other := natstest.Client(t, aside.ClientURL())
	elsewhere, err := other.KeyValue(t.Context(), streams.StateBucket)
	if err != nil {
		t.Fatal(err)
	}
	put(t, elsewhere, "pbx1.channel.2", "b")
	stream, err := other.Stream(t.Context(), streams.StateStream)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSubject("$KV.AMI_STATE.pbx1.channel.3")); err != nil {
		t.Fatal(err)
	}
	aside.Shutdown()
	aside.WaitForShutdown()
	natstest.Start(t, dir, port)
	out.told(t, "+pbx1.channel.2=b", "-pbx1.channel.3")
	natstest.Within(t, "it says that NATS is back", func() bool { return strings.Contains(said.taken(), "NATS is back") })
}

// Whoever looks at events is told that NATS is away, and sees what comes when it is back.
func TestTail_SaysThatNATSIsGone(t *testing.T) {
	server := natstest.Start(t, t.TempDir(), 0)
	port := 0
	if _, err := fmt.Sscanf(server.ClientURL(), "nats://127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	envtest.Set(t, "BRIDGE_NATS_URL="+server.ClientURL())
	show, problems, over := newScreen(), newScreen(), make(chan int, 1)
	go func() { over <- run([]string{"x", "tail", "ami.events.>", "--count", "1"}, stdio{"x", show, problems}) }()
	natstest.Within(t, "it listens", func() bool { return subscribed(server, "ami.events.>") })
	server.Shutdown()
	server.WaitForShutdown()
	natstest.Within(t, "it says so", func() bool { return strings.Contains(problems.String(), "what comes meanwhile is not shown") })
	server = natstest.Start(t, t.TempDir(), port)
	natstest.Within(t, "it is back", func() bool {
		return strings.Contains(problems.String(), "NATS is back") && subscribed(server, "ami.events.>")
	})
	nc, _ := natstest.Client(t, server.ClientURL())
	if err := nc.Publish("ami.events.pbx1.Hangup", []byte(`{"Event":"Hangup"}`)); err != nil {
		t.Fatal(err)
	}
	if code := <-over; code != 0 || !strings.Contains(show.String(), "Hangup") {
		t.Errorf("%d, %s", code, show)
	}
}
