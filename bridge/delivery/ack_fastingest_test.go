package delivery

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/outbox"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// fastBench is a bridge of one server that publishes into a stream as change
// makes it, nil: as it wants it.
func fastBench(t *testing.T, change func(*jetstream.StreamConfig)) (*bench, *Publisher, string) {
	t.Helper()
	s := natstest.Serve(t, func(*natsserver.Options) {})
	b, p := testBench(t, s.ClientURL(), config.DeliverJetStream)
	if change != nil {
		changeStream(t, s.ClientURL(), change)
	}
	return b, p, s.ClientURL()
}

func allPublished(t *testing.T, b *bench) {
	t.Helper()
	if left := drainWithin(t, b, natstest.Patience); left > 0 {
		t.Fatalf("%d events left", left)
	}
}

// A burst of more than the server takes goes in batches that it acknowledges by
// the hundred, the last few of which are acknowledged as well, by themselves.
func TestFast_NoTailWaits(t *testing.T) {
	b, p, url := fastBench(t, nil)
	p.window.timeout = time.Hour
	startPublisher(t, p)
	events := 0
	for _, burst := range []int{1, 20_000, 3, 20_000, 1} {
		pushEvents(b.servers[0], events+1, events+burst)
		events += burst
		allPublished(t, b)
	}
	verifyStream(t, url, events)
	if n := b.servers[0].outbox.Account().Resent; n > 0 {
		t.Errorf("%d were sent again although nothing failed", n)
	}
	if p.Mode() != modeFast {
		t.Errorf("delivered by %v", p.Mode())
	}
}

// A stream without allow_batched gets its events one by one, all of them, until
// it is seen to have it.
func TestFast_FallsBackWithoutAllowBatched(t *testing.T) {
	b, p, url := fastBench(t, func(c *jetstream.StreamConfig) { c.AllowBatchPublish = false })
	startPublisher(t, p)
	pushEvents(b.servers[0], 1, 5000)
	allPublished(t, b)
	if p.Mode() != modeWindow {
		t.Errorf("delivered by %v", p.Mode())
	}
	b.streams.Check(t.Context()) // which gives it to the stream
	for i := 5001; i <= 100_000 && p.Mode() != modeFast; i++ {
		pushEvents(b.servers[0], i, i)
		allPublished(t, b)
	}
	if p.Mode() != modeFast {
		t.Errorf("delivered by %v although the stream has fast ingest again", p.Mode())
	}
	allPublished(t, b)
	verifyStream(t, url, int(b.servers[0].outbox.Account().Published))
}

// A message that the stream refuses for its size gives way to a Gap, whoever
// else is in its batch.
func TestFast_GivesUpWhatTheStreamRefuses(t *testing.T) {
	b, p, url := fastBench(t, func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1000 })
	s := b.servers[0]
	pushEvents(s, 1, 100)
	s.push(outbox.Entry{Subject: "ami.events.pbx1.Test", Session: "s1", Seq: 101, At: 1}, make([]byte, 2000), false)
	pushEvents(s, 102, 200)
	startPublisher(t, p)
	allPublished(t, b)
	if a := s.outbox.Account(); a.Published != 199 || a.Dropped[outbox.DropOversize] != 1 {
		t.Errorf("account = %+v, want 199 published and 1 dropped", a)
	}
	_, js := natstest.Client(t, url)
	stream, err := js.Stream(t.Context(), streams.EventStream)
	if err != nil {
		t.Fatal(err)
	}
	hole, err := stream.GetMsg(t.Context(), 101)
	if err != nil {
		t.Fatal(err)
	}
	if hole.Subject != "ami.events.pbx1.Gap" {
		t.Errorf("message 101 is %s %s, want a Gap", hole.Subject, hole.Data)
	}
}

