package bridge

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/natstest"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
)

// Each event of a list is a message with its number and its server, the reply
// behind them says how many, and nothing of the stream is left then.
func TestStream_PartsAreNumberedAndTheReplyCountsThem(t *testing.T) {
	const items = 200
	a := askingBridge(t, nil)
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
		if asks := part%probeEach == 1; asks != (got.Reply != "") {
			t.Errorf("part %d asks whether somebody listens: %v", part, !asks)
		}
	}
	natstest.Within(t, "nothing is left of it", func() bool {
		p := a.endpoints[0].shared.probes
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.live) == 0 && a.servers[0].target.streamed.waiting.Load() == 0
	})
	if n := a.servers[0].target.streamed.published.Load(); n != items+1 {
		t.Errorf("%d parts are counted", n)
	}
}

// A stream to nobody costs what is on the way; the rest is only counted.
func TestStream_NobodyListens(t *testing.T) {
	const items = 100_000
	a := askingBridge(t, nil)
	a.sims["pbx1"].Always("CoreShowChannels", amisim.ListChannels(items))
	a.to(requestFor("pbx1", "CoreShowChannels", "", "Ami-Reply", "stream"))
	counts := &a.servers[0].target.streamed
	natstest.Within(t, "the rest is counted", func() bool { return counts.published.Load()+counts.unheard.Load() == items+1 })
	if counts.unheard.Load() == 0 {
		t.Error("all of it was sent to nobody")
	}
}

// unpublished is a stream whose parts nobody publishes.
func unpublished() *stream {
	c := bareConn()
	return &stream{
		server: "pbx1", counts: new(partCounts), replier: newReplier(c, zap.NewNop()), mask: new(mask),
		probes: &probes{prefix: "_INBOX.p.", live: make(map[string]*stream)},
	}
}

// Parts that wait for NATS are bounded: what does not fit is refused, which ends
// the stream, and there is room again for what has been published.
func TestStream_PartsThatWaitAreBounded(t *testing.T) {
	s := unpublished()
	part := correlation.Part{Output: make([]byte, 1<<20)}
	taken := 0
	for s.take(part) {
		taken++
	}
	if waiting := s.counts.waiting.Load(); waiting > streamBytes || waiting < streamBytes-2<<20 || taken != 63 || s.counts.lost.Load() != 1 {
		t.Errorf("%d parts are taken, %d bytes wait, %d are lost", taken, waiting, s.counts.lost.Load())
	}
	for _, r := range s.replier.waiting {
		r.done()
	}
	if waiting := s.counts.waiting.Load(); waiting != 0 || !s.take(part) {
		t.Errorf("once all are published %d bytes wait", waiting)
	}
}

// Secrets are hidden in a part, and named beside it and in the reply.
func TestStream_PartsAreMasked(t *testing.T) {
	s := unpublished()
	for _, off := range []bool{false, true} {
		s.mask.off = off
		s.take(correlation.Part{Event: []byte(`{"Event":"AuthList","Password":"c4n4ry"}`)})
	}
	hidden, granted := s.replier.waiting[0], s.replier.waiting[1]
	if strings.Contains(string(hidden.body), "c4n4ry") || !slices.Equal(hidden.masked, []string{"Password"}) || !slices.Equal(s.mask.names, []string{"Password"}) {
		t.Errorf("%s names %q, the reply %q", hidden.body, hidden.masked, s.mask.names)
	}
	if !strings.Contains(string(granted.body), "c4n4ry") || granted.masked != nil {
		t.Errorf("granted: %s names %q", granted.body, granted.masked)
	}
}

// Only the server's word that nobody listens ends the sending: not what a caller
// answers, nor a word about another stream.
func TestStream_BelievesTheServerAlone(t *testing.T) {
	s, nobody := unpublished(), nats.Header{"Status": {"503"}}
	s.take(correlation.Part{Event: []byte(`{"Event":"A"}`)})
	for name, m := range map[string]*nats.Msg{
		"an answer":         {Subject: s.probes.prefix + s.id, Data: []byte("x"), Header: nobody},
		"an empty answer":   {Subject: s.probes.prefix + s.id},
		"another status":    {Subject: s.probes.prefix + s.id, Header: nats.Header{"Status": {"404"}}},
		"of another stream": {Subject: s.probes.prefix + "other", Header: nobody},
	} {
		if s.probes.heard(m); s.gone.Load() {
			t.Fatalf("%s: it is taken for gone", name)
		}
	}
	s.probes.heard(&nats.Msg{Subject: s.probes.prefix + s.id, Header: nobody})
	if !s.gone.Load() || !s.take(correlation.Part{}) || len(s.replier.waiting) != 1 || s.counts.unheard.Load() != 1 {
		t.Errorf("gone is %v, %d parts wait, %d are unheard", s.gone.Load(), len(s.replier.waiting), s.counts.unheard.Load())
	}
	if s.end(); len(s.probes.live) != 0 {
		t.Error("its end does not forget it")
	}
}

// A reply behind a part that NATS did not take says that it is too large.
func TestStream_APartThatDoesNotFitSpoilsTheReply(t *testing.T) {
	a := askingBridge(t, nil)
	s := unpublished()
	to := a.nc.NewInbox()
	sub, err := a.nc.SubscribeSync(to)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	a.replier.publish(reply{to: to, body: make([]byte, 2<<20), part: 1, stream: s})
	a.replier.publish(reply{to: to, body: []byte(`{}`), stream: s})
	a.replier.publish(reply{to: to, body: make([]byte, 2<<20)}) // a whole reply is the same
	for range 2 {
		m, err := sub.NextMsg(natstest.Patience)
		if err != nil {
			t.Fatal(err)
		}
		var r struct{ Error failure }
		if err := json.Unmarshal(m.Data, &r); err != nil || r.Error.Kind != "reply_too_large" || r.Error.Sent != "yes" || m.Header.Get("Nats-Service-Error-Code") != "413" {
			t.Errorf("%v: %s", m.Header, m.Data)
		}
	}
	if n := s.counts.lost.Load(); n != 1 {
		t.Errorf("%d parts are lost", n)
	}
}
