package state

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/setting"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
)

// The bucket has what is up, whatever the filters want of the events: what was there
// before by list, what comes by event, what changes silently by the next list.
func TestState_IsWhatIsUp(t *testing.T) {
	t.Parallel()
	p := startPBX(t)
	p.Begin("1.1", amisim.Silent)
	url := harness.NATS(t)
	r := stated(t, "b1", url, p, func(c *config.Config) { c.Servers[0].EventsAllow = setting.Globs{"Nothing"} })
	b := harness.WatchState(t, r.Client)
	b.Is("pbx1", "live", "b1")
	b.Wants("1.1")
	p.Begin("1.2", amisim.Raised)
	b.Wants("1.1", "1.2")
	p.End("1.1", amisim.Raised)
	b.Wants("1.2")
	p.Begin("1.3", amisim.Silent)
	p.End("1.2", amisim.Silent)
	if reply := r.Call("pbx1", "Reload", ""); reply.Error != nil && reply.Error.Sent != "yes" {
		t.Fatal(reply.Error)
	}
	b.Wants("1.3")
	entry, err := b.KV.Get(t.Context(), "pbx1.channel.1=2E3")
	if err != nil || !strings.Contains(string(entry.Value()), `"Source":"list"`) {
		t.Errorf("%v, %v", entry, err)
	}
	if _, err := b.KV.Get(t.Context(), "pbx1.channel.1=2E1"); !errors.Is(err, jetstream.ErrKeyNotFound) {
		t.Errorf("what has ended: %v", err)
	}
}

// A bridge that starts again has its server at once, and purges what has ended while
// nobody looked.
func TestState_ARestartOfTheBridge(t *testing.T) {
	t.Parallel()
	p := startPBX(t)
	url := harness.NATS(t)
	r := stated(t, "b1", url, p, func(c *config.Config) { c.StatusInterval = 20 * time.Second })
	b := harness.WatchState(t, harness.Client(t, url))
	p.Begin("1.1", amisim.Raised)
	p.Begin("1.2", amisim.Raised)
	b.Wants("1.1", "1.2")
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	b.Is("pbx1", "stale", "b1")
	b.Wants("1.1", "1.2") // as it was
	p.End("1.1", amisim.Silent)
	p.Begin("1.3", amisim.Silent)
	stated(t, "b1", url, p, func(c *config.Config) { c.StatusInterval = 20 * time.Second })
	b.Wants("1.2", "1.3")
	b.Is("pbx1", "live", "b1")
	if told := strings.Join(b.Said(), ","); !strings.Contains(told, "stale b1,syncing b1") {
		t.Errorf("the server was %s", told)
	}
}

// Of two bridges one writes a server's state, and says so; the other takes over when
// the first is gone, and brings right what has ended between.
func TestState_OneOfTwoBridgesWrites(t *testing.T) {
	t.Parallel()
	p := startPBX(t)
	url := harness.NATS(t)
	// The key is good for three intervals, in which it is written again: a busy machine is late for less.
	first := stated(t, "b1", url, p, func(c *config.Config) { c.StatusInterval = 2 * time.Second })
	b := harness.WatchState(t, harness.Client(t, url))
	b.Is("pbx1", "live", "b1")
	nodes, err := first.Client.SubscribeSync("ami.nodes.b2")
	if err != nil {
		t.Fatal(err)
	}
	asked := p.Received("CoreShowChannels")
	second := stated(t, "b2", url, p, func(c *config.Config) { c.HTTPAddr = harness.Addr(t) })
	first.AwaitText(nodes, `"elsewhere":{"pbx1":"b1"}`)
	p.Begin("1.1", amisim.Raised)
	p.Begin("1.2", amisim.Raised)
	b.Wants("1.1", "1.2")
	harness.Eventually(t, "the other has reduced them too", func() bool { return second.Metric("state_objects", "kind", "channel") == 2 })
	if now := p.Received("CoreShowChannels"); now != asked {
		t.Errorf("a bridge that does not write asked for %d lists", now-asked)
	}
	for _, name := range []string{"state_lists_total", "state_writes_total", "state_leads"} {
		if n := second.Metric(name); n != 0 {
			t.Errorf("%s of a bridge that does not write is %v", name, n)
		}
	}
	harness.Eventually(t, "the floor is told by the one that writes", func() bool { return first.Metric("floor_calls") == 2 })
	harness.Eventually(t, "the other's own picture has the two channels", func() bool {
		_, page := second.Get("/status.json")
		return strings.Contains(page, `"calls": 2`)
	})
	if _, told := second.By("server")["pbx1"]["floor_calls"]; told {
		t.Error("the other tells it too")
	}
	if v := b.Server("pbx1"); v["node"] != "b1" {
		t.Errorf("written by %v", v["node"])
	}
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	gone := time.Now()
	p.End("1.1", amisim.Silent)
	b.Is("pbx1", "live", "b2")
	t.Logf("taken over after %v, of a time to live of 6s", time.Since(gone).Round(10*time.Millisecond))
	b.Wants("1.2")
	p.Begin("1.3", amisim.Raised)
	b.Wants("1.2", "1.3")
	harness.Eventually(t, "then by the other", func() bool { return second.Metric("floor_calls") == 2 })
	second.AwaitText(second.Subscribe("ami.nodes.b2"), `"state":{"state":"on"}`)
}

