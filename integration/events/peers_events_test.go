package events

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// Each wire is what some client merges, reorders, folds, rejects or loses. The
// payload is compared to the byte, so that order and case count.
func TestPeers_EventsKeepWhatWasOnTheWire(t *testing.T) {
	sim, r := harness.SimBridge(t, amisim.Config{NotBooted: true}, nil)
	events := r.Subscribe("ami.events.pbx1.>")
	for _, test := range []struct {
		name, wire string
		want       []string // subject's last token and payload of each event
	}{
		{"line ends are bare LF", "Event: A\nX: 1\n\nEvent: B\nX: 2\n\n", []string{`A {"Event":"A","X":"1"}`, `B {"Event":"B","X":"2"}`}},
		{"the empty line is a bare LF", "Event: A\r\nX: 1\r\n\nEvent: B\r\n\r\n", []string{`A {"Event":"A","X":"1"}`, `B {"Event":"B"}`}},
		{"headers repeat", "Event: A\r\nMember: 1\r\nX: 2\r\nMember: 3\r\nMember: 1\r\n\r\n", []string{`A {"Event":"A","Member":["1","3","1"],"X":"2"}`}},
		{"order and case", "Event: A\r\nzeta: 1\r\nAlpha: MiXed\r\nCallerIDNum: 2\r\ncalleridnum: 3\r\n\r\n",
			[]string{`A {"Event":"A","zeta":"1","Alpha":"MiXed","CallerIDNum":"2","calleridnum":"3"}`}},
		{"odd names", "Event: A\r\nmy_field: 1\r\nNamed Callgroup: 2\r\nList(0): 3\r\nParent/child: 4\r\n\r\n",
			[]string{`A {"Event":"A","my_field":"1","Named Callgroup":"2","List(0)":"3","Parent/child":"4"}`}},
		{"channel variables", "Event: A\r\nChanVariable: X=1=2\r\nChanVariable(SIP/1.2.3.4:5060-1): Y=3\r\nDestChanVariable: Z=4\r\nDestChanVariable: Z=5\r\n\r\n",
			[]string{`A {"Event":"A","ChanVariable":["X=1=2"],"ChanVariable(SIP/1.2.3.4:5060-1)":["Y=3"],"DestChanVariable":["Z=4","Z=5"]}`}},
		{"bytes that are no UTF-8", "Event: A\r\nName: J\xf6rg\r\nAfter: ok\r\n\r\n", []string{"A {\"Event\":\"A\",\"Name\":\"J\uFFFDrg\",\"After\":\"ok\"}"}},
		{"a newline inside a value", "Event: A\r\nAppData: one\n two\n\nthree\r\nX: 1\r\n\r\nEvent: B\r\n\r\n",
			[]string{`A {"Event":"A","AppData":"one\n two\n\nthree","X":"1"}`, `B {"Event":"B"}`}},
		{"text and blank lines between frames", "\r\n\r\nfree text\r\n\r\nEvent: A\r\n\r\n", []string{"Gap corrupt", `A {"Event":"A"}`}},
		{"a name that is no subject token", "Event: a.b >*\r\n\r\n", []string{`a_b___ {"Event":"a.b >*"}`}},
	} {
		sim.EmitRaw([]byte(test.wire))
		for _, want := range test.want {
			msg := r.Next(events)
			got := strings.TrimPrefix(msg.Subject, "ami.events.pbx1.") + " " + string(msg.Data)
			if strings.HasPrefix(got, "Gap ") { // its times differ
				var gap struct{ Reason string }
				if err := json.Unmarshal(msg.Data, &gap); err != nil {
					t.Fatal(err)
				}
				got = "Gap " + gap.Reason
			}
			if got != want {
				t.Errorf("%s:\n got %s\nwant %s", test.name, got, want)
			}
		}
	}
}

