package events

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// After a lost session the Gap says whether Asterisk itself was started anew,
// from the Uptime of the FullyBooted behind the login.
func TestGap_TellsWhetherAsteriskRestarted(t *testing.T) {
	t.Parallel()
	booted := func(uptime string) string {
		return "Event: FullyBooted\r\nPrivilege: system,all\r\n" + uptime + "Status: Fully Booted\r\n\r\n"
	}
	const hangup = "Event: Hangup\r\nPrivilege: call,all\r\n\r\n"
	for _, test := range []struct{ name, before, after, want string }{
		{"up for longer than the session", hangup, booted("Uptime: 86400\r\n"), "no"},
		{"started since the last time", booted("Uptime: 86400\r\n"), booted("Uptime: 0\r\n"), "yes"},
		{"started while it spoke, by a clock that was set", booted("Uptime: 86400\r\n"), booted("Uptime: 3600\r\n"), "unknown"},
		{"boots, or may not know any more", booted("Uptime: 86400\r\n"), hangup, "unknown"},
		{"announced", "Event: Shutdown\r\nPrivilege: system,all\r\nShutdown: Cleanly\r\nRestart: True\r\n\r\n", booted(""), "yes"},
		{"an Asterisk that does not say", hangup, booted(""), "unknown"},
		{"a user who may not know", hangup, hangup, "unknown"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			sim, r := harness.SimBridge(t, amisim.Config{NotBooted: true}, nil)
			events, states := r.Subscribe("ami.events.pbx1.>"), r.Subscribe("ami.status.pbx1.connection")
			gaps := r.Subscribe("ami.status.pbx1.gap")
			// The Pong that tells Asterisk's clock comes before what is sent from then on.
			pongs := func(n int) {
				harness.Eventually(t, "the Pongs behind the logins", func() bool { return sim.Received("Ping") >= n })
			}
			pongs(2)
			sim.EmitRaw([]byte(test.before))
			r.Next(events)
			sim.Kick()
			r.AwaitText(states, `"role":"event","from":"connecting","to":"up"`)
			pongs(4)
			sim.EmitRaw([]byte(test.after))
			if g := harness.GapOf(t, r.Next(events).Data); g.Event != "Gap" || g.Restarted != test.want || !harness.HungUp(g.Reason) || g.Lost != "unknown" {
				t.Errorf("%+v, want restarted %s", g, test.want)
			}
			word := map[string]string{"no": "false", "yes": "true", "unknown": "null"}[test.want]
			if status := r.Next(gaps); !strings.Contains(string(status.Data), `"restarted":`+word) {
				t.Errorf("status %s", status.Data)
			}
		})
	}
}

// FullyBooted comes in the same packet as the answer to the login.
func TestGap_TakesWhatIsGluedToTheLogin(t *testing.T) {
	sim, r := harness.SimBridge(t, amisim.Config{}, nil)
	gaps := r.Subscribe("ami.status.pbx1.gap")
	sim.Kick()
	r.Next(gaps)
}

// A session that brings no event has its Gap all the same.
func TestGap_ComesWithoutAnEvent(t *testing.T) {
	t.Parallel()
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	r := harness.Bridge(t, harness.NATS(t), func(c *config.Config) { c.StatusInterval = 100 * time.Millisecond },
		harness.Server("pbx1", addr, "bridge", "s3cret"))
	events := r.Subscribe("ami.events.pbx1.>")
	sim.Kick()
	if g := harness.GapOf(t, r.Next(events).Data); g.Event != "Gap" || g.Restarted != "unknown" {
		t.Errorf("%+v", g)
	}
}

