package streams

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
	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn/conntest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// lookedAt are streams that the last look has found well.
func lookedAt(t *testing.T) *Reconciler {
	t.Helper()
	cfg := config.DefaultConfig()
	cfg.Node = "b1"
	k := testStreams(&cfg, conntest.Bare())
	for _, r := range k.rows {
		k.set(t.Context(), r.name, finding{state: OK})
	}
	return k
}

func (k *Reconciler) is(t *testing.T, name string, want State) {
	t.Helper()
	if got, err := k.State(name); got != want {
		t.Errorf("%s is %v (%v), want %v", name, got, err, want)
	}
}

// Those who publish know first. What they say holds until they say otherwise,
// or nothing for long; a look that sees as much is believed.
func TestStreams_WhatPublishersSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := lookedAt(t)
		k.PublishRefused(EventStream, 10077, "maximum bytes exceeded")
		k.is(t, EventStream, Full)
		k.is(t, AuditStream, OK)
		if len(k.poke) != 1 {
			t.Error("nobody looks")
		}
		k.set(t.Context(), EventStream, finding{state: OK}) // the stream itself looks well
		k.is(t, EventStream, Full)
		k.Published(EventStream)
		k.is(t, EventStream, OK)

		k.nobodyTook(EventStream)
		k.is(t, EventStream, Missing)
		k.set(t.Context(), EventStream, finding{state: OK})
		k.is(t, EventStream, OK)

		k.Stored(AuditStream, &jetstream.APIError{ErrorCode: 10047, Description: "insufficient storage resources available"})
		k.is(t, AuditStream, Full)
		time.Sleep(reportedFor)
		k.forget()
		k.is(t, AuditStream, Full)
		time.Sleep(time.Second)
		k.forget()
		k.is(t, AuditStream, OK)

		k.Stored(EventStream, &natsconn.Refusal{Code: 10109, Description: "invalid operation on sealed stream"})
		k.is(t, EventStream, ReadOnly)
		k.Stored(EventStream, natsconn.ErrNoStream)
		k.is(t, EventStream, Missing)
		k.Stored(EventStream, nil)
		k.is(t, EventStream, OK)
		k.PublishRefused(EventStream, natsconn.StreamMessageExceedsMaximum, "message size exceeds maximum allowed")
		k.is(t, EventStream, OK) // that message's fault
	})
}

// A stream that a look finds well, and that takes nothing all the same, is not said to be well between any two
// tries: the account maps what is published to another subject, which no question to JetStream shows.
func TestStreams_AMappedSubjectIsNoStreamThatIsWell(t *testing.T) {
	for _, refused := range []error{natsconn.ErrNoStream, &natsconn.Refusal{Code: natsconn.StreamNotMatch}} {
		k := lookedAt(t)
		k.Stored(EventStream, refused)
		k.set(t.Context(), EventStream, finding{state: OK}) // it may have been made by that look
		k.is(t, EventStream, OK)
		for range 3 {
			k.Stored(EventStream, refused)
			k.set(t.Context(), EventStream, finding{state: OK})
			k.is(t, EventStream, Missing)
		}
		if _, err := k.State(EventStream); !strings.Contains(err.Error(), "does the account map subjects") {
			t.Errorf("it says %v", err)
		}
		k.Stored(EventStream, nil)
		k.is(t, EventStream, OK)
		k.Stored(EventStream, refused) // once more from the beginning
		k.set(t.Context(), EventStream, finding{state: OK})
		k.is(t, EventStream, OK)
	}
}

// A message that is too large has the streams looked at, for somebody may have set that limit; but
// not each of many.
func TestStreams_ATooLargeMessageHasThemLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := lookedAt(t)
		large := &natsconn.Refusal{Code: natsconn.StreamMessageExceedsMaximum}
		looks := 0
		for range 100 {
			k.Stored(EventStream, fmt.Errorf("an event: %w", large))
			k.Stored(EventStream, nats.ErrMaxPayload) // of no stream
			select {
			case <-k.poke:
				looks++
			default:
			}
			time.Sleep(sizeSpan / 25)
		}
		if looks != 4 {
			t.Errorf("%d looks", looks)
		}
		k.is(t, EventStream, OK)
	})
}

// What NATS denies is said of the stream whose subject it is, until the
// connection is another.
func TestStreams_WhatNATSDenies(t *testing.T) {
	k := lookedAt(t)
	denied := errors.Join(nats.ErrPermissionViolation, errors.New(`Permissions Violation for Publish to "ami.status.pbx1.gap"`))
	k.connectionError(denied)
	k.connectionError(errors.New(`Permissions Violation for Publish to "ami.audit.x.y"`)) // is no such error
	k.is(t, StatusStream, NoPermission)
	k.is(t, AuditStream, OK)
	k.is(t, EventStream, OK)
	k.reconnected()
	k.is(t, StatusStream, OK)
}