// A batch that the server has forgotten begins anew, without a delay.
func TestFast_ABatchThatTheServerForgot(t *testing.T) {
	s := natstest.Serve(t, func(o *natsserver.Options) { o.JetStreamLimits.MaxBatchTimeout = 10 * time.Millisecond })
	b, p := testBench(t, s.ClientURL(), config.DeliverJetStream)
	startPublisher(t, p)
	for i := range 30 {
		pushEvents(b.servers[0], i+1, i+1)
		allPublished(t, b)
		<-time.After(time.Duration(i) * time.Millisecond) // the fault: some pauses are longer than it remembers
	}
	verifyStream(t, s.ClientURL(), 30)
	if b.servers[0].outbox.Account().Resent == 0 {
		t.Error("nothing was sent again: the server has forgotten no batch")
	}
}

// What the server says of a batch, word by word.
func TestFast_Replies(t *testing.T) {
	type outcome struct {
		Acked   uint64
		Failure string
		Open    bool
	}
	for name, c := range map[string]struct {
		n      uint64 // the message it answers
		status string
		body   string
		want   outcome
	}{
		"acknowledged":       {2, "", `{"type":"ack","seq":2,"msgs":1}`, outcome{2, "", true}},
		"before the first":   {1, "", `{"type":"ack","seq":0,"msgs":1}`, outcome{0, "", true}},
		"more than was sent": {1, "", `{"type":"ack","seq":9,"msgs":1}`, outcome{0, "", true}},
		"a gap":              {3, "", `{"type":"gap","last_seq":2,"seq":3}`, outcome{0, errBatchEnded.Error(), true}},
		"ended too soon":     {2, "", `{"stream":"AMI_EVENTS","seq":7,"batch":"BATCH","count":2}`, outcome{2, errBatchEnded.Error(), true}},
		"of another batch":   {2, "", `{"stream":"AMI_EVENTS","seq":7,"batch":"other","count":2}`, outcome{0, "", true}},
		"an older server":    {1, "", `{"stream":"AMI_EVENTS","seq":7}`, outcome{0, errNoFastIngest.Error(), true}},
		"another stream":     {1, "", `{"stream":"OTHER","seq":7}`, outcome{0, "", true}},
		"not enabled":        {1, "", `{"error":{"code":400,"err_code":10205,"description":"x"},"stream":"AMI_EVENTS","seq":0}`, outcome{0, errNoFastIngest.Error(), true}},
		"unknown batch":      {2, "", `{"error":{"code":400,"err_code":10208,"description":"x"},"stream":"AMI_EVENTS","seq":0}`, outcome{0, errBatchEnded.Error(), true}},
		"full":               {2, "", `{"type":"err","seq":2,"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"}}`, outcome{0, "the stream refused an event: maximum bytes exceeded (10077)", true}},
		"too large":          {2, "", `{"error":{"code":400,"err_code":10054,"description":"x"},"stream":"AMI_EVENTS","seq":0}`, outcome{0, errRefused.Error(), true}},
		"nobody":             {1, "503", ``, outcome{0, natsconn.ErrNoStream.Error(), true}},
		"a stranger":         {1, "", `+ACK`, outcome{0, "", true}},
	} {
		t.Run(name, func(t *testing.T) {
			o := outbox.New(1<<20, "gap", outbox.NewBudget(1<<20, 1), func() {})
			w := windowOf(func(int) {}, o)
			w.setBatched(true)
			d := &fastMode{inbox: "in.", unique: "u", window: w}
			var replies []string
			for range 3 {
				o.Push(outbox.Entry{}, nil, false)
				o.Take(nil)
				var m nats.Msg
				d.prepare(&m, 0, w.add(0, 100, time.Now()), false, time.Now())
				replies = append(replies, strings.Clone(m.Reply))
			}
			m := nats.NewMsg(replies[c.n-1])
			m.Data = []byte(strings.ReplaceAll(c.body, "BATCH", d.batch))
			if c.status != "" {
				m.Header.Set("Status", c.status)
			}
			d.onReply(m)
			got := outcome{Acked: d.acked, Open: d.batch != ""}
			if d.failure != nil {
				got.Failure = d.failure.Error()
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got): %s", diff)
			}
			if a := o.Account(); a.Published != c.want.Acked {
				t.Errorf("%d count as published, want %d", a.Published, c.want.Acked)
			}
		})
	}
}

