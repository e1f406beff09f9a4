package streams

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn/conntest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// A stream that refuses what goes over a subject's limit takes no second event of a name, and no new value of a key, for ever. That
// is taken back together with the limit: without the one nats-server refuses the other, or drops what is stored.
func TestStreams_ASubjectThatIsFullIsOpenedAgain(t *testing.T) {
	url := natstest.Start(t, t.TempDir(), 0).ClientURL()
	_, js := natstest.Client(t, url)
	cfg := config.DefaultConfig()
	k := testStreams(&cfg, conntest.Open(t, url))
	k.Check(t.Context())
	const limit = 3
	for _, want := range wantedStreams(&cfg, batchLevel) {
		closed := want
		closed.Discard, closed.DiscardNewPerSubject, closed.MaxMsgsPerSubject = jetstream.DiscardNew, true, limit
		if _, err := js.UpdateStream(t.Context(), closed); err != nil {
			t.Fatal(err)
		}
	}
	for range limit {
		if _, err := js.Publish(t.Context(), "ami.events.pbx1.Hangup", nil); err != nil {
			t.Fatal(err)
		}
	}
	k.Check(t.Context())
	for _, want := range wantedStreams(&cfg, batchLevel) {
		stream, err := js.Stream(t.Context(), want.Name)
		if err != nil {
			t.Fatal(err)
		}
		is, most := stream.CachedInfo().Config, int64(limit)
		if want.MaxMsgsPerSubject <= 0 {
			most = -1
		}
		if is.DiscardNewPerSubject || is.MaxMsgsPerSubject != most {
			t.Errorf("%s refuses per subject: %v, with %d of each", want.Name, is.DiscardNewPerSubject, is.MaxMsgsPerSubject)
		}
	}
	if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: "ami.events.pbx1.Hangup"}); err != nil {
		t.Error(err)
	}
	stream, err := js.Stream(t.Context(), EventStream)
	if err != nil || stream.CachedInfo().State.Msgs != limit+1 {
		t.Errorf("%+v, %v", stream.CachedInfo().State, err)
	}
}