// Of a status nobody hears that it is stored: when it is not denied any more, that is known by
// no denial of what is published again.
func TestStreams_AStatusIsNotDeniedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := lookedAt(t)
		for subject, name := range map[string]string{"ami.nodes.b1": StatusStream, "ami.events.pbx1.Hangup": EventStream} {
			k.connectionError(errors.Join(nats.ErrPermissionViolation, fmt.Errorf("Permissions Violation for Publish to %q", subject)))
			k.is(t, name, NoPermission)
		}
		time.Sleep(k.cfg.StatusInterval + time.Second)
		k.forget()
		k.is(t, StatusStream, NoPermission)
		time.Sleep(k.cfg.StatusInterval)
		k.forget()
		k.is(t, StatusStream, OK)
		k.is(t, EventStream, NoPermission)
	})
}

// A question that may not be asked, or whose answer may not be heard, has none:
// what NATS says of that ends it, not its time. What is denied beside it does not.
func TestStreams_ADenialEndsTheQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for denied, want := range map[string]time.Duration{
			`Publish to "$JS.API.STREAM.INFO.AMI_EVENTS"`:    0,
			`Subscription to "_INBOX_amibridge_b1.k7R2"`:     0,
			`Publish to "$JS.API.STREAM.INFO.AMI_AUDIT"`:     QuestionTimeout,
			`Subscription to "ami.actions.pbx1.>"`:           QuestionTimeout,
			`Subscription to "_INBOX_amibridge_b2.k7R2"`:     QuestionTimeout,
			`Publish to "_INBOX_amibridge_b1.k7R2.response"`: QuestionTimeout,
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
			if errors.Is(err, natsconn.ErrDenied) != (want == 0) {
				t.Errorf("%s: %v", denied, err)
			}
		}
	})
}

// docs/stream-states.md has each state and each field, and says of each field whether
// it is ever changed, and in bold whether messages are refused or lost.
func TestStreams_AreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/stream-states.md")
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
	for s := range NumStates {
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
	cfg := config.DefaultConfig()
	for level, want := range map[int]bool{0: false, 3: false, 4: true, 5: true} {
		for _, s := range wantedStreams(&cfg, level) {
			if got := s.AllowBatchPublish; got != (want && s.Name == EventStream) {
				t.Errorf("level %d: %s has it %v", level, s.Name, got)
			}
		}
	}
}

// A stream that takes messages is not said to be in no JetStream, whoever answers
// no questions about it: it may be in another account.
func TestStreams_OneThatPublishesHasAJetStream(t *testing.T) {
	k := lookedAt(t)
	none := finding{state: NoJetStream, err: errors.New("no responders")}
	for range 2 {
		k.Published(EventStream)
		k.allAre(t.Context(), none)
		k.is(t, EventStream, Unseen)
		k.is(t, StatusStream, NoJetStream)
		k.Stored(EventStream, natsconn.ErrNoStream)
		k.is(t, EventStream, NoJetStream)
		k.Published(EventStream)
		k.is(t, EventStream, Unseen)
		k.set(t.Context(), EventStream, finding{state: OK})
		k.is(t, EventStream, OK)
	}
}

// testStreams are those that nobody listens to.
func testStreams(cfg *config.Config, c *natsconn.Conn) *Reconciler {
	return New(cfg, []*natsconn.Conn{c}, func() {}, func(context.Context, string, State) {}, zap.NewNop())
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
		url := natstest.Start(t, t.TempDir(), 0).ClientURL()
		if err := conntest.Open(t, url).FastIngestEverywhere(); err != nil {
			t.Fatalf("alone: %v", err)
		}
		cfg := config.DefaultConfig()
		k := testStreams(&cfg, conntest.Open(t, url+","+older(t, version), nats.DontRandomize()))
		k.Check(t.Context())
		if k.batches.Load() != want {
			t.Errorf("beside a server of %s AMI_EVENTS takes fast ingest: %v", version, k.batches.Load())
		}
	}
}

// A connection that falls while the streams are looked at, and is back at once, says nothing about
// them: what was seen last holds.
func TestStreams_ALookThatLosesItsConnectionSaysNothing(t *testing.T) {
	s := natstest.Serve(t, func(o *natsserver.Options) { o.JetStream = false })
	c := conntest.Open(t, s.ClientURL())
	nc, _ := natstest.Client(t, s.ClientURL())
	asked := make(chan struct{}, 1)
	_, err := nc.Subscribe("$JS.API.INFO", func(*nats.Msg) {
		_ = c.Get().ForceReconnect() // and the answer never comes
		asked <- struct{}{}
	})
	if err := errors.Join(err, nc.Flush()); err != nil {
		t.Fatal(err)
	}
	cfg := config.DefaultConfig()
	cfg.Node = "b1"
	k := testStreams(&cfg, c)
	for _, r := range k.rows {
		k.set(t.Context(), r.name, finding{state: OK})
	}
	k.Check(t.Context())
	if len(asked) == 0 {
		t.Fatal("nothing was asked")
	}
	for _, r := range k.rows {
		k.is(t, r.name, OK)
	}
}
