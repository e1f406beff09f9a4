package audit

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/internal/clock"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/journal"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// The record of an intent may take 5 s, or Ami-Timeout if that is shorter.
func TestAudit_AnIntentWaitsNoLongerThanTheRequest(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{time.Second: time.Second, time.Hour: 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			d, began := testRecorder(zap.NewNop()), time.Now()
			a := testRequest(d, "Ping")
			a.Deadline = began.Add(timeout)
			told := make(chan error, 1)
			d.Intend(a, func(err error) { told <- err })
			if err := <-told; err == nil || time.Since(began) != want {
				t.Errorf("with %v: %v after %v", timeout, err, time.Since(began))
			}
		})
	}
}

// What ends a chain is unknown unless the stream says so: an error is not the
// answer that there is none.
func TestAudit_AnErrorIsNoGenesis(t *testing.T) {
	nc, js := natstest.Client(t, natstest.Serve(t, func(o *natsserver.Options) { o.JetStream = false }).ClientURL())
	info, err := json.Marshal(jetstream.StreamInfo{Config: jetstream.StreamConfig{Name: streams.AuditStream, Subjects: []string{"ami.audit.>"}, AllowDirect: true}})
	if err != nil {
		t.Fatal(err)
	}
	natstest.Answer(t, nc, "$JS.API.STREAM.INFO."+streams.AuditStream, func(*nats.Msg) *nats.Msg { return &nats.Msg{Data: info} })
	status := "503"
	natstest.Answer(t, nc, "$JS.API.DIRECT.GET."+streams.AuditStream+".>", func(*nats.Msg) *nats.Msg {
		return &nats.Msg{Header: nats.Header{"Status": {status}, "Description": {"what it says"}}}
	})
	core, lines := observer.New(zap.WarnLevel)
	d := testRecorder(zap.New(core))
	openAnew(d, "pbx1")
	d.Seen(t.Context(), js, streams.OK)
	if prev := d.chains["pbx1"].prev; prev != chainUnknown || !d.behind || lines.Len() != 1 {
		t.Errorf("after an error it follows %s; told: %v", prev, lines.All())
	}
	status = "404"
	d.Seen(t.Context(), js, streams.OK)
	if prev := d.chains["pbx1"].prev; prev != chainGenesis || d.behind {
		t.Errorf("of an empty stream it follows %s", prev)
	}
}

// Refusals cannot fill the last quarter of the queue, which is for the outcomes
// of what was sent.
func TestAudit_TheLastQuarterIsForWhatWasSent(t *testing.T) {
	d := testRecorder(zap.NewNop())
	fakeOf(d).Limit = 64 << 10
	intend := func() (refused bool) {
		d.Intend(testRequest(d, "Ping"), func(err error) { refused = errors.Is(err, journal.ErrFull) })
		return refused
	}
	for !intend() { // what is not must
	}
	lost := d.lost.Load()
	d.Repeat(testRequest(d, "Ping"), nil)
	d.Outcome(testRequest(d, "Ping"), nil, &reply.Error{Kind: "busy", Sent: "no"})
	if d.lost.Load() != lost+2 {
		t.Error("a repeat or a refusal finds room in the last quarter")
	}
	for _, sent := range []string{"yes", "unknown"} {
		d.Outcome(testRequest(d, "Ping"), &correlation.Result{}, &reply.Error{Kind: "timeout", Sent: sent})
	}
	d.Outcome(testRequest(d, "Ping"), &correlation.Result{}, nil)
	if d.lost.Load() != lost+2 {
		t.Errorf("%d outcomes of what was sent find no room", d.lost.Load()-lost-2)
	}
}

// A record is made when its turn comes, so that no Action waits for it: it tells how all was when its
// Action ended. A loss stands where it was, behind what was queued before.
func TestAudit_ARecordIsMadeWhenItsTurnComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := testRecorder(zap.NewNop())
		a := testRequest(d, "Ping")
		want := clock.Stamp(time.Now())
		d.Outcome(a, &correlation.Result{}, nil)
		if a.Recorded.concealed {
			t.Error("whoever ends an Action waits until its record's secrets are hidden")
		}
		limit := fakeOf(d).Limit
		fakeOf(d).Limit = 0
		d.Outcome(testRequest(d, "Ping"), &correlation.Result{}, nil)
		fakeOf(d).Limit = limit
		d.Outcome(testRequest(d, "Ping"), &correlation.Result{}, nil)
		<-time.After(time.Minute)
		all := fakeOf(d).Take(2)
		first, second := string(all[0].Msg.Data), string(all[1].Msg.Data)
		if r := recordOf(t, all[0].Msg); r.At != want || r.DurationMS == nil || *r.DurationMS != 0 {
			t.Errorf("at %s, when the Action ended, the record is %s", want, first)
		}
		if strings.Contains(first, `"lost"`) || !strings.HasSuffix(second, `"seq":2,"prev":"`+digest(all[0].Msg.Data)+`","lost":1}`) {
			t.Errorf("one was lost between %s and %s", first, second)
		}
	})
}
