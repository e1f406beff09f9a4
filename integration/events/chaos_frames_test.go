package events

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

func tick(n int) []byte {
	return fmt.Appendf(nil, "Event: Tick\r\nPrivilege: call,all\r\nN: %d\r\n\r\n", n)
}

// The banner, the answers of the login and events come in one piece.
func TestChaos_BannerGluedToFrames(t *testing.T) {
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	stray := "Response: Error\r\nMessage: Missing action in request\r\n\r\n"
	sim.Always(amisim.Accept, amisim.After(string(tick(0))+stray+string(tick(1))))
	sim.Always("Challenge", amisim.Before(string(tick(2))))
	sim.Always("Login", amisim.Rewrite(func(b []byte) []byte {
		return bytes.Join([][]byte{tick(3), b, []byte(stray), tick(4), tick(5)}, nil)
	}))
	r := harness.Bridge(t, harness.NATS(t), harness.ChaosConfig, harness.ChaosServer("pbx1", addr))
	harness.Succeeds(t, r.Call("pbx1", "QueueStatus", ""))
	sim.Emit("Event", "Tick", "N", "6")
	// The action session has read the same bytes, and publishes none of them.
	r.Drained("pbx1", 7)
	got := harness.CheckStory(t, r.Story("pbx1"))
	harness.Ticks(t, got, 7)
	if got.Missing != 0 || got.Sessions != 1 {
		t.Errorf("%d numbers missing in the events of %d sessions", got.Missing, got.Sessions)
	}
}

// A frame that was cut takes the next one into it, wherever it was cut, and
// nothing beyond that.
func TestChaos_TruncatedFrames(t *testing.T) {
	sim, r := harness.ChaosBridge(t, amisim.Config{}, nil)
	ticked, states := r.Subscribe("ami.events.pbx1.Tick"), r.Subscribe("ami.status.pbx1.connection")
	whole := "Event: Cut\r\nPrivilege: call,all\r\nChannel: PJSIP/1\r\nUniqueid: 1.2\r\n\r\n"
	n, cuts := 0, 0
	for cut := 1; cut < len(whole); cut++ {
		sim.EmitRaw([]byte(whole[:cut]))
		sim.EmitRaw([]byte("Event: Swallowed\r\nPrivilege: call,all\r\nX: 1\r\n\r\n"))
		sim.EmitRaw(tick(n))
		n, cuts = n+1, cuts+1
	}
	// The other way round: the end of a frame without its beginning.
	for cut := 1; cut < len(whole)-len("\r\n\r\n"); cut++ {
		sim.EmitRaw([]byte(whole[cut:]))
		sim.EmitRaw(tick(n))
		n++
	}
	for range n {
		r.Next(ticked)
	}
	corrupt := uint64(r.Metric("frames_corrupt_total"))
	b := r.Drained("pbx1", uint64(n)+corrupt)
	got := harness.CheckStory(t, r.Story("pbx1"))
	if b.Dropped["corrupt"] != corrupt || got.LostByGaps != corrupt || got.Missing != corrupt || got.Sessions != 1 {
		t.Errorf("%d frames are corrupt: dropped %v, the Gaps tell of %d, %d numbers are missing, of %d sessions",
			corrupt, b.Dropped, got.LostByGaps, got.Missing, got.Sessions)
	}
	if changes := r.Changes(states); changes != 0 {
		t.Errorf("%d changes of state", changes)
	}
	next, rest := 0, 0
	for _, e := range got.Events {
		if e.Name != "Tick" {
			rest++
			continue
		}
		if e.Text("N") != strconv.Itoa(next) {
			t.Fatalf("tick %d is %s", next, e.Data)
		}
		next++
	}
	if next != n || rest > cuts+1 {
		t.Errorf("%d of %d whole events, and %d others, of at most %d", next, n, rest, cuts+1)
	}
	if corrupt < uint64(len(whole)/2) {
		t.Errorf("%v frames were counted as corrupt", corrupt)
	}
}

func TestChaos_GarbageBetweenFrames(t *testing.T) {
	sim, r := harness.ChaosBridge(t, amisim.Config{}, nil)
	rng := rand.New(rand.NewPCG(7, 7))
	const n = 500
	for i := range n {
		sim.EmitRaw(append(garbage(rng, i), "\r\n\r\n"...))
		sim.EmitRaw(tick(i))
	}
	// Around answers as well: a frame that is no message completes nothing.
	for i := range 50 {
		noise := string(garbage(rng, i)) + "\r\n\r\n"
		sim.Next("Getvar", func(s *amisim.Session, a *amisim.Action) { s.Write([]byte(noise + harness.Echo(a) + noise)) })
		if got := r.Call("pbx1", "Getvar", fmt.Sprintf(`{"Variable":"%d"}`, i)); got.Error != nil || got.Fields["Value"] != strconv.Itoa(i) {
			t.Fatalf("after %q: %+v %+v", noise, got, got.Error)
		}
	}
	b := r.Drained("pbx1", 2*n)
	got := harness.CheckStory(t, r.Story("pbx1"))
	harness.Ticks(t, got, n)
	if b.Dropped["corrupt"] != n || got.LostByGaps != n || got.Missing != n || got.Sessions != 1 {
		t.Errorf("dropped %v, the Gaps tell of %d, %d numbers are missing, of %d sessions; want %d", b.Dropped, got.LostByGaps, got.Missing, got.Sessions, n)
	}
	for _, gap := range got.Gaps {
		if gap.Text("Reason") != "corrupt" {
			t.Errorf("a gap is %s", gap.Data)
		}
	}
	// Those around answers, on the action session, are counted and are no events.
	if corrupt := r.Metric("frames_corrupt_total"); corrupt < n+100 {
		t.Errorf("%v frames were counted as corrupt, of %d", corrupt, n+100)
	}
}