// Asterisk sends the first events right behind the reply to the login, often
// in the same segment.
func TestPeers_EventsGluedToTheLoginReplyAreKept(t *testing.T) {
	sim, addr := harness.Sim(t, amisim.Config{NotBooted: true})
	sim.Always("Login", amisim.After("Event: First\r\n\r\nEvent: Second\r\n\r\n"))
	url := harness.NATS(t)
	events := (&harness.Running{T: t, Client: harness.Client(t, url)}).Subscribe("ami.events.pbx1.>")
	r := harness.Bridge(t, url, nil, harness.Server("pbx1", addr, "bridge", "s3cret"))
	for _, want := range []string{"First :1", "Second :2"} {
		msg := r.Next(events)
		_, number, _ := strings.Cut(msg.Header.Get("Ami-Seq"), ":")
		if got := strings.TrimPrefix(msg.Subject, "ami.events.pbx1.") + " :" + number; got != want {
			t.Errorf("came %s, want %s", got, want)
		}
	}
}

// On the one session that a server allows, a frame over the limit comes while
// an action is pending. It costs itself and nothing else.
func TestPeers_AFrameOverTheLimitCostsOnlyItself(t *testing.T) {
	t.Parallel()
	sim, r := harness.ChaosBridge(t, amisim.Config{}, func(s *config.ServerConfig) { s.Sessions = 1 })
	events, states := r.Subscribe("ami.events.pbx1.>"), r.Subscribe("ami.status.pbx1.connection")
	huge := "Event: Huge\r\nX: " + strings.Repeat("x", 1_100_000) + "\r\n\r\n"
	sim.Next("CoreStatus", amisim.Before(huge+"Event: Behind\r\n\r\n"))
	first := r.Call("pbx1", "CoreStatus", "")
	if first.Error != nil || first.Response != "Success" {
		t.Errorf("the pending action: %+v", first)
	}
	if msg := r.Next(events); !strings.HasSuffix(msg.Subject, ".Gap") {
		t.Errorf("in the place of the huge event came %s, want a Gap", msg.Subject)
	}
	if msg := r.Next(events); !strings.HasSuffix(msg.Subject, ".Behind") || !strings.HasSuffix(msg.Header.Get("Ami-Seq"), ":2") {
		t.Errorf("behind the huge event came %s with %s, want Behind with number 2", msg.Subject, msg.Header.Get("Ami-Seq"))
	}
	// A reply over the limit says so, and that it was done.
	sim.Next("CoreStatus", amisim.Oversize(1_100_000))
	if e := r.Call("pbx1", "CoreStatus", "").Error; e == nil || e.Kind != "reply_too_large" || e.Sent != "yes" {
		t.Errorf("a reply of 1.1 MB: %+v", e)
	}
	last := r.Call("pbx1", "CoreStatus", "")
	if last.Error != nil || harness.SessionOf(last) != harness.SessionOf(first) {
		t.Errorf("then %+v, want an answer on session %s", last, harness.SessionOf(first))
	}
	if n := r.Changes(states); n != 0 {
		t.Errorf("%d changes of the connection, want none", n)
	}
	if b := r.Drained("pbx1", 2); b.Received != 2 || b.Dropped["oversize"] != 1 {
		t.Errorf("%+v", b)
	}
}

// The limit can be set to more than the parser's own buffer ever was.
func TestPeers_AFrameLimitOver2MiBHolds(t *testing.T) {
	sim, r := harness.SimBridge(t, amisim.Config{NotBooted: true}, func(s *config.ServerConfig) { s.MaxFrameBytes = 4 * setting.MiB })
	events := r.Subscribe("ami.events.pbx1.>")
	// 3.2 MB on the wire, and small enough as JSON for one NATS message.
	const lines = 50_000
	wire := "Event: Wide\r\n" + strings.Repeat(strings.Repeat("n", 60)+": \r\n", lines) + "\r\n"
	sim.EmitRaw([]byte(wire))
	sim.Emit("Event", "Behind")
	var wide map[string]any
	msg := r.Next(events)
	if err := json.Unmarshal(msg.Data, &wide); err != nil || wide["Event"] != "Wide" {
		t.Fatalf("a frame of %d bytes came as %s, %.80s", len(wire), msg.Subject, msg.Data)
	}
	if all, ok := wide[strings.Repeat("n", 60)].([]any); !ok || len(all) != lines {
		t.Errorf("%d of %d headers came", len(all), lines)
	}
	if msg := r.Next(events); !strings.HasSuffix(msg.Subject, ".Behind") {
		t.Errorf("then came %s", msg.Subject)
	}
}

