package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/journal"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/journal/journaltest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// testRecorder is an audit of pbx1 whose records nobody stores.
func testRecorder(log *zap.Logger) *Recorder {
	d := New(&config.Config{Node: "b1", SubjectPrefix: "ami"}, "run1", &journaltest.Fake{Limit: QueueBytes}, log)
	d.chains["pbx1"] = &chain{prev: chainGenesis}
	return d
}

// writes has d write a record of an Action of server.
func (d *Recorder) writes(server, action string) error {
	return d.queue(&record{Server: server, Action: action, Message: "<a & b>", asked: new(Recorded)}, false, nil)
}

// openAnew has d know nothing of these names' chains.
func openAnew(d *Recorder, names ...string) {
	clear(d.chains)
	d.Open(names)
}

// A record that finds no room is counted, told of once, and named by the next
// one, which links to the last that was queued.
func TestAudit_FullQueueLosesAndSaysSo(t *testing.T) {
	core, lines := observer.New(zapcore.DebugLevel)
	d := testRecorder(zap.New(core))
	fakeOf(d).Limit = 8 << 10
	write := func() error { return d.writes("pbx1", "Ping") }
	queued, lost := 0, uint64(0)
	for lost < 3 {
		switch err := write(); {
		case errors.Is(err, journal.ErrFull):
			lost++
		case err != nil:
			t.Fatal(err)
		default:
			queued++
		}
	}
	d.LogLost()
	d.LogLost()
	if told := lines.FilterMessage("audit records lost").All(); len(told) != 1 || told[0].ContextMap()["count"] != uint64(3) {
		t.Errorf("told: %v", told)
	}
	if d.lost.Load() != 3 || queued < 5 {
		t.Errorf("%d queued, %d lost", queued, d.lost.Load())
	}
	batch := fakeOf(d).Take(queued)
	for _, e := range batch {
		fakeOf(d).Finish(e, nil, nil)
	}
	if err := write(); err != nil {
		t.Fatal(err)
	}
	next := string(fakeOf(d).Take(1)[0].Msg.Data)
	if want := `"prev":"` + digest(batch[queued-1].Msg.Data) + `","lost":3}`; !strings.HasSuffix(next, want) {
		t.Errorf("the next record is %s, want it to end in %s", next, want)
	}
	if d.stored.Load() != uint64(queued) {
		t.Errorf("%d stored, want %d", d.stored.Load(), queued)
	}
}

func TestAudit_ActionsAreOneToken(t *testing.T) {
	d := testRecorder(zap.NewNop())
	if err := d.writes("pbx1", "Ä b.*>"+strings.Repeat("x", 100)); err != nil {
		t.Fatal(err)
	}
	if got := fakeOf(d).Take(1)[0].Msg.Subject; got != "ami.audit.pbx1.___b___"+strings.Repeat("x", 57) {
		t.Errorf("subject %s", got)
	}
}

// Records are messages with an id of their own, each one more of the run, which
// only AMI_AUDIT may store; the text is as it is, and not as in HTML.
func TestAudit_RecordsAreMessagesOfTheirStream(t *testing.T) {
	d := testRecorder(zap.NewNop())
	d.Open([]string{"pbx2"})
	for _, server := range []string{"pbx1", "pbx2", "pbx1"} {
		if err := d.writes(server, "Ping"); err != nil {
			t.Fatal(err)
		}
	}
	seqs := map[string]int{}
	for i, e := range fakeOf(d).Take(3) {
		if id, want := e.Msg.Header.Get(jetstream.MsgIDHeader), fmt.Sprint("b1.", d.run, ".", i+1); id != want {
			t.Errorf("record %d has the id %s, want %s", i, id, want)
		}
		if stream := e.Msg.Header.Get(jetstream.ExpectedStreamHeader); stream != streams.AuditStream {
			t.Errorf("record %d is for the stream %q", i, stream)
		}
		var r struct {
			Run string
			Seq int
		}
		seqs[e.Msg.Subject]++
		if err := json.Unmarshal(e.Msg.Data, &r); err != nil || r.Run != d.run || r.Seq != seqs[e.Msg.Subject] || !strings.Contains(string(e.Msg.Data), "<a & b>") {
			t.Errorf("record %d is %s (%v)", i, e.Msg.Data, err)
		}
	}
}

