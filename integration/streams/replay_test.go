package streams

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/replay"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/frames"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// listen logs in to a simulated Asterisk and returns what reads its events, and
// keeps all that is on the wire.
func listen(t *testing.T, addr string) (r *frames.Reader, wire *bytes.Buffer) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := conn.Write([]byte("Action: Login\r\nUsername: bridge\r\nSecret: s3cret\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	wire = new(bytes.Buffer)
	r = frames.NewReader(io.TeeReader(conn, wire), 1<<20)
	if _, err := r.ReadBanner(); err != nil {
		t.Fatal(err)
	}
	if f, err := r.Next(); err != nil || string(f.Name()) != "Success" {
		t.Fatalf("login: %v, %v", f, err)
	}
	return r, wire
}

// What is replayed as AMI is, byte by byte, what Asterisk sent; after a lost
// session the Gap stands where events are missing.
func TestReplay_IsWhatAsteriskSent(t *testing.T) {
	sim, r := harness.ChaosBridge(t, amisim.Config{}, nil)
	events, wire := listen(t, r.Config.Servers[0].Addr)
	const n = 1000 // less than what Flood may queue
	if err := sim.Flood(t.Context(), n, amisim.Traffic{Seed: 1}); err != nil {
		t.Fatal(err)
	}
	size := 0
	for range n {
		f, err := events.Next()
		if err != nil {
			t.Fatal(err)
		}
		size += f.Size
	}
	start := bytes.Index(wire.Bytes(), []byte("\r\n\r\nEvent: ")) + len("\r\n\r\n")
	sent := wire.Bytes()[start : start+size]
	r.Drained("pbx1", n)
	states := r.Subscribe("ami.status.pbx1.connection")
	sim.Kick()
	r.AwaitText(states, `"role":"event","from":"connecting","to":"up"`)
	sim.Emit("Event", "After")
	r.Drained("pbx1", n+1)

	source := &replay.Source{Conn: r.Client, API: "$JS.API", Stream: streams.EventStream}
	sel := replay.Selection{Prefix: "ami", Kind: "events", Servers: []string{"pbx1"}}
	var got []byte
	var tail []string
	finder := replay.GapFinder{}
	err := source.Read(t.Context(), sel, replay.ReadAt, nil, func(m *replay.Message) (err error) {
		e := sel.EventOf(m)
		if missing, again := finder.See(&e); missing > 0 || again {
			t.Errorf("before sequence %d are %d missing, or it is there again: %v", m.Sequence, missing, again)
		}
		if m.Sequence > n {
			tail = append(tail, fmt.Sprint(e.Name, e.Number))
			if reason := e.Gap().Reason; e.Name == "Gap" && !harness.HungUp(reason) {
				t.Errorf("the session was lost by %q", reason)
			}
			return nil
		}
		got, err = e.AppendAMI(got, frames.UTF8)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, sent) {
		t.Errorf("replayed %d bytes, sent were %d", len(got), size)
	}
	if !slices.Equal(tail, []string{"Gap0", "After1"}) {
		t.Errorf("after the session was lost: %q", tail)
	}
}

// A call of the simulated Asterisk is gathered whole: all that names its
// Linkedid, and what belongs to its channels and bridges without.
func TestReplay_GathersACall(t *testing.T) {
	sim, r := harness.ChaosBridge(t, amisim.Config{}, nil)
	const n = 2000
	if err := sim.Flood(t.Context(), n, amisim.Traffic{Seed: 7}); err != nil {
		t.Fatal(err)
	}
	r.Drained("pbx1", n)
	source := &replay.Source{Conn: r.Client, API: "$JS.API", Stream: streams.EventStream}
	sel := replay.Selection{Prefix: "ami", Kind: "events"}
	var all []replay.Event
	err := source.Read(t.Context(), sel, replay.ReadAt, nil, func(m *replay.Message) error {
		all = append(all, sel.EventOf(m))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	linkedid := ""
	for i := range all { // of a call that went through
		for _, f := range replay.Fields(all[i].Data) {
			if f.Name == "Linkedid" && all[i].Name == "BridgeLeave" {
				linkedid = f.Values[0]
			}
		}
	}
	call := replay.NewCall(linkedid)
	for i := range all {
		call.Learn(&all[i])
	}
	named, names := 0, map[string]bool{}
	for i := range all {
		mine := bytes.Contains(all[i].Data, []byte(`Linkedid":"`+linkedid+`"`))
		has := call.Has(&all[i])
		if mine && !has {
			t.Errorf("it lacks %s", all[i].Data)
		}
		if has {
			names[all[i].Name] = true
			if !mine && strings.Contains(string(all[i].Data), `"Linkedid"`) {
				t.Errorf("it has %s", all[i].Data)
			}
		}
		if mine {
			named++
		}
	}
	channels, bridges := call.Size("pbx1")
	if linkedid == "" || named < 10 || channels < 2 || bridges != 1 || !names["Hangup"] || !names["BridgeDestroy"] {
		t.Errorf("call %q: %d events name it, %d channels, %d bridges, %v", linkedid, named, channels, bridges, names)
	}
}