// A server that misses its heartbeats still has events worth having, and takes
// actions. If it goes on missing them its session ends and another one follows.
func TestPeers_MissedPingsCostNothingButTheSession(t *testing.T) {
	t.Parallel()
	sim, r := harness.ChaosBridge(t, amisim.Config{}, func(s *config.ServerConfig) {
		s.Sessions, s.PingInterval, s.ReadTimeout = 1, 20*time.Millisecond, 5*time.Second
	})
	events, states := r.Subscribe("ami.events.pbx1.Tick"), r.Subscribe("ami.status.pbx1.connection")
	missed := make(chan bool, 1000)
	sim.Always("Ping", func(*amisim.Session, *amisim.Action) { missed <- true })
	harness.Within(t, "a Ping that is missed", missed)
	for i := range 10 {
		sim.Emit("Event", "Tick", "N", strconv.Itoa(i))
	}
	for i := range 10 {
		if msg := r.Next(events); !strings.Contains(string(msg.Data), `"N":"`+strconv.Itoa(i)+`"`) {
			t.Fatalf("event %d is %s", i, msg.Data)
		}
	}
	harness.Succeeds(t, r.Call("pbx1", "CoreStatus", ""))
	stop := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() { // so that it is not silent
		for ticker := time.NewTicker(50 * time.Millisecond); ; {
			select {
			case <-stop:
				return
			case <-ticker.C:
				sim.Emit("Event", "Alive")
			}
		}
	})
	defer group.Wait()
	defer close(stop)
	for role, end := range r.Await(states, 1, harness.SessionLost) {
		if end.Reason != "ping" {
			t.Errorf("%s ended with %+v", role, end)
		}
	}
	sim.Always("Ping", nil)
	r.Await(states, 1, harness.SessionUp)
	harness.Succeeds(t, r.Call("pbx1", "CoreStatus", ""))
}

// A frame that never ends grows nothing: what is over the limit is given up as
// it comes, and what follows is read.
func TestPeers_AFrameWithoutEndIsNotKept(t *testing.T) {
	const limit, chunk, chunks = 1 << 20, 64 << 10, 1600 // 100 MiB
	sim, r := harness.ChaosBridge(t, amisim.Config{}, func(s *config.ServerConfig) {
		s.Sessions, s.MaxFrameBytes = 1, limit // its 100 s are for 100 MiB
	})
	events := r.Subscribe("ami.events.pbx1.Behind")
	before, stopWatch := harness.HeapNow(), harness.WatchHeap()
	sim.Next("CoreStatus", func(s *amisim.Session, a *amisim.Action) {
		s.Write([]byte("Event: Endless\r\nX: "))
		piece := bytes.Repeat([]byte("x"), chunk)
		for range chunks {
			s.Write(piece)
		}
		s.Write([]byte("\r\n\r\nEvent: Behind\r\n\r\n"))
		s.Serve(a)
	})
	harness.Succeeds(t, r.Call("pbx1", "CoreStatus", ""))
	r.Next(events)
	if peak := stopWatch(); peak > before+8*limit {
		t.Errorf("the heap went from %d to %d bytes", before, peak)
	}
	b := r.Drained("pbx1", 2)
	if b.Dropped["oversize"] != 1 || b.Lost() != 1 {
		t.Errorf("dropped %v", b.Dropped)
	}
	if got := harness.CheckStory(t, r.Story("pbx1")); got.Sessions != 1 || got.LostByGaps != 1 {
		t.Errorf("%d sessions, the Gaps tell of %d", got.Sessions, got.LostByGaps)
	}
}
