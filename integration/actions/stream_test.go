package actions

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	natsserver "github.com/nats-io/nats-server/v2/server"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// largeQueue is a bridge to pbx1, whose queue has n members.
func largeQueue(t *testing.T, n int) (*amisim.Server, *harness.Running) {
	t.Helper()
	return harness.ChaosBridge(t, amisim.Config{Queues: harness.Members(n)}, nil)
}

func TestStream_AListOfAnyLength(t *testing.T) {
	const n = 50_000
	sim, r := largeQueue(t, n)
	whole := r.Call("pbx1", "QueueStatus", "")
	harness.Fails(t, whole, "reply_too_large", "yes")
	// It is said no faster than it is taken, or all of it may wait in this test.
	const piece, ahead = 100 << 10, 8
	more := make(chan struct{}, n)
	for range ahead {
		more <- struct{}{}
	}
	defer close(more)
	sim.Next("QueueStatus", func(s *amisim.Session, a *amisim.Action) {
		for reply := s.Reply(a); len(reply) > 0; {
			<-more
			size := min(piece, len(reply))
			s.Write(reply[:size])
			reply = reply[size:]
		}
	})
	before, peak := harness.HeapNow(), harness.WatchHeap()
	next := 0
	parts, last := harness.Streamed(r, r.Ask("pbx1", "QueueStatus", "", "Ami-Reply", "stream"), func(event map[string]any) {
		if event["Event"] == "QueueMember" {
			if event["Name"] != fmt.Sprintf("Agent %05d", next) {
				t.Fatalf("member %d is %v", next, event["Name"])
			}
			if next++; next%(piece/500) == 0 { // a member is shorter than 500 bytes
				more <- struct{}{}
			}
		}
	})
	harness.Succeeds(t, last)
	if next != n || parts != n+2 || last.Parts != parts || len(last.Events) != 0 {
		t.Errorf("%d members in %d parts, the reply says %d and holds %d events", next, parts, last.Parts, len(last.Events))
	}
	if grew := int64(peak()) - int64(before); grew > 96<<20 {
		t.Errorf("the live heap grew by %d MiB", grew>>20)
	}
	if sim.Received("QueueStatus") != 2 {
		t.Errorf("QueueStatus was sent %d times", sim.Received("QueueStatus"))
	}
}

func TestStream_OutputInBlocks(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"11.0.0", "2.5.0"} {
		t.Run(version, func(t *testing.T) {
			_, r := harness.ChaosBridge(t, amisim.Config{Version: version}, nil)
			lines := 0
			parts, last := harness.Streamed(r, r.Ask("pbx1", "Command", `{"Command":"long 1000"}`, "Ami-Reply", "stream"),
				func(block map[string]any) { lines += len(block["output"].([]any)) })
			if last.Error != nil || lines != 1000 || parts < 2 || last.Parts != parts || len(last.Output) != 0 {
				t.Errorf("%d lines in %d parts, then %+v", lines, parts, last)
			}
		})
	}
}

// Output over the limit of a frame, 1 MiB, comes as a stream all the same; a plain
// request is told what to do.
func TestStream_OutputOverAFrame(t *testing.T) {
	const lines = 200_000
	for _, version := range []string{"11.0.0", "2.5.0"} {
		t.Run(version, func(t *testing.T) {
			_, r := harness.ChaosBridge(t, amisim.Config{Version: version}, nil)
			ask := fmt.Sprintf(`{"Command":"long %d"}`, lines)
			plain := r.Call("pbx1", "Command", ask)
			harness.Fails(t, plain, "reply_too_large", "yes")
			for _, help := range []string{"Ami-Reply: stream", "BRIDGE_AMI_MAX_FRAME_BYTES"} {
				if !strings.Contains(plain.Error.Message, help) {
					t.Errorf("%q does not name %s", plain.Error.Message, help)
				}
			}
			before, peak := harness.HeapNow(), harness.WatchHeap()
			next := 0
			parts, last := harness.Streamed(r, r.Ask("pbx1", "Command", ask, "Ami-Reply", "stream"), func(block map[string]any) {
				for _, line := range block["output"].([]any) {
					if next++; line != fmt.Sprintf("line %d: a: b, c", next) {
						t.Fatalf("line %d is %v", next, line)
					}
				}
			})
			if last.Error != nil || next != lines || last.Parts != parts || parts < lines/200 {
				t.Errorf("%d lines in %d parts, then %+v", next, parts, last.Error)
			}
			if grew := int64(peak()) - int64(before); grew > 96<<20 {
				t.Errorf("the live heap grew by %d MiB", grew>>20)
			}
			harness.Succeeds(t, r.Call("pbx1", "QueueStatus", ""))
		})
	}
}

