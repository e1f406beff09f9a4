package bridge

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/natstest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn/conntest"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
)

// unpublished is a stream whose parts nobody publishes.
func unpublished() *stream {
	c := conntest.Bare()
	return &stream{
		server: "pbx1", counts: new(partCounts), replier: newReplier(c, zap.NewNop()), mask: new(mask),
		probes: &noResponders{prefix: "_INBOX.p.", live: make(map[string]*stream)},
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
	url := natstest.Start(t, t.TempDir(), 0).ClientURL()
	nc, _ := natstest.Client(t, url)
	r := newReplier(conntest.Open(t, url), zap.NewNop())
	s := unpublished()
	to := nc.NewInbox()
	sub, err := nc.SubscribeSync(to)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	r.publish(reply{to: to, body: make([]byte, 2<<20), part: 1, stream: s})
	r.publish(reply{to: to, body: []byte(`{}`), stream: s})
	r.publish(reply{to: to, body: make([]byte, 2<<20)}) // a whole reply is the same
	for range 2 {
		m, err := sub.NextMsg(natstest.Patience)
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ Error failure }
		if err := json.Unmarshal(m.Data, &got); err != nil || got.Error.Kind != "reply_too_large" || got.Error.Sent != "yes" || m.Header.Get("Nats-Service-Error-Code") != "413" {
			t.Errorf("%v: %s", m.Header, m.Data)
		}
	}
	if n := s.counts.lost.Load(); n != 1 {
		t.Errorf("%d parts are lost", n)
	}
}
