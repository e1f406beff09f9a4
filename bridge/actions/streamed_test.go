package actions

import (
	"encoding/json"
	"strconv"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// Each event of a list is a message with its number and its server, the reply
// behind them says how many, and nothing of the stream is left then.
func TestStream_PartsAreNumberedAndTheReplyCountsThem(t *testing.T) {
	const items = 200
	a := askingOf(t, nil)
	a.sims["pbx1"].Always("CoreShowChannels", amisim.ListChannels(items))
	m := requestFor("pbx1", "CoreShowChannels", "", "Ami-Reply", "stream")
	m.Reply = a.nc.NewInbox()
	sub, err := a.nc.SubscribeSync(m.Reply)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	a.to(m)
	for part := 1; ; part++ {
		got, err := sub.NextMsg(natstest.Patience)
		if err != nil {
			t.Fatal(err)
		}
		if got.Header.Get("Ami-Part") == "" {
			var r struct{ Parts *int }
			if err := json.Unmarshal(got.Data, &r); err != nil || r.Parts == nil || *r.Parts != items+1 || part != items+2 {
				t.Errorf("behind %d parts: %s", part-1, got.Data)
			}
			break
		}
		if got.Header.Get("Ami-Part") != strconv.Itoa(part) || got.Header.Get("Ami-Server") != "pbx1" || !json.Valid(got.Data) {
			t.Fatalf("part %d has %v and %s", part, got.Header, got.Data)
		}
		if asks := part%64 == 1; asks != (got.Reply != "") {
			t.Errorf("part %d asks whether somebody listens: %v", part, !asks)
		}
	}
	natstest.Within(t, "nothing is left of it", func() bool {
		return a.Endpoints()[0].shared.watch.Open() == 0 && a.targets[0].streamed.Waiting.Load() == 0
	})
	if n := a.targets[0].streamed.Published.Load(); n != items+1 {
		t.Errorf("%d parts are counted", n)
	}
}

// A stream to nobody costs what is on the way; the rest is only counted.
func TestStream_NobodyListens(t *testing.T) {
	const items = 100_000
	a := askingOf(t, nil)
	a.sims["pbx1"].Always("CoreShowChannels", amisim.ListChannels(items))
	a.to(requestFor("pbx1", "CoreShowChannels", "", "Ami-Reply", "stream"))
	counts := &a.targets[0].streamed
	natstest.Within(t, "the rest is counted", func() bool { return counts.Published.Load()+counts.Unheard.Load() == items+1 })
	if counts.Unheard.Load() == 0 {
		t.Error("all of it was sent to nobody")
	}
}