// A list behind an acknowledgement that announces it in words only is in the reply;
// what nothing announced is counted.
func TestBridge_ListsWithoutEventList(t *testing.T) {
	t.Parallel()
	sim, r := harness.ChaosBridge(t, amisim.Config{}, nil)
	list := func(message string) amisim.Fault {
		return func(s *amisim.Session, a *amisim.Action) {
			id := "ActionID: " + a.ActionID + "\r\n"
			s.Write([]byte("Response: Success\r\n" + id + "Message: " + message + "\r\n\r\n" +
				"Event: XDevice\r\n" + id + "Device: 1\r\n\r\n" +
				"Event: XDevicesComplete\r\n" + id + "EventList: Complete\r\nListItems: 1\r\n\r\n"))
		}
	}
	sim.Always("MeetmeList", list("Device list will follow"))
	sim.Always("LocalOptimizeAway", list("ok"))
	if got := r.Call("pbx1", "LocalOptimizeAway", ""); got.Error != nil || len(got.Events) != 0 {
		t.Errorf("%+v", got)
	}
	if got := r.Call("pbx1", "MeetmeList", ""); got.Error != nil || len(got.Events) != 2 || got.Events[0]["Device"] != "1" {
		t.Errorf("%+v", got)
	}
	if stray, late := r.Metric("responses_stray_total"), r.Metric("responses_late_total"); stray != 2 || late != 2 {
		t.Errorf("%v stray, %v late; want 2 and 2", stray, late)
	}
}

// Through an AMI proxy, and with a server that names no ActionID in its answers,
// all works as with an Asterisk.
func TestBridge_ThroughAProxy(t *testing.T) {
	t.Parallel()
	for name, sim := range map[string]amisim.Config{"proxy": {Proxy: "10.0.0.1"}, "without ActionID": {NoActionID: true}} {
		t.Run(name, func(t *testing.T) {
			sim, r := harness.ChaosBridge(t, sim, nil)
			harness.Succeeds(t, r.Call("pbx1", "QueueStatus", ""))
			harness.Eventually(t, "the first Pongs", func() bool { return sim.Received("Ping") >= 2 })
			if name == "proxy" {
				harness.Succeeds(t, r.Call("pbx1", "Ping", ""))
			} else {
				// Once a Pong has come it is refused; before it, it may end in doubt.
				harness.Eventually(t, "a caller's Ping is refused", func() bool {
					got := r.Call("pbx1", "Ping", "")
					if got.Error == nil {
						t.Fatal("it was answered by what may be another's Pong")
					}
					return got.Error.Kind == "bad_request" && got.Error.Sent == "no" && strings.Contains(got.Error.Message, "CoreStatus")
				})
			}
			events := r.Subscribe("ami.events.pbx1.Newchannel")
			sim.Emit("Event", "Newchannel", "Channel", "x", "Note", "a\nEvent: Hangup\nUniqueid: 1.1")
			got := string(r.Next(events).Data)
			if !strings.Contains(got, `"Event":"Newchannel"`) || !strings.Contains(got, `"Note":"a\nEvent: Hangup\nUniqueid: 1.1"`) {
				t.Errorf("the event is %s", got)
			}
		})
	}
}

// What is no list has no parts, and an error is as without a stream.
func TestStream_WithoutParts(t *testing.T) {
	t.Parallel()
	sim, r := largeQueue(t, 10)
	none := func(part map[string]any) { t.Errorf("part %v", part) }
	_, last := harness.Streamed(r, r.Ask("pbx1", "Ping", "", "Ami-Reply", "stream"), none)
	harness.Succeeds(t, last)
	sim.Next("QueueStatus", amisim.Deny("Permission denied"))
	_, last = harness.Streamed(r, r.Ask("pbx1", "QueueStatus", "", "Ami-Reply", "stream"), none)
	harness.Fails(t, last, "asterisk_error", "yes")
	_, last = harness.Streamed(r, r.Ask("pbx1", "Login", "", "Ami-Reply", "stream"), none)
	harness.Fails(t, last, "forbidden", "no")
	harness.Fails(t, r.Call("pbx1", "QueueStatus", "", "Ami-Reply", "all"), "bad_request", "no")
}

