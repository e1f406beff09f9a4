//go:build unix

package leaf

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// leafBridge is the program, run as a leaf of hub, on one directory and one port
// from one start to the next.
type leafBridge struct {
	harness.Process
	port int // of the embedded nats-server
}

// startLeaf runs the program for pbx1 at addr until the test ends.
func startLeaf(t *testing.T, program string, hub *harness.NATSProcess, addr string, env ...string) *leafBridge {
	t.Helper()
	l := &leafBridge{Process: harness.Process{T: t, Program: program, Args: []string{"run"}}, port: harness.Port(t)}
	l.Env = append([]string{
		"BRIDGE_NODE=b1", "BRIDGE_SERVERS=pbx1", "BRIDGE_SERVER_PBX1_ADDR=" + addr,
		"BRIDGE_SERVER_PBX1_USERNAME=bridge", "BRIDGE_SERVER_PBX1_SECRET=s3cret", "BRIDGE_HTTP_ADDR=",
		"BRIDGE_NATS_LEAF_URL=nats://127.0.0.1:" + strconv.Itoa(hub.LeafPort), "BRIDGE_DATA_DIR=" + t.TempDir(),
		"BRIDGE_EMBEDDED_NATS_ADDR=127.0.0.1:" + strconv.Itoa(l.port), "BRIDGE_STREAM_MAX_BYTES=256MiB",
		"BRIDGE_STATUS_INTERVAL=250ms",
	}, env...)
	t.Cleanup(l.Kill)
	l.Start()
	return l
}

// connect returns a client of the embedded nats-server, once that is up.
func (l *leafBridge) connect() *nats.Conn {
	l.T.Helper()
	nc, err := nats.Connect("nats://127.0.0.1:"+strconv.Itoa(l.port), nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
	if err != nil {
		l.T.Fatal(err)
	}
	l.T.Cleanup(nc.Close)
	harness.Eventually(l.T, "the leaf is up", nc.IsConnected)
	return nc
}

// streamHolds is how many messages a stream holds; 0 if it cannot be had.
func streamHolds(t *testing.T, nc *nats.Conn, name string) uint64 {
	t.Helper()
	js := harness.JetStream(t, nc)
	stream, err := js.Stream(t.Context(), name)
	if err != nil {
		return 0
	}
	return stream.CachedInfo().State.Msgs
}

// leafConnected is what ami.nodes.b1 said last of the leaf's connection.
func leafConnected(t *testing.T, nc *nats.Conn) bool {
	t.Helper()
	js := harness.JetStream(t, nc)
	stream, err := js.Stream(t.Context(), streams.StatusStream)
	if err != nil {
		t.Fatal(err)
	}
	last, err := stream.GetLastMsgForSubject(t.Context(), "ami.nodes.b1")
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(last.Data))
	if err != nil {
		t.Fatal(err)
	}
	if err := harness.Schemas(t)["node"].Validate(doc); err != nil {
		t.Error(err)
	}
	var node struct{ Leaf struct{ Connected bool } }
	if err := json.Unmarshal(last.Data, &node); err != nil {
		t.Fatal(err)
	}
	return node.Leaf.Connected
}

// eventsHeld is how many events the stream holds, without the Gap events.
func eventsHeld(t *testing.T, nc *nats.Conn) (n uint64) {
	t.Helper()
	js := harness.JetStream(t, nc)
	stream, err := js.Stream(t.Context(), streams.EventStream)
	if err != nil {
		return 0
	}
	info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter("ami.events.>"))
	if err != nil {
		return 0
	}
	for subject, messages := range info.State.Subjects {
		if !strings.HasSuffix(subject, ".Gap") {
			n += messages
		}
	}
	return n
}