// garbage is bytes that are neither an event nor a response, and no part of
// one. It does not end in a line end.
func garbage(rng *rand.Rand, i int) []byte {
	switch i % 5 {
	case 0:
		b := make([]byte, 1+rng.IntN(3000))
		for j := range b {
			b[j] = byte(rng.IntN(256))
		}
		// Line ends of its own would make it several frames.
		return append([]byte("\x00"), bytes.ReplaceAll(b, []byte("\n"), []byte("n"))...)
	case 1:
		return []byte("--END COMMAND--")
	case 2:
		return []byte(strings.Repeat("no colon in here ", 1+rng.IntN(500)))
	case 3:
		return []byte("\xff\xfe: \x00\x00\r\n: \r\n:\r\nX:Event: Hangup")
	}
	return []byte("\r\r\r: Response: Success")
}

// What is over the limit is lost, counted and told, alone.
func TestChaos_OversizeEvents(t *testing.T) {
	sim, r := harness.ChaosBridge(t, amisim.Config{}, func(s *config.ServerConfig) { s.MaxFrameBytes = 64 * setting.KiB })
	statuses := r.Subscribe("ami.status.pbx1.gap")
	before := harness.HeapNow()
	const n, every = 200, 10
	for i := range n {
		if i%every == every/2 {
			sim.Emit("Event", "Large", "X", strings.Repeat("x", 100<<10+i*1000))
		}
		sim.Emit("Event", "Tick", "N", strconv.Itoa(i))
	}
	b := r.Drained("pbx1", n+n/every)
	if b.Dropped["oversize"] != n/every || b.Lost() != n/every {
		t.Errorf("dropped %v, want %d oversize", b.Dropped, n/every)
	}
	got := harness.CheckStory(t, r.Story("pbx1"))
	harness.Ticks(t, got, n)
	if got.Missing != n/every || got.LostByGaps != got.Missing {
		t.Errorf("%d numbers are missing, the Gap events say %d, want %d", got.Missing, got.LostByGaps, n/every)
	}
	for _, gap := range got.Gaps {
		if gap.Text("Reason") != "oversize" {
			t.Errorf("a gap is %s", gap.Data)
		}
	}
	if msg := r.Next(statuses); !bytes.Contains(msg.Data, []byte(`"reason":"oversize"`)) {
		t.Errorf("the status is %s", msg.Data)
	}
	harness.HeapIsBack(t, before, 4<<20)
}

// An answer over the limit, of a frame or of a message of NATS, is told as such
// and leaves the session as it was.
func TestChaos_OversizeReplies(t *testing.T) {
	for _, version := range []string{"11.0.0", "2.5.0"} {
		for _, limit := range []setting.Bytes{64 * setting.KiB, 64 * setting.MiB} {
			t.Run(version+" "+limit.String(), func(t *testing.T) {
				sim, r := harness.ChaosBridge(t, amisim.Config{Version: version}, func(s *config.ServerConfig) { s.MaxFrameBytes = limit })
				states, before := r.Subscribe("ami.status.pbx1.connection"), harness.HeapNow()
				sim.Next("CoreStatus", amisim.Oversize(2<<20))
				header := r.Ask("pbx1", "CoreStatus", "")
				harness.Fails(t, r.Answer(header), "reply_too_large", "yes")
				output := r.Ask("pbx1", "Command", `{"Command":"long 100000"}`)
				harness.Fails(t, r.Answer(output), "reply_too_large", "yes")
				small := r.Ask("pbx1", "Command", `{"Command":"long 100"}`)
				if got := r.Answer(small); got.Error != nil || len(got.Output) != 100 {
					t.Errorf("the Command after it has %d lines, %+v", len(got.Output), got.Error)
				}
				r.NoMore("pbx1", header, output, small)
				r.Untouched(t, sim, 0)
				harness.HeapIsBack(t, before, 16<<20)
				if n := r.Changes(states); n != 0 {
					t.Errorf("%d changes of state", n)
				}
			})
		}
	}
}

// A handler that panics loses its own frame and no other. The one thing of the
// bridge's handlers that a test can make panic is the logger.
func TestChaos_PanickingHandler(t *testing.T) {
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	logger := &harness.Explosive{}
	r := harness.BridgeLogging(t, zap.New(logger), harness.NATS(t), harness.ChaosConfig, harness.ChaosServer("pbx1", addr))
	states := r.Subscribe("ami.status.pbx1.connection")
	const n = 20
	for i := range n {
		sim.EmitRaw([]byte("neither event nor response\r\n\r\n"))
		sim.EmitRaw(tick(i))
	}
	r.Drained("pbx1", 2*n)
	got := harness.CheckStory(t, r.Story("pbx1"))
	harness.Ticks(t, got, n)
	if got.Missing != n || got.LostByGaps != n || got.Sessions != 1 || logger.Panics.Load() != n {
		t.Errorf("%d missing, %d sessions, %d panics", got.Missing, got.Sessions, logger.Panics.Load())
	}
	harness.Succeeds(t, r.Call("pbx1", "QueueStatus", ""))
	if n := r.Changes(states); n != 0 {
		t.Errorf("%d changes of state", n)
	}
	if got := r.Metric("handler_panics_total", "server", "pbx1"); got != n {
		t.Errorf("handler_panics_total is %v, want %d", got, n)
	}
}
