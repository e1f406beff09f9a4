package bridge

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// numbered are events as a session reads and numbers them.
type numbered struct {
	t    *testing.T
	s    *server
	next uint64
}

func (n *numbered) read(text string) {
	n.t.Helper()
	f, _ := frames.NewReader(strings.NewReader(strings.ReplaceAll(text, ";", "\r\n")+"\r\n\r\n"), 200).Next()
	n.next++
	n.s.ingest.OnEvent(amiconn.Event{Session: "s1", Seq: n.next, At: time.Now(), Frame: f})
}

// panics has the handler of an event panic, as the session's reader lets it.
func (n *numbered) panics() {
	n.t.Helper()
	defer func() {
		if recover() == nil {
			n.t.Error("the panic was swallowed: nobody counts it")
		}
	}()
	n.next++
	n.s.ingest.OnEvent(amiconn.Event{Session: "s1", Seq: n.next, At: time.Now()}) // a Frame is missing
}

// Every number is published or told of in a Gap, whatever became of its event:
// also of one whose handler panics; or it is counted as not wanted.
func TestEvents_EveryNumberIsPublishedOrTold(t *testing.T) {
	server := natstest.Start(t, t.TempDir(), 0)
	b := testBridge(t, server.ClientURL(), config.DeliverJetStream)
	nc, js := natstest.Client(t, server.ClientURL())
	statuses, err := nc.SubscribeSync("ami.status.pbx1.gap")
	if err != nil {
		t.Fatal(err)
	}
	s := b.servers.here()[0]
	s.outbox.SetLastBefore(time.Time{})
	cfg := s.cfg
	cfg.EventsDeny = setting.Globs{"Unwanted"}
	s.ingest.SetFilter(&cfg)
	n := &numbered{t: t, s: s}
	long := strings.Repeat("x", 300)
	n.read("Event: Wanted")
	n.read("Event: Unwanted")
	n.panics()
	n.panics()
	n.read("Event: Wanted")
	n.read("Event: Unwanted;Text: " + long) // over the limit, and no loss
	n.read("Event: Wanted;Text: " + long)
	n.read("neither of them")
	n.panics()
	n.read("Event: Wanted")
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { b.publisher.Run(ctx) })
	t.Cleanup(func() { cancel(); group.Wait() })
	natstest.Within(t, "all is published", func() bool { return s.outbox.Account().Left == 0 })
	consumer, err := js.OrderedConsumer(t.Context(), streams.EventStream, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"Wanted s1:1", "Gap panic 2", "Wanted s1:5", "Gap oversize 1", "Gap corrupt 1", "Gap panic 1", "Wanted s1:10",
	}
	var got []string
	for range want {
		msg, err := consumer.Next()
		if err != nil {
			t.Fatal(err)
		}
		name, rest := msg.Subject()[strings.LastIndexByte(msg.Subject(), '.')+1:], msg.Headers().Get("Ami-Seq")
		if name == "Gap" {
			rest = gapWord(string(msg.Data()), `"Reason":"`) + " " + gapWord(string(msg.Data()), `"Lost":"`)
		}
		got = append(got, name+" "+rest)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the stream holds %q, want %q", got, want)
	}
	b.status.Flush()
	for _, reason := range []string{"panic", "oversize", "corrupt", "panic"} {
		msg, err := statuses.NextMsg(natstest.Patience)
		if err != nil || !strings.Contains(string(msg.Data), fmt.Sprintf(`"reason":%q`, reason)) {
			t.Fatalf("the status is %v, want %s (%v)", msg, reason, err)
		}
	}
	a := s.outbox.Account()
	if a.Received != n.next || a.Published != 3 || a.Filtered != 2 || a.Dropped["panic"] != 3 || a.Dropped["panic"]+a.Dropped[outbox.DropOversize]+a.Dropped[outbox.DropCorrupt] != 5 {
		t.Errorf("account %+v, want %d received, 3 published, 2 filtered, 3 of 5 lost for a panic", a, n.next)
	}
}

func gapWord(text, key string) string {
	_, rest, _ := strings.Cut(text, key)
	word, _, _ := strings.Cut(rest, `"`)
	return word
}
