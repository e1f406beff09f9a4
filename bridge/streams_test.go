package bridge

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// lookedAt are streams that the last look has found well.
func lookedAt(t *testing.T) *streams {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Node = "b1"
	k := newStreams(&cfg, newConn("control", zap.NewNop()), zap.NewNop())
	for _, r := range k.rows {
		k.set(t.Context(), r.name, finding{state: streamOK})
	}
	return k
}

func (k *streams) is(t *testing.T, name string, want streamState) {
	t.Helper()
	if got, err := k.state(name); got != want {
		t.Errorf("%s is %v (%v), want %v", name, got, err, want)
	}
}

// Those who publish know first. What they say holds until they say otherwise,
// or nothing for long; a look that sees as much is believed.
func TestStreams_WhatPublishersSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := lookedAt(t)
		k.publishRefused(EventStream, 10077, "maximum bytes exceeded")
		k.is(t, EventStream, streamFull)
		k.is(t, AuditStream, streamOK)
		if len(k.poke) != 1 {
			t.Error("nobody looks")
		}
		k.set(t.Context(), EventStream, finding{state: streamOK}) // the stream itself looks well
		k.is(t, EventStream, streamFull)
		k.published(EventStream)
		k.is(t, EventStream, streamOK)

		k.nobodyTook(EventStream)
		k.is(t, EventStream, streamMissing)
		k.set(t.Context(), EventStream, finding{state: streamOK})
		k.is(t, EventStream, streamOK)

		k.stored(AuditStream, &jetstream.APIError{ErrorCode: 10047, Description: "insufficient storage resources available"})
		k.is(t, AuditStream, streamFull)
		time.Sleep(heardFor)
		k.forget()
		k.is(t, AuditStream, streamFull)
		time.Sleep(time.Second)
		k.forget()
		k.is(t, AuditStream, streamOK)

		k.stored(EventStream, &refusal{Code: 10109, Description: "invalid operation on sealed stream"})
		k.is(t, EventStream, streamReadOnly)
		k.stored(EventStream, errNoStream)
		k.is(t, EventStream, streamMissing)
		k.stored(EventStream, nil)
		k.is(t, EventStream, streamOK)
		k.publishRefused(EventStream, streamMessageExceedsMaximum, "message size exceeds maximum allowed")
		k.is(t, EventStream, streamOK) // that message's fault
	})
}

// What NATS denies is said of the stream whose subject it is, until the
// connection is another.
func TestStreams_WhatNATSDenies(t *testing.T) {
	k := lookedAt(t)
	denied := errors.Join(nats.ErrPermissionViolation, errors.New(`Permissions Violation for Publish to "ami.status.pbx1.gap"`))
	k.connectionError(denied)
	k.connectionError(errors.New(`Permissions Violation for Publish to "ami.audit.x.y"`)) // is no such error
	k.is(t, StatusStream, streamNoPermission)
	k.is(t, AuditStream, streamOK)
	k.is(t, EventStream, streamOK)
	k.reconnected()
	k.is(t, StatusStream, streamOK)
}

// A question that may not be asked, or whose answer may not be heard, has none:
// what NATS says of that ends it, not its time. What is denied beside it does not.
func TestStreams_ADenialEndsTheQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for denied, want := range map[string]time.Duration{
			`Publish to "$JS.API.STREAM.INFO.AMI_EVENTS"`:    0,
			`Subscription to "_INBOX_amibridge_b1.k7R2"`:     0,
			`Publish to "$JS.API.STREAM.INFO.AMI_AUDIT"`:     streamTimeout,
			`Subscription to "ami.actions.pbx1.>"`:           streamTimeout,
			`Subscription to "_INBOX_amibridge_b2.k7R2"`:     streamTimeout,
			`Publish to "_INBOX_amibridge_b1.k7R2.response"`: streamTimeout,
		} {
			k := lookedAt(t)
			began := time.Now()
			_, err := question(t.Context(), k, "STREAM.INFO.AMI_EVENTS", func(ctx context.Context) (string, error) {
				k.connectionError(fmt.Errorf("%w: Permissions Violation for %s", nats.ErrPermissionViolation, denied))
				<-ctx.Done()
				return "", ctx.Err()
			})
			if took := time.Since(began); took != want {
				t.Errorf("%s: it took %v, want %v", denied, took, want)
			}
			if errors.Is(err, errDenied) != (want == 0) {
				t.Errorf("%s: %v", denied, err)
			}
		}
	})
}

func TestStreams_Covers(t *testing.T) {
	for _, c := range []struct {
		pattern, subject string
		want             bool
	}{
		{"a.>", "a.b.c", true}, {"a.>", "a", false}, {"a.*", "a.b", true}, {"a.*", "a.b.c", false}, {"a.*.c", "a.>", false},
		{"a.>", "a.>", true}, {">", "a.>", true}, {"a.b", "a.*", false}, {"a.*", "a.*", true}, {"a.b.>", "a.>", false},
		{"a.*", "a.>", false}, {"a.b.c", "a.b", false},
	} {
		if got := covers(c.pattern, c.subject); got != c.want {
			t.Errorf("covers(%q, %q) = %v", c.pattern, c.subject, got)
		}
	}
}

