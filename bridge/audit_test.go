package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// testAudit is an audit of pbx1 whose records nobody stores.
func testAudit(log *zap.Logger) *audit {
	d := newAudit(&Config{Node: "b1", SubjectPrefix: "ami"}, bareConn(), nil, nil, log)
	d.chains["pbx1"] = &chain{prev: chainGenesis}
	return d
}

// A record that finds no room is counted, told of once, and named by the next
// one, which links to the last that was queued.
func TestAudit_FullQueueLosesAndSaysSo(t *testing.T) {
	core, lines := observer.New(zapcore.DebugLevel)
	d := testAudit(zap.New(core))
	d.journal.limit = 8 << 10
	write := func() error { return d.write("pbx1", "Ping", &auditRecord{}, false, nil) }
	queued, lost := 0, uint64(0)
	for lost < 3 {
		switch err := write(); {
		case errors.Is(err, errJournalFull):
			lost++
		case err != nil:
			t.Fatal(err)
		default:
			queued++
		}
	}
	d.tellLost()
	d.tellLost()
	if told := lines.FilterMessage("audit records lost").All(); len(told) != 1 || told[0].ContextMap()["count"] != uint64(3) {
		t.Errorf("told: %v", told)
	}
	if d.lost.Load() != 3 || queued < 5 {
		t.Errorf("%d queued, %d lost", queued, d.lost.Load())
	}
	batch := d.journal.take(queued)
	for _, e := range batch {
		d.journal.finish(e, nil, nil)
	}
	if err := write(); err != nil {
		t.Fatal(err)
	}
	next := string(d.journal.take(1)[0].msg.Data)
	if want := `"prev":"` + digest(batch[queued-1].msg.Data) + `","lost":3}`; !strings.HasSuffix(next, want) {
		t.Errorf("the next record is %s, want it to end in %s", next, want)
	}
	if d.stored.Load() != uint64(queued) {
		t.Errorf("%d stored, want %d", d.stored.Load(), queued)
	}
}

func TestAudit_ActionsAreOneToken(t *testing.T) {
	d := testAudit(zap.NewNop())
	if err := d.write("pbx1", "Ä b.*>"+strings.Repeat("x", 100), &auditRecord{}, false, nil); err != nil {
		t.Fatal(err)
	}
	if got := d.journal.take(1)[0].msg.Subject; got != "ami.audit.pbx1.___b___"+strings.Repeat("x", 57) {
		t.Errorf("subject %s", got)
	}
}

// The end of a chain that is not to be had at first is asked for again, and told
// of once; records in between stand by themselves.
func TestAudit_AsksAgainForTheEndsOfTheChains(t *testing.T) {
	core, lines := observer.New(zapcore.WarnLevel)
	d := testAudit(zap.New(core))
	_, js := clientOf(t, startNATS(t, t.TempDir(), 0).ClientURL())
	config := jetstream.StreamConfig{Name: AuditStream, Subjects: []string{"ami.audit.>"}, Storage: jetstream.MemoryStorage}
	if _, err := js.CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "ami.audit.pbx1.Ping", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	d.chains["pbx1"] = &chain{prev: chainUnknown}
	late, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 {
		d.seen(late, js, streamOK)
	}
	if prev := d.chains["pbx1"].prev; prev != chainUnknown || lines.Len() != 1 {
		t.Errorf("before an answer it follows %s; told: %v", prev, lines.All())
	}
	d.seen(t.Context(), js, streamOK)
	if prev := d.chains["pbx1"].prev; prev != digest([]byte("{}")) {
		t.Errorf("it follows %s, not the last record stored", prev)
	}
}

// recordOf is the record in m.
func recordOf(t *testing.T, m *nats.Msg) (r auditRecord) {
	t.Helper()
	if err := json.Unmarshal(m.Data, &r); err != nil {
		t.Fatalf("%v in %s", err, m.Data)
	}
	return r
}