// A frame over the limit leaves a Gap in its place.
func TestGap_StandsWhereAFrameWasTooLarge(t *testing.T) {
	sim, r := harness.SimBridge(t, amisim.Config{NotBooted: true}, func(s *config.ServerConfig) { s.MaxFrameBytes = 4096 })
	events := r.Subscribe("ami.events.pbx1.>")
	sim.Emit("Event", "Before")
	sim.Emit("Event", "Large", "Filler", strings.Repeat("x", 10_000))
	sim.Emit("Event", "After")
	r.Next(events)
	if g := harness.GapOf(t, r.Next(events).Data); g.Reason != "oversize" || g.Lost != "1" {
		t.Errorf("between them came %+v", g)
	}
	if after := r.Next(events); !strings.HasSuffix(after.Header.Get("Ami-Seq"), ":3") {
		t.Errorf("after it %s", after.Header.Get("Ami-Seq"))
	}
}

// The stream is away while a flood overruns the outbox. When it is back, events
// and Gaps together account for every number, in order, and the newest are there:
// also if another listener keeps NATS from saying that no stream does, so that as
// much as may be is in flight.
func TestGap_OverflowIsInPlaceAndExact(t *testing.T) {
	t.Parallel()
	for _, heard := range []bool{false, true} {
		t.Run(fmt.Sprintf("heard=%v", heard), func(t *testing.T) {
			t.Parallel()
			overflow(t, heard)
		})
	}
}

func overflow(t *testing.T, heard bool) {
	t.Helper()
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	s := harness.Server("pbx1", addr, "bridge", "s3cret")
	s.OutboxBytes, s.ShedFirst = 256<<10, setting.Globs{"VarSet"}
	r := harness.Bridge(t, harness.NATS(t), func(c *config.Config) { c.StatusInterval = 200 * time.Millisecond }, s)
	buffers := r.Subscribe("ami.status.pbx1.buffers")
	sim.Emit("Event", "Hangup", "N", "0")
	r.AwaitText(buffers, `"published":1`)
	js, bring := harness.JetStream(t, r.Client), harness.TakeStream(t, r.Client, streams.EventStream)
	if heard {
		r.Subscribe("ami.events.>")
	}
	const n = 20_000
	for i := 1; i < n; i++ {
		name := "Hangup"
		if i%2 == 0 && i < n/2 {
			name = "VarSet"
		}
		sim.Emit("Event", name, "N", fmt.Sprint(i))
		if i == n/2 {
			full := r.AwaitText(buffers, `"trigger":"full"`)
			if !strings.Contains(string(full.Data), `"level":"full"`) {
				t.Errorf("%s", full.Data)
			}
			r.AwaitText(buffers, fmt.Sprintf(`"received":%d`, i+1))
		}
	}
	r.AwaitText(buffers, fmt.Sprintf(`"received":%d`, n))
	bring()
	r.AwaitText(buffers, `"trigger":"drained"`)
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), streams.EventStream)
	if err != nil {
		t.Fatal(err)
	}
	info := stream.CachedInfo()
	consumer, err := js.OrderedConsumer(t.Context(), streams.EventStream, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		t.Fatal(err)
	}
	defer messages.Stop()
	lost, seen, last, newest := 0, 1, 0, 0 // one was seen before
	for range info.State.Msgs {
		msg, err := messages.Next(jetstream.NextMaxWait(harness.Patience))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(msg.Subject(), ".Gap") {
			g := harness.GapOf(t, msg.Data())
			var k int
			if _, err := fmt.Sscan(g.Lost, &k); err != nil {
				t.Fatalf("%+v", g)
			}
			lost += k
			newest = 0
			continue
		}
		var seq int
		if _, err := fmt.Sscan(msg.Headers().Get("Ami-Seq")[strings.IndexByte(msg.Headers().Get("Ami-Seq"), ':')+1:], &seq); err != nil {
			t.Fatal(err)
		}
		if seq <= last {
			t.Fatalf("%d came after %d", seq, last)
		}
		last = seq
		seen++
		newest++
	}
	if lost+seen != n || lost == 0 || last != n || newest < 500 {
		t.Errorf("%d events and %d in Gaps, the last %d up to number %d; want %d together, and the newest kept", seen, lost, newest, last, n)
	}
}