// A new batch begins after a pause in which the server may forget the old one.
func TestFast_NewBatchAfterAPause(t *testing.T) {
	d := &fastMode{inbox: "in.", unique: "u"}
	var seen []string
	for _, pause := range []time.Duration{0, time.Second, fastIdle + time.Second} {
		d.last = time.Now().Add(-pause)
		var m nats.Msg
		d.prepare(&m, 0, 0, false, time.Now())
		d.acked = d.sent
		seen = append(seen, strings.Clone(m.Reply))
	}
	want := []string{"in.u-1.1.fail.1.0.$FI", "in.u-1.1.fail.2.1.$FI", "in.u-2.1.fail.1.0.$FI"}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("(-want +got): %s", diff)
	}
}

// After a failure each event is a batch of its own, of which only the answer at
// its end counts, until the stream has stored one that it had not.
func TestFast_WaryAfterAFailure(t *testing.T) {
	const ack, conflict = `{"type":"ack","seq":1,"msgs":1}`,
		`{"error":{"code":409,"err_code":10158,"description":"duplicate message id is in process"},"stream":"AMI_EVENTS","seq":0}`
	const repeat, fresh = `{"stream":"AMI_EVENTS","seq":7,"duplicate": true,"batch":"BATCH","count":1}`,
		`{"stream":"AMI_EVENTS","seq":8,"batch":"BATCH","count":1}`
	o := outbox.New(1<<20, "gap", outbox.NewBudget(1<<20, 1), func() {})
	w := windowOf(func(int) {}, o)
	w.setBatched(true)
	d := &fastMode{inbox: "in.", unique: "u", window: w}
	d.abandon()
	for i, step := range []struct {
		replies   []string
		published uint64
		fails     bool
		op        string
	}{
		{[]string{ack, conflict}, 0, true, ".1.2.$FI"},
		{[]string{ack, repeat}, 1, false, ".1.2.$FI"},
		{[]string{ack, repeat}, 2, false, ".1.2.$FI"},
		{[]string{ack, fresh}, 3, false, ".1.2.$FI"},
		{[]string{ack}, 4, false, ".1.0.$FI"},
	} {
		var m nats.Msg
		o.Push(outbox.Entry{}, nil, false)
		o.Take(nil)
		d.prepare(&m, 0, w.add(0, 100, time.Now()), false, time.Now())
		if !strings.HasSuffix(m.Reply, step.op) {
			t.Errorf("step %d: sent as %s", i, m.Reply)
		}
		if single := strings.HasSuffix(step.op, ".2.$FI"); d.room() == single {
			t.Errorf("step %d: room for another is %v", i, !single)
		}
		to := nats.NewMsg(strings.Clone(m.Reply))
		for _, reply := range step.replies {
			to.Data = []byte(strings.ReplaceAll(reply, "BATCH", d.batch))
			d.onReply(to)
		}
		if a := o.Account(); a.Published != step.published || d.failure != nil != step.fails {
			t.Errorf("step %d: %d published, failure %v", i, a.Published, d.failure)
		}
		if step.fails {
			d.abandon()
			w.reset(0)
			o.Rewind(nil, nil)
		}
	}
}

// What the publisher asks before it speaks fast ingest.
func TestStreams_TellsWhetherItIsBatched(t *testing.T) {
	b, _ := testBench(t, natstest.Start(t, t.TempDir(), 0).ClientURL(), config.DeliverJetStream)
	if !b.streams.TakesBatches() {
		t.Error("a stream just made on this nats-server takes no fast ingest")
	}
	core, _ := testBench(t, natstest.Start(t, t.TempDir(), 0).ClientURL(), config.DeliverCore)
	if core.streams.TakesBatches() {
		t.Error("a stream that is not there takes fast ingest")
	}
}