// A stream that breaks off says so behind what had come.
func TestStream_ALostSessionEndsIt(t *testing.T) {
	t.Parallel()
	sim, r := largeQueue(t, 100)
	sim.Next("QueueStatus", func(s *amisim.Session, a *amisim.Action) {
		s.Write([]byte("Response: Success\r\nActionID: " + a.ActionID + "\r\nEventList: start\r\n\r\n" +
			"Event: QueueMember\r\nActionID: " + a.ActionID + "\r\nName: one\r\n\r\n"))
		s.Close()
	})
	parts, last := harness.Streamed(r, r.Ask("pbx1", "QueueStatus", "", "Ami-Reply", "stream"), func(map[string]any) {})
	harness.Fails(t, last, "connection_lost", "yes")
	if parts != 1 || last.Parts != 1 {
		t.Errorf("%d parts, the reply says %d", parts, last.Parts)
	}
}

// A part that no message holds makes the stream an error.
func TestStream_APartOverMaxPayload(t *testing.T) {
	t.Parallel()
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	small := natstest.Serve(t, func(o *natsserver.Options) { o.MaxPayload = 64 << 10 })
	pbx := harness.ChaosServer("pbx1", addr)
	harness.NoState(&pbx)
	r := harness.Bridge(t, small.ClientURL(), harness.ChaosConfig, pbx)
	sim.Next("QueueStatus", func(s *amisim.Session, a *amisim.Action) {
		head := "\r\nActionID: " + a.ActionID + "\r\n"
		s.Write([]byte("Response: Success" + head + "EventList: start\r\n\r\n"))
		for _, size := range []int{10, 100_000, 10} {
			s.Write(fmt.Appendf(nil, "Event: QueueMember%sName: %0*d\r\n\r\n", head, size, 1))
		}
		s.Write([]byte("Event: QueueStatusComplete" + head + "EventList: Complete\r\n\r\n"))
	})
	replies := r.Ask("pbx1", "QueueStatus", "", "Ami-Reply", "stream")
	var numbers []string
	for {
		msg := r.Next(replies)
		if number := msg.Header.Get("Ami-Part"); number != "" {
			numbers = append(numbers, number)
			continue
		}
		harness.Fails(t, harness.ParseReply(t, msg), "reply_too_large", "yes")
		break
	}
	if diff := cmp.Diff([]string{"1", "3", "4"}, numbers); diff != "" {
		t.Errorf("the parts that came (-want +got): %s", diff)
	}
}

// A caller that went away costs what was on the way, not the whole list: little
// is said until the bridge has heard that nobody listens, then all the rest.
func TestStream_NobodyListens(t *testing.T) {
	t.Parallel()
	const n, little = 50_000, 100
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	nats := natstest.Serve(t, nil)
	pbx := harness.ChaosServer("pbx1", addr)
	harness.NoState(&pbx)
	r := harness.Bridge(t, nats.ClientURL(), harness.ChaosConfig, pbx)
	next := make(chan int)
	finish := sync.OnceFunc(func() { close(next) })
	defer finish()
	sim.Next("QueueStatus", func(s *amisim.Session, a *amisim.Action) {
		head := "\r\nActionID: " + a.ActionID + "\r\n"
		s.Write([]byte("Response: Success" + head + "EventList: start\r\n\r\n"))
		for parts := range next {
			s.Write([]byte(strings.Repeat("Event: QueueMember"+head+"Name: x\r\n\r\n", parts)))
		}
		s.Write([]byte("Event: QueueStatusComplete" + head + "EventList: Complete\r\n\r\n"))
	})
	parts := func(result string) float64 {
		return r.Metric("stream_parts_total", "server", "pbx1", "result", result)
	}
	replies := r.Ask("pbx1", "QueueStatus", "", "Ami-Reply", "stream")
	if err := replies.Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	said := 0
	harness.Eventually(t, "nobody listens, and it is known", func() bool {
		select {
		case next <- little:
			said += little
		case <-time.After(harness.Patience):
			t.Fatal("the list is not asked for")
		}
		return parts("unheard") > 0
	})
	before, err := nats.Varz(nil)
	if err != nil {
		t.Fatal(err)
	}
	next <- n
	finish()
	harness.Eventually(t, "it was answered", func() bool {
		return r.Metric("actions_total", "server", "pbx1", "result", "answered") == 1
	})
	after, err := nats.Varz(nil)
	if err != nil {
		t.Fatal(err)
	}
	harness.Succeeds(t, r.Call("pbx1", "Ping", "")) // its reply is behind the parts
	if sent := after.InMsgs - before.InMsgs; sent > n/4 {
		t.Errorf("%d messages for a caller that had gone", sent)
	}
	if all := float64(said + n + 1); parts("unheard") < n || parts("published")+parts("unheard") != all || parts("lost") != 0 {
		t.Errorf("of %v parts %v went to nobody, %v were kept back, %v lost",
			all, parts("published"), parts("unheard"), parts("lost"))
	}
}
