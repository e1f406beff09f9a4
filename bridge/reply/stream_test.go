package reply

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn/conntest"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// unpublished is a stream whose parts nobody publishes.
func unpublished() *Stream {
	c := conntest.Bare()
	return &Stream{
		server: "pbx1", counts: new(PartCounts), replier: NewSender(c, zap.NewNop()), mask: new(Mask),
		watch: &NoResponderWatch{prefix: "_INBOX.p.", live: make(map[string]*Stream)},
	}
}

// Parts that wait for NATS are bounded: what does not fit is refused, which ends
// the stream, and there is room again for what has been published.
func TestStream_PartsThatWaitAreBounded(t *testing.T) {
	s := unpublished()
	part := correlation.Part{Output: make([]byte, 1<<20)}
	taken := 0
	for s.Take(part) {
		taken++
	}
	if waiting := s.counts.Waiting.Load(); waiting > streamBytes || waiting < streamBytes-2<<20 || taken != 63 || s.counts.Lost.Load() != 1 {
		t.Errorf("%d parts are taken, %d bytes wait, %d are lost", taken, waiting, s.counts.Lost.Load())
	}
	for _, r := range s.replier.waiting {
		r.Done()
	}
	if waiting := s.counts.Waiting.Load(); waiting != 0 || !s.Take(part) {
		t.Errorf("once all are published %d bytes wait", waiting)
	}
}

// Secrets are hidden in a part, and named beside it and in the reply.
func TestStream_PartsAreMasked(t *testing.T) {
	s := unpublished()
	for _, off := range []bool{false, true} {
		s.mask.Off = off
		s.Take(correlation.Part{Event: []byte(`{"Event":"AuthList","Password":"c4n4ry"}`)})
	}
	hidden, granted := s.replier.waiting[0], s.replier.waiting[1]
	if strings.Contains(string(hidden.Body), "c4n4ry") || !slices.Equal(hidden.masked, []string{"Password"}) || !slices.Equal(s.mask.Names, []string{"Password"}) {
		t.Errorf("%s names %q, the reply %q", hidden.Body, hidden.masked, s.mask.Names)
	}
	if !strings.Contains(string(granted.Body), "c4n4ry") || granted.masked != nil {
		t.Errorf("granted: %s names %q", granted.Body, granted.masked)
	}
}

// A part of another bridge's goes out under its number and with its names; one for which there
// is no room spoils the reply.
func TestStream_RelaysAnothersParts(t *testing.T) {
	s := unpublished()
	s.Relay(1, []byte(`{"Event":"A"}`), "")
	s.Relay(3, []byte(`{"Event":"B"}`), "Password,Secret") // NATS dropped one: its number is missing
	for i, want := range []struct {
		number int
		masked []string
	}{{1, nil}, {3, []string{"Password", "Secret"}}} {
		if got := s.replier.waiting[i]; got.part != want.number || !slices.Equal(got.masked, want.masked) {
			t.Errorf("part %d names %q, want %+v", got.part, got.masked, want)
		}
	}
	if s.spoilt.Load() || s.id == "" {
		t.Errorf("it is spoilt: %v, asks whether somebody listens as %q", s.spoilt.Load(), s.id)
	}
	if s.Relay(4, make([]byte, streamBytes), ""); !s.spoilt.Load() || len(s.replier.waiting) != 2 {
		t.Error("what is lost does not show")
	}
}

// Only the server's word that nobody listens ends the sending: not what a caller
// answers, nor a word about another stream.
func TestStream_BelievesTheServerAlone(t *testing.T) {
	s, nobody := unpublished(), nats.Header{"Status": {"503"}}
	s.Take(correlation.Part{Event: []byte(`{"Event":"A"}`)})
	for name, m := range map[string]*nats.Msg{
		"an answer":         {Subject: s.watch.prefix + s.id, Data: []byte("x"), Header: nobody},
		"an empty answer":   {Subject: s.watch.prefix + s.id},
		"another status":    {Subject: s.watch.prefix + s.id, Header: nats.Header{"Status": {"404"}}},
		"of another stream": {Subject: s.watch.prefix + "other", Header: nobody},
	} {
		if s.watch.onNoResponders(m); s.unheard.Load() {
			t.Fatalf("%s: it is taken for gone", name)
		}
	}
	s.watch.onNoResponders(&nats.Msg{Subject: s.watch.prefix + s.id, Header: nobody})
	if !s.unheard.Load() || !s.Take(correlation.Part{}) || len(s.replier.waiting) != 1 || s.counts.Unheard.Load() != 1 {
		t.Errorf("gone is %v, %d parts wait, %d are unheard", s.unheard.Load(), len(s.replier.waiting), s.counts.Unheard.Load())
	}
	if s.End(); len(s.watch.live) != 0 {
		t.Error("its end does not forget it")
	}
}

// A reply behind a part that NATS did not take says that it is too large.
func TestStream_APartThatDoesNotFitSpoilsTheReply(t *testing.T) {
	url := natstest.Start(t, t.TempDir(), 0).ClientURL()
	nc, _ := natstest.Client(t, url)
	r := NewSender(conntest.Open(t, url), zap.NewNop())
	s := unpublished()
	to := nc.NewInbox()
	sub, err := nc.SubscribeSync(to)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	r.Publish(Message{To: to, Body: make([]byte, 2<<20), part: 1, Stream: s})
	r.Publish(Message{To: to, Body: []byte(`{}`), Stream: s})
	r.Publish(Message{To: to, Body: make([]byte, 2<<20)}) // a whole reply is the same
	for range 2 {
		m, err := sub.NextMsg(natstest.Patience)
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ Error Error }
		if err := json.Unmarshal(m.Data, &got); err != nil || got.Error.Kind != "reply_too_large" || got.Error.Sent != "yes" || m.Header.Get("Nats-Service-Error-Code") != "413" {
			t.Errorf("%v: %s", m.Header, m.Data)
		}
	}
	if n := s.counts.Lost.Load(); n != 1 {
		t.Errorf("%d parts are lost", n)
	}
}
