package harness

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
)

// Board is somebody who watches the bucket: who came late has the truth first.
type Board struct {
	t       testing.TB
	KV      jetstream.KeyValue
	schemas map[string]*jsonschema.Schema // by kind

	mu   sync.Mutex
	up   map[string]map[string]any
	said []string // the states of servers, as they came
}

// Up returns what is up, by key, but for what is said of servers.
func (b *Board) Up() map[string]map[string]any {
	b.mu.Lock()
	defer b.mu.Unlock()
	up := maps.Clone(b.up)
	maps.DeleteFunc(up, func(key string, _ map[string]any) bool { return strings.Count(key, ".") == 1 })
	return up
}

// Said returns what has been said of servers: state and node each, or gone.
func (b *Board) Said() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.said)
}

// WatchState returns a Board that sees the bucket as soon as there is one.
func WatchState(t testing.TB, nc *nats.Conn) *Board {
	t.Helper()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(Patience))
	if err != nil {
		t.Fatal(err)
	}
	b := &Board{t: t, schemas: Schemas(t, "state"), up: map[string]map[string]any{}}
	Eventually(t, "the bucket", func() bool {
		b.KV, err = js.KeyValue(t.Context(), streams.StateBucket)
		return err == nil
	})
	watcher, err := b.KV.WatchAll(t.Context())
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

func (b *Board) take(e jetstream.KeyValueEntry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.Operation() != jetstream.KeyValuePut {
		delete(b.up, e.Key())
		if strings.Count(e.Key(), ".") == 1 {
			b.said = append(b.said, "gone")
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
	if strings.Count(e.Key(), ".") == 1 {
		b.said = append(b.said, fmt.Sprint(value["state"], " ", value["node"]))
	}
}

// Channels are those that are up, by Uniqueid.
func (b *Board) Channels() (ids []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, value := range b.up {
		if strings.Contains(key, ".channel.") {
			ids = append(ids, fmt.Sprint(value["Uniqueid"]))
		}
	}
	return ids
}

// Wants waits until these channels are up and no others.
func (b *Board) Wants(ids ...string) {
	b.t.Helper()
	want := map[string]bool{}
	for _, id := range ids {
		want[id] = true
	}
	var got map[string]bool
	Eventually(b.t, fmt.Sprint("channels ", ids), func() bool {
		got = map[string]bool{}
		for _, id := range b.Channels() {
			got[id] = true
		}
		return maps.Equal(got, want)
	})
}

// Server returns what the bucket says of a server.
func (b *Board) Server(name string) map[string]any {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.up[name+".server"])
}

// Is waits until a server is in state, by node.
func (b *Board) Is(name, state, node string) {
	b.t.Helper()
	Eventually(b.t, name+" is "+state, func() bool {
		v := b.Server(name)
		return v["state"] == state && v["node"] == node
	})
}