// liveChannel is a bridge with a live state of pbx1, where the channel 1.1 is up.
func liveChannel(t *testing.T) (*pbx, *harness.Running, *harness.Board) {
	t.Helper()
	p := startPBX(t)
	r := stated(t, "b1", harness.NATS(t), p, func(c *config.Config) { c.HTTPAddr = harness.Addr(t) })
	b := harness.WatchState(t, r.Client)
	p.Begin("1.1", amisim.Raised)
	b.Wants("1.1")
	b.Is("pbx1", "live", "b1")
	return p, r, b
}

// A session that is lost changes one key and deletes nothing.
func TestState_ALostSession(t *testing.T) {
	t.Parallel()
	p, _, b := liveChannel(t)
	p.Always(amisim.Accept, amisim.Refuse)
	p.Abort()
	b.Is("pbx1", "stale", "b1")
	p.End("1.1", amisim.Silent)
	p.Begin("1.2", amisim.Silent)
	b.Wants("1.1")
	p.Always(amisim.Accept, nil)
	b.Wants("1.2")
	b.Is("pbx1", "live", "b1")
}

// A list that is old when it comes undoes nothing of what events have told since.
func TestState_AListThatLags(t *testing.T) {
	t.Parallel()
	p := startPBX(t)
	r := stated(t, "b1", harness.NATS(t), p, nil)
	b := harness.WatchState(t, r.Client)
	p.Begin("1.1", amisim.Raised)
	p.Begin("1.2", amisim.Raised)
	b.Wants("1.1", "1.2")
	b.Is("pbx1", "live", "b1")
	before := b.Server("pbx1")["synced_at"]
	lag := p.Lag()
	inbox := r.Ask("pbx1", "Reload", "")
	<-lag.Made
	p.End("1.1", amisim.Raised)
	p.Begin("1.3", amisim.Raised)
	b.Wants("1.2", "1.3")
	close(lag.Send)
	r.Answer(inbox)
	harness.Eventually(t, "the lists have come", func() bool { return b.Server("pbx1")["synced_at"] != before })
	b.Wants("1.2", "1.3")
	if n := r.Metric("state_corrections_total", "kind", "channel"); n != 0 {
		t.Errorf("%v corrections by a list that was old", n)
	}
}

// A list that is denied, or comes short, ends nothing, and is named.
func TestState_AListThatIsDenied(t *testing.T) {
	t.Parallel()
	p, r, b := liveChannel(t)
	p.End("1.1", amisim.Silent)
	for want, fault := range map[string]amisim.Fault{
		"denied":           amisim.Deny("Permission denied"),
		"cut: 1 of 5 came": amisim.Rewrite(func([]byte) []byte { return nil }),
	} {
		if want != "denied" {
			fault = func(s *amisim.Session, a *amisim.Action) {
				s.Write([]byte("Response: Success\r\nActionID: " + a.ActionID + "\r\nEventList: start\r\nMessage: Channels will follow\r\n\r\n" +
					"Event: CoreShowChannel\r\nActionID: " + a.ActionID + "\r\n" + "Channel: PJSIP/9\r\nChannelState: 6\r\nUniqueid: 1.9\r\n" + "\r\n" +
					"Event: CoreShowChannelsComplete\r\nActionID: " + a.ActionID + "\r\nEventList: Complete\r\nListItems: 5\r\n\r\n"))
			}
		}
		p.Next("CoreShowChannels", fault)
		r.Call("pbx1", "Reload", "")
		harness.Eventually(t, want, func() bool {
			notKept, _ := b.Server("pbx1")["not_kept"].(map[string]any)
			return notKept["channel"] == want
		})
		harness.Eventually(t, "/status.json says so too", func() bool {
			_, text := r.Get("/status.json")
			return strings.Contains(text, `"missing": "channel (`+want+`)"`)
		})
		b.Wants("1.1")
	}
	r.Call("pbx1", "Reload", "")
	b.Wants()
}

// Without a bucket, where the bridge makes none, the state is off, and
// nothing else is the worse for it.
func TestState_OffWithoutABucket(t *testing.T) {
	t.Parallel()
	p := startPBX(t)
	url := harness.NATS(t)
	nc := harness.Client(t, url)
	nodes, err := nc.SubscribeSync("ami.nodes.b1")
	if err != nil {
		t.Fatal(err)
	}
	made := stated(t, "b1", url, p, func(c *config.Config) { c.State = false })
	made.AwaitText(nodes, `"state":{"state":"off","reason":"BRIDGE_STATE=off"}`)
	if err := made.Stop(); err != nil {
		t.Fatal(err)
	}
	r := stated(t, "b1", url, p, func(c *config.Config) { c.Streams = config.StreamsVerify })
	msg := r.AwaitText(nodes, `"state":{"state":"off","reason":"the bucket is missing: `)
	if !strings.Contains(string(msg.Data), `"ready":["pbx1"]`) {
		r.AwaitText(nodes, `"ready":["pbx1"]`)
	}
	if n := p.Received("CoreShowChannels"); n != 0 {
		t.Errorf("%d lists were asked for", n)
	}
}