// docs/streams.md has each state and each field, and says of each field whether
// it is ever changed, and in bold whether messages are refused or lost.
func TestStreams_AreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/streams.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := func(section string) (all []string) {
		_, text, _ := strings.Cut(string(page), "\n## "+section+"\n")
		text, _, _ = strings.Cut(text, "\n## ")
		for _, row := range regexp.MustCompile("(?m)^\\| (`.*?) \\| (.*?) \\| ?(.*)\\|$").FindAllStringSubmatch(text, -1) {
			for _, name := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(row[1], -1) {
				if all = append(all, name[1]); section == "Fields" {
					all[len(all)-1] += fmt.Sprint(" ", row[2] != "never", " ", strings.HasPrefix(row[3], "**"))
				}
			}
		}
		return all
	}
	var states, fields []string
	for s := range streamStates {
		states = append(states, s.String())
	}
	for _, f := range streamFields {
		fields = append(fields, fmt.Sprint(f.name, " ", f.change != nil, " ", f.loses))
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(states)), slices.Sorted(slices.Values(rows("States")))); diff != "" {
		t.Errorf("states (-known +documented):\n%s", diff)
	}
	if diff := cmp.Diff(fields, rows("Fields")); diff != "" {
		t.Errorf("fields, whether they are changed, and lose (-known +documented):\n%s", diff)
	}
}

// A server that does not know fast ingest is not asked for it.
func TestStreams_FastIngestWhereItIsKnown(t *testing.T) {
	cfg := DefaultConfig()
	for level, want := range map[int]bool{0: false, 3: false, 4: true, 5: true} {
		for _, s := range cfg.wantedStreams(level) {
			if got := s.AllowBatchPublish; got != (want && s.Name == EventStream) {
				t.Errorf("level %d: %s has it %v", level, s.Name, got)
			}
		}
	}
}

// What the publisher asks before it speaks fast ingest.
func TestStreams_TellsWhetherItIsBatched(t *testing.T) {
	b, _ := testBridge(t, startNATS(t, t.TempDir(), 0).ClientURL(), DeliverJetStream)
	if !b.streams.batches.Load() {
		t.Error("a stream just made on this nats-server takes no fast ingest")
	}
	core, _ := testBridge(t, startNATS(t, t.TempDir(), 0).ClientURL(), DeliverCore)
	if core.streams.batches.Load() {
		t.Error("a stream that is not there takes fast ingest")
	}
}

// A stream that takes messages is not said to be in no JetStream, whoever answers
// no questions about it: it may be in another account.
func TestStreams_OneThatPublishesHasAJetStream(t *testing.T) {
	k := lookedAt(t)
	none := finding{state: streamNoJetStream, err: errors.New("no responders")}
	for range 2 {
		k.published(EventStream)
		k.allAre(t.Context(), none)
		k.is(t, EventStream, streamUnseen)
		k.is(t, StatusStream, streamNoJetStream)
		k.stored(EventStream, errNoStream)
		k.is(t, EventStream, streamNoJetStream)
		k.published(EventStream)
		k.is(t, EventStream, streamUnseen)
		k.set(t.Context(), EventStream, finding{state: streamOK})
		k.is(t, EventStream, streamOK)
	}
}

// older is a server of a cluster that says it is of that version, and no more.
func older(t *testing.T, version string) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			fmt.Fprintf(c, "INFO {\"server_id\":\"x\",\"version\":%q,\"proto\":1,\"max_payload\":1048576}\r\n", version)
			for lines := bufio.NewScanner(c); lines.Scan(); {
				if lines.Text() == "PING" {
					fmt.Fprint(c, "PONG\r\n")
				}
			}
			c.Close()
		}
	}()
	return "nats://" + listener.Addr().String()
}

// In a cluster that is being upgraded no stream is given what an older server stops
// it for: only once every server knows it.
func TestStreams_FastIngestWaitsForEveryServer(t *testing.T) {
	for version, want := range map[string]bool{"2.12.0": false, "2.13.9": false, "2.14.0": true} {
		s := startNATS(t, t.TempDir(), 0)
		c := testConn(t, s.ClientURL())
		cfg := DefaultConfig()
		old := older(t, version)
		k := newStreams(&cfg, c, zap.NewNop())
		if err := c.hasFastIngestEverywhere(); err != nil {
			t.Fatalf("alone: %v", err)
		}
		all, err := nats.Connect(s.ClientURL()+","+old, nats.DontRandomize())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(all.Close)
		if err := c.adopt(all); err != nil {
			t.Fatal(err)
		}
		k.check(t.Context())
		if k.batches.Load() != want {
			t.Errorf("beside a server of %s AMI_EVENTS takes fast ingest: %v", version, k.batches.Load())
		}
	}
}
