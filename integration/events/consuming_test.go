package events

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// The program of docs/consuming.md is docs/examples/consume, and the other lines
// of Go there are those of the tests below.
func TestConsuming_ThePageShowsWhatIsRun(t *testing.T) {
	root := harness.Root(t)
	page := harness.ReadText(t, root, "docs/consuming.md")
	program := "```go\n" + harness.ReadText(t, root, "docs/examples/consume/main.go") + "```\n"
	if !strings.Contains(page, program) {
		t.Error("docs/consuming.md shows another program than docs/examples/consume/main.go")
	}
	tests := harness.ReadText(t, root, "integration/events/consuming_test.go")
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(strings.Replace(page, program, "", 1), -1)
	if len(blocks) < 3 {
		t.Fatalf("%d blocks of Go", len(blocks))
	}
	for _, block := range blocks {
		for line := range strings.Lines(block[1]) {
			if !strings.Contains(tests, "\n\t"+line) {
				t.Errorf("no test has %q", line)
			}
		}
	}
}

// consumed is a bridge to pbx1 that wants no Denied, on a NATS that takes no
// large event.
func consumed(t *testing.T) (*amisim.Server, *harness.Running) {
	t.Helper()
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	s := harness.ChaosServer("pbx1", addr)
	s.EventsDeny = setting.Globs{"Denied"}
	url := natstest.Serve(t, func(o *natsserver.Options) { o.MaxPayload = 64 << 10 }).ClientURL()
	return sim, harness.Bridge(t, url, harness.ChaosConfig, s)
}

func TestConsuming_TheExampleFindsTheHoles(t *testing.T) {
	t.Parallel()
	sim, r := consumed(t)
	for _, name := range []string{"A", "A", "Denied", "Denied", "A"} {
		sim.Emit("Event", name)
	}
	sim.Emit("Event", "A", "Large", strings.Repeat("x", 100<<10))
	sim.Emit("Event", "A")
	r.Drained("pbx1", 7)
	states := r.Subscribe("ami.status.pbx1.connection")
	sim.Kick()
	r.AwaitText(states, `"role":"event","from":"connecting","to":"up"`)
	sim.Emit("Event", "A")
	r.Drained("pbx1", 8)
	program := harness.Build(t, "./docs/examples/consume")
	run := func() string {
		t.Helper()
		example := exec.CommandContext(t.Context(), program, "pbx1")
		example.Env, example.Stderr = append(os.Environ(), "NATS_URL="+r.Config.NATS.URL), t.Output()
		out, err := example.Output()
		if err != nil {
			t.Fatalf("%s: %v", program, err)
		}
		return string(out)
	}
	const first = `^missing: 2 before 5 without a Gap 2
gap: oversize from \S+ to \S+ lost 1
missing: 1 before 7 without a Gap 0
gap: (?:closed|read) from \S+ to \S+ lost unknown
login: \S+
read to \S+ 1
$`
	if out := run(); !regexp.MustCompile(first).MatchString(out) {
		t.Errorf("it says\n%s", out)
	}
	// A reader that begins again goes on where it was, and misses nothing.
	sim.Emit("Event", "A")
	r.Drained("pbx1", 9)
	if out := run(); !regexp.MustCompile(`^read to \S+ 2\n$`).MatchString(out) {
		t.Errorf("the second time it says\n%s", out)
	}
}

func TestConsuming_ChooseAndFollow(t *testing.T) {
	sim, r := consumed(t)
	ctx, nc := t.Context(), r.Client
	js := harness.JetStream(t, nc)
	for _, name := range []string{"Newchannel", "Hangup", "VarSet", "AgentConnect"} {
		sim.Emit("Event", name)
	}
	r.Drained("pbx1", 4)
	hour := time.Now().Add(-time.Hour)

	consumer, err := js.OrderedConsumer(ctx, "AMI_EVENTS", jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{"ami.events.*.Hangup", "ami.events.*.AgentConnect"},
		DeliverPolicy:  jetstream.DeliverByStartTimePolicy, OptStartTime: &hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		t.Fatal(err)
	}
	defer messages.Stop()
	for _, want := range []string{"ami.events.pbx1.Hangup", "ami.events.pbx1.AgentConnect"} {
		msg, err := messages.Next(jetstream.NextMaxWait(harness.Patience))
		if err != nil || msg.Subject() != want {
			t.Fatalf("came %v, want %s (%v)", msg, want, err)
		}
	}
}

func TestConsuming_LastValues(t *testing.T) {
	_, r := consumed(t)
	ctx, nc := t.Context(), r.Client
	js := harness.JetStream(t, nc)

	status, err := js.Stream(ctx, "AMI_STATUS")
	if err != nil {
		t.Fatal(err)
	}
	last, err := status.GetLastMsgForSubject(ctx, "ami.status.pbx1.connection")
	if err != nil || !strings.Contains(string(last.Data), `"server":"pbx1"`) {
		t.Fatalf("%+v, %v", last, err)
	}

	consumer, err := js.OrderedConsumer(ctx, "AMI_STATUS", jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
	})
	if err != nil {
		t.Fatal(err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		t.Fatal(err)
	}
	defer messages.Stop()
	missing := map[string]bool{"ami.nodes.b1": true, "ami.status.pbx1.connection": true, "ami.status.pbx1.buffers": true}
	for len(missing) > 0 {
		msg, err := messages.Next(jetstream.NextMaxWait(harness.Patience))
		if err != nil {
			t.Fatal(err)
		}
		delete(missing, msg.Subject())
	}
}

func TestConsuming_RepeatsHaveTheSameID(t *testing.T) {
	sim, r := consumed(t)
	sim.Emit("Event", "A")
	r.Drained("pbx1", 1)
	js := harness.JetStream(t, r.Client)
	stream, err := js.Stream(t.Context(), streams.EventStream)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := stream.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	again := &nats.Msg{Subject: msg.Subject, Header: msg.Header, Data: msg.Data}
	ack, err := js.PublishMsg(t.Context(), again)
	if err != nil || !ack.Duplicate || stream.CachedInfo().Config.Duplicates != 2*time.Minute {
		t.Errorf("stored again: %+v, %v", ack, err)
	}
}
