package state

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// pbx is a simulated Asterisk whose channels the test has begin and end, with an event
// or silently.
type pbx struct {
	*amisim.Server
	addr string

	mu       sync.Mutex
	channels []string // their Uniqueids
}

func startPBX(t *testing.T) *pbx {
	t.Helper()
	p := new(pbx)
	p.Server, p.addr = harness.Sim(t, amisim.Config{})
	p.Always("CoreShowChannels", func(s *amisim.Session, a *amisim.Action) { s.Write(p.listing(a)) })
	return p
}

// listing is what is up now, as the list says it.
func (p *pbx) listing(a *amisim.Action) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b bytes.Buffer
	fmt.Fprintf(&b, "Response: Success\r\nActionID: %s\r\nEventList: start\r\nMessage: Channels will follow\r\n\r\n", a.ActionID)
	for _, id := range p.channels {
		fmt.Fprintf(&b, "Event: CoreShowChannel\r\nActionID: %s\r\n%s\r\n", a.ActionID, p.block(id))
	}
	fmt.Fprintf(&b, "Event: CoreShowChannelsComplete\r\nActionID: %s\r\nEventList: Complete\r\nListItems: %d\r\n\r\n", a.ActionID, len(p.channels))
	return b.Bytes()
}

func (p *pbx) block(id string) string {
	return "Channel: PJSIP/" + id + "\r\nChannelState: 6\r\nChannelStateDesc: Up\r\nCallerIDNum: 100\r\nUniqueid: " + id + "\r\nLinkedid: " + id + "\r\n"
}

// begin has a channel begin, silent or not.
func (p *pbx) begin(id string, silent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.channels = append(p.channels, id)
	if !silent {
		p.EmitRaw([]byte("Event: Newchannel\r\nPrivilege: call,all\r\n" + p.block(id) + "\r\n"))
	}
}

func (p *pbx) end(id string, silent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var left []string
	for _, other := range p.channels {
		if other != id {
			left = append(left, other)
		}
	}
	p.channels = left
	if !silent {
		p.EmitRaw([]byte("Event: Hangup\r\nPrivilege: call,all\r\n" + p.block(id) + "\r\n"))
	}
}

// board is somebody who watches the bucket: who came late has the truth first.
type board struct {
	t       *testing.T
	kv      jetstream.KeyValue
	schemas map[string]*jsonschema.Schema // by kind

	mu   sync.Mutex
	up   map[string]map[string]any
	told []string // the states of servers, as they came
}

func watchState(t *testing.T, nc *nats.Conn) *board {
	t.Helper()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(harness.Patience))
	if err != nil {
		t.Fatal(err)
	}
	b := &board{t: t, schemas: harness.Schemas(t, "state"), up: map[string]map[string]any{}}
	harness.Eventually(t, "the bucket", func() bool {
		b.kv, err = js.KeyValue(t.Context(), streams.StateBucket)
		return err == nil
	})
	watcher, err := b.kv.WatchAll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	t.Cleanup(func() { _ = watcher.Stop(); group.Wait() })
	group.Go(func() {
		for e := range watcher.Updates() {
			if e != nil {
				b.take(e)
			}
		}
	})
	return b
}

func (b *board) take(e jetstream.KeyValueEntry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.Operation() != jetstream.KeyValuePut {
		delete(b.up, e.Key())
		if strings.HasSuffix(e.Key(), ".server") {
			b.told = append(b.told, "gone")
		}
		return
	}
	var value map[string]any
	if err := json.Unmarshal(e.Value(), &value); err != nil {
		b.t.Errorf("%s: %v", e.Key(), err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(e.Value()))
	if err == nil {
		err = b.schemas[strings.Split(e.Key(), ".")[1]].Validate(doc)
	}
	if err != nil {
		b.t.Errorf("%s: %v: %s", e.Key(), err, e.Value())
	}
	b.up[e.Key()] = value
	if strings.HasSuffix(e.Key(), ".server") {
		b.told = append(b.told, fmt.Sprint(value["state"], " ", value["node"]))
	}
}

// channels are those that are up, by Uniqueid.
func (b *board) channels() (ids []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, value := range b.up {
		if strings.Contains(key, ".channel.") {
			ids = append(ids, fmt.Sprint(value["Uniqueid"]))
		}
	}
	return ids
}

// wants waits until these channels are up and no others.
func (b *board) wants(ids ...string) {
	b.t.Helper()
	want := map[string]bool{}
	for _, id := range ids {
		want[id] = true
	}
	var got map[string]bool
	harness.Eventually(b.t, fmt.Sprint("channels ", ids), func() bool {
		got = map[string]bool{}
		for _, id := range b.channels() {
			got[id] = true
		}
		return maps.Equal(got, want)
	})
}

// server returns what the bucket says of a server.
func (b *board) server(name string) map[string]any {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.up[name+".server"])
}

func (b *board) is(name, state, node string) {
	b.t.Helper()
	harness.Eventually(b.t, name+" is "+state, func() bool {
		v := b.server(name)
		return v["state"] == state && v["node"] == node
	})
}

// stated is a bridge of node that keeps the state of p, called pbx1.
func stated(t *testing.T, node, url string, p *pbx, change func(*config.Config)) *harness.Running {
	t.Helper()
	return harness.BridgeLogging(t, zap.NewNop(), url, func(c *config.Config) {
		c.Node, c.StatusInterval, c.StateInterval, c.StateMarkerAge = node, 200*time.Millisecond, 20*time.Millisecond, time.Minute
		if change != nil {
			change(c)
		}
	}, harness.Server("pbx1", p.addr, "bridge", "s3cret"))
}