// Records that nobody stores are told of once; once the stream is there they are
// stored again.
func TestAudit_SaysThatNobodyStores(t *testing.T) {
	core, lines := observer.New(zapcore.WarnLevel)
	d := testRecorder(zap.New(core))
	openAnew(d, "pbx1")
	d.Seen(t.Context(), nil, streams.NoJetStream) // records wait
	if lines.Len() != 0 {
		t.Errorf("told: %v", lines.All())
	}
	d.journal.SetUnacknowledged(true) // they do not
	for range 2 {
		d.Seen(t.Context(), nil, streams.NoJetStream)
	}
	if told := lines.FilterMessage("no JetStream: audit records are published at most once").Len(); told != 1 || lines.Len() != 1 {
		t.Errorf("told: %v", lines.All())
	}
	_, js := natstest.Client(t, natstest.Start(t, t.TempDir(), 0).ClientURL())
	config := jetstream.StreamConfig{Name: streams.AuditStream, Subjects: []string{"ami.audit.>"}, Storage: jetstream.MemoryStorage}
	if _, err := js.CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if d.Seen(t.Context(), js, streams.OK); d.journal.IsUnacknowledged() || d.behind {
		t.Error("the stream is there, and records are not stored")
	}
}

// A record that was made before the end of its chain was known stands by itself:
// the chain goes on from it, not from what is stored.
func TestAudit_WhatIsRecordedGoesBeforeWhatIsFound(t *testing.T) {
	_, js := natstest.Client(t, natstest.Start(t, t.TempDir(), 0).ClientURL())
	config := jetstream.StreamConfig{Name: streams.AuditStream, Subjects: []string{"ami.audit.>"}, Storage: jetstream.MemoryStorage}
	if _, err := js.CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	for _, server := range []string{"pbx1", "pbx2"} {
		if _, err := js.Publish(t.Context(), "ami.audit."+server+".Ping", []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	d := testRecorder(zap.NewNop())
	openAnew(d, "pbx1", "pbx2", "pbx3")
	if err := d.writes("pbx1", "Ping"); err != nil {
		t.Fatal(err)
	}
	first := fakeOf(d).Take(1)[0].Msg.Data
	if !strings.Contains(string(first), `"prev":"unknown"`) {
		t.Errorf("the first is %s", first)
	}
	d.Seen(t.Context(), js, streams.OK)
	for server, want := range map[string]string{"pbx1": digest(first), "pbx2": digest([]byte("{}")), "pbx3": chainGenesis} {
		if got := d.chains[server].prev; got != want {
			t.Errorf("%s goes on from %s, want %s", server, got, want)
		}
	}
}

// The end of a chain that cannot be read at first is asked for again, and told
// of once; records in between stand by themselves.
func TestAudit_AsksAgainForTheEndsOfTheChains(t *testing.T) {
	core, lines := observer.New(zapcore.WarnLevel)
	d := testRecorder(zap.New(core))
	_, js := natstest.Client(t, natstest.Start(t, t.TempDir(), 0).ClientURL())
	config := jetstream.StreamConfig{Name: streams.AuditStream, Subjects: []string{"ami.audit.>"}, Storage: jetstream.MemoryStorage}
	if _, err := js.CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "ami.audit.pbx1.Ping", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	openAnew(d, "pbx1")
	late, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 {
		d.Seen(late, js, streams.OK)
	}
	if prev := d.chains["pbx1"].prev; prev != chainUnknown || lines.Len() != 1 {
		t.Errorf("before an answer it follows %s; told: %v", prev, lines.All())
	}
	d.Seen(t.Context(), js, streams.OK)
	if prev := d.chains["pbx1"].prev; prev != digest([]byte("{}")) {
		t.Errorf("it follows %s, not the last record stored", prev)
	}
}

// recordOf is the record in m.
func recordOf(t *testing.T, m *nats.Msg) (r record) {
	t.Helper()
	if err := json.Unmarshal(m.Data, &r); err != nil {
		t.Fatalf("%v in %s", err, m.Data)
	}
	return r
}

// fakeOf is where the records of d wait.
func fakeOf(d *Recorder) *journaltest.Fake { return d.journal.(*journaltest.Fake) }
