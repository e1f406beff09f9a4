package audit

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/journal/journaltest"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/redact"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/reply"
	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
)

// knownSecret is one of the configuration, of the length from which it is hidden
// wherever it stands; shortSecret is one byte shorter.
const knownSecret, shortSecret = "k9x7", "q9z"

// secretiveAudit is an audit of pbx1 that knows both.
func secretiveAudit() *Recorder {
	cfg := &config.Config{Node: "b1", SubjectPrefix: "ami", Servers: []config.ServerConfig{config.DefaultServerConfig(), config.DefaultServerConfig()}}
	cfg.Servers[0].Secret, cfg.Servers[1].Secret = knownSecret, shortSecret
	d := New(cfg, "run1", &journaltest.Fake{Limit: QueueBytes}, zap.NewNop())
	d.chains["pbx1"] = &chain{prev: chainGenesis}
	return d
}

// askOf is a request for action on subject, answered at to, that holds text
// wherever a caller may write.
func askOf(d *Recorder, subject, action, to, text string) *Request {
	msg := &nats.Msg{Subject: subject, Reply: to, Data: []byte(`{"Note":"` + text + `"}`), Header: nats.Header{
		"Nats-Request-Info": {`{"acc":"` + text + `","svc":"` + text + `","user":"` + text + `","name":"` + text + `","name_tag":"` + text +
			`","issuer_key":"` + text + `","host":"` + text + `","server":"` + text + `"}`},
	}}
	fields := []Field{{Name: "Note", Values: []string{text}}}
	return &Request{
		Server: "pbx1", Subject: subject, Action: action, To: to, Received: time.Now(), RequestID: text,
		Recorded: d.Record(msg, action, text, fields, true),
	}
}

// recorded returns the records that wait to be stored, with their subjects.
func recorded(d *Recorder) string {
	var all strings.Builder
	for _, e := range fakeOf(d).Take(100) {
		all.WriteString(e.Msg.Subject)
		all.Write(e.Msg.Data)
	}
	return all.String()
}

// No text of a record, whoever wrote it, holds a secret: neither one that is
// known nor one behind a secret name. The rest of it stays.
func TestAudit_NoTextOfARecordHoldsASecret(t *testing.T) {
	for what, text := range map[string]string{"known": "say " + knownSecret, "named": "say PIN=c4n4ry"} {
		d := secretiveAudit()
		fail := &reply.Error{Code: 400, Kind: "bad_request", Sent: "no", Message: text, Rule: "ACTIONS_DENY=" + text}
		result := &correlation.Result{Response: text, Message: text}
		d.Outcome(askOf(d, "ami.actions.pbx1."+text, text, text+".x", text), result, fail)
		d.Outcome(askOf(d, "ami.actions.pbx1."+text, text, text+".x", text), nil, reply.BadRequest(errors.New(text))) // its rule is its text
		d.Repeat(askOf(d, "ami.actions.pbx1."+text, text, text+".x", text), fail)
		d.Intend(askOf(d, "ami.actions.pbx1."+text, text, text+".x", text), func(error) {})
		all := recorded(d)
		if strings.Contains(all, knownSecret) || strings.Contains(all, "c4n4ry") {
			t.Errorf("%s: %s", what, all)
		}
		// Each place that was written to is there.
		for _, member := range []string{
			`"action":"say`, `"subject":"ami.actions.pbx1.say`, `"inbox":"say`, `"requester":"say`, `"request_id":"say`, `"Note":"say`, `"rule":"ACTIONS_DENY=say`,
			`"rule":"bad_request: say`, `"error":"say`, `"response":"say`, `"message":"say`, `"acc":"say`, `"svc":"say`, `"user":"say`, `"name":"say`,
			`"name_tag":"say`, `"issuer_key":"say`, `"host":"say`, `"server":"say`,
		} {
			if !strings.Contains(all, member) {
				t.Errorf("%s: no %s in %s", what, member, all)
			}
		}
	}
}

// Every text that nats-server says of a caller is looked at.
func TestAudit_HidesSecretsInRequestInfo(t *testing.T) {
	info := reflect.TypeFor[requestInfo]()
	d := secretiveAudit()
	seen := reflect.ValueOf(d.requestInfo(`{"acc":"` + knownSecret + `","svc":"` + knownSecret + `","user":"` + knownSecret + `","name":"` + knownSecret +
		`","name_tag":"` + knownSecret + `","issuer_key":"` + knownSecret + `","host":"` + knownSecret + `","server":"` + knownSecret + `"}`)).Elem()
	for i := range info.NumField() {
		if f := seen.Field(i); f.Kind() == reflect.String && f.String() != "[redacted]" {
			t.Errorf("%s is %q", info.Field(i).Name, f)
		}
	}
}

// A configured secret is hidden wherever it stands from four bytes on: a shorter
// one is part of harmless words.
func TestAudit_HidesConfiguredSecretsFromFourBytesOn(t *testing.T) {
	d := secretiveAudit()
	for body, want := range map[string]string{
		`{"Data":"x` + knownSecret + `y"}`:         `{"Data":"x[redacted]y"}`,
		`{"` + knownSecret + `":"1"}`:              `{"[redacted]":"1"}`,
		`{"Variable":{"X":"` + knownSecret + `"}}`: `{"Variable":"X=[redacted]"}`,
		`{"Data":"x` + shortSecret + `y"}`:         `{"Data":"x` + shortSecret + `y"}`,
	} {
		if got, _ := shown(d.concealer, "Originate", body); got != want {
			t.Errorf("%s becomes %s, want %s", body, got, want)
		}
	}
}

// A record says what it was asked for, how long it took, and which records are of
// the same request.
func TestAudit_ARecordTellsItsRequest(t *testing.T) {
	d := secretiveAudit()
	a, other := askOf(d, "ami.actions.pbx1.Ping", "Ping", "_INBOX.x.y", "text"), askOf(d, "ami.actions.pbx1.Ping", "Ping", "_INBOX.x.y", "text")
	a.Recorded.conceal(d.concealer)
	a.Recorded.omitted, a.Received = 7, a.Received.Add(-time.Second)
	d.Intend(a, func(error) {})
	d.Outcome(a, &correlation.Result{}, nil)
	d.Outcome(other, nil, &reply.Error{Code: 503, Kind: "not_connected", Sent: "no"})
	var all []record
	for _, e := range fakeOf(d).Take(10) {
		all = append(all, recordOf(t, e.Msg))
	}
	if len(all) != 3 || all[0].Phase != "intent" || all[1].Phase != "outcome" || all[0].Ask != all[1].Ask || all[0].Ask == all[2].Ask {
		t.Errorf("recorded: %+v", all)
	}
	for i, r := range all[:2] {
		if r.FieldsOmitted != 7 || r.BodyBytes != len(`{"Note":"text"}`) || string(r.Fields) != `{"Note":"text"}` || r.Inbox != "_INBOX" || r.Decision != "allowed" {
			t.Errorf("record %d: %+v", i, r)
		}
	}
	if all[0].DurationMS != nil || all[1].DurationMS == nil || *all[1].DurationMS < 1000 {
		t.Errorf("the intent took %v, the outcome %v", all[0].DurationMS, all[1].DurationMS)
	}
	if r := all[1]; r.Outcome != "answered" || r.Sent != "yes" || r.Code != 0 {
		t.Errorf("the outcome is %+v", r)
	}
}

// What is kept of a request as it was asked is short; a long one is cut and concealed at once.
// All Actions of one request are recorded by it.
func TestAudit_KeepsLittleOfARequest(t *testing.T) {
	d := secretiveAudit()
	for size, asked := range map[int]bool{100: true, maxFields: false, 10 * maxFields: false} {
		k := d.Record(&nats.Msg{}, "Originate", strings.Repeat("r", 4*MaxRequester), []Field{{Name: "Note", Values: []string{strings.Repeat("x", size)}}}, true)
		if k.Size() > 2*maxFields || (k.asked != nil) != asked {
			t.Errorf("of %d bytes %d are kept, as they were asked: %v", size, k.Size(), k.asked != nil)
		}
	}
	one := askOf(d, "ami.actions.all.Ping", "Ping", "_INBOX.x.y", "say "+knownSecret)
	for range 2 {
		d.Outcome(one, &correlation.Result{}, nil)
	}
	for _, e := range fakeOf(d).Take(2) {
		if got := recordOf(t, e.Msg); string(got.Fields) != `{"Note":"say [redacted]"}` || got.Requester != "say [redacted]" {
			t.Errorf("recorded: %s, asked by %s", got.Fields, got.Requester)
		}
	}
}

// A record is made when its turn comes, of what was so when its Action ended. A fault over one
// ends neither the process nor the chain: its record has no text of others.
func TestAudit_AFaultHidesTheTextsOfARecord(t *testing.T) {
	d := secretiveAudit()
	whole := d.concealer
	d.Outcome(askOf(d, "ami.actions.pbx1.Ping", "Ping", "_INBOX.x.y", "say"), &correlation.Result{Response: "Success"}, nil)
	d.Outcome(askOf(d, "ami.actions.pbx1.Ping", "Ping", "_INBOX.x.y", "say"), &correlation.Result{Response: "Success"}, nil)
	d.concealer = concealer{} // panics
	faulty := fakeOf(d).Take(1)[0].Msg
	d.concealer = whole
	next := fakeOf(d).Take(1)[0].Msg
	if r := recordOf(t, faulty); r.Phase != "outcome" || r.Outcome != "answered" || r.Action != redact.Hidden || r.Message != "" || r.RequestInfo != nil ||
		strings.Contains(string(faulty.Data), "say") || strings.Contains(string(faulty.Data), "Success") {
		t.Errorf("the record is %s", faulty.Data)
	}
	if !strings.Contains(string(next.Data), `"prev":"`+digest(faulty.Data)+`"`) {
		t.Errorf("the next one does not follow it: %s", next.Data)
	}
}

// What nats-server says of a caller stands there once, and is not long: whatever
// else has that name is the caller's, and not recorded.
func TestAudit_RequestInfoIsTheServersAlone(t *testing.T) {
	d := secretiveAudit()
	for name, test := range map[string]struct {
		values []string
		want   bool
	}{
		"the server's":     {[]string{`{"acc":"APPS","user":"dialer"}`}, true},
		"two of them":      {[]string{`{"acc":"APPS"}`, `{"acc":"PBX"}`}, false},
		"none":             {nil, false},
		"no JSON":          {[]string{`acc=APPS`}, false},
		"nothing it knows": {[]string{`{"x":"APPS"}`}, false},
		"a long one":       {[]string{`{"acc":"APPS","x":"` + strings.Repeat("x", maxRequestInfo) + `"}`}, false},
	} {
		k := d.Record(&nats.Msg{Header: nats.Header{"Nats-Request-Info": test.values}}, "Ping", "", nil, true)
		if (k.info != nil) != test.want || test.want && (k.info.Account != "APPS" || k.info.User != "dialer") {
			t.Errorf("%s: %+v", name, k.info)
		}
	}
}

// With AUDIT=off nothing is recorded, nor kept for it.
func TestAudit_OffRecordsNothing(t *testing.T) {
	d := secretiveAudit()
	d.mode = config.AuditOff
	a := askOf(d, "ami.actions.pbx1.Ping", "Ping", "_INBOX.x.y", "text")
	if a.Recorded != nil || d.Strict() {
		t.Errorf("kept is %+v, strict is %v", a.Recorded, d.Strict())
	}
	d.Outcome(a, nil, &reply.Error{Kind: "busy", Sent: "no"})
	d.Outcome(a, &correlation.Result{}, nil)
	d.Repeat(a, nil)
	if n := len(fakeOf(d).Take(1000)); n != 0 {
		t.Errorf("%d records", n)
	}
}

// Who is refused since its intent is not stored may come again once it could be.
func TestAudit_UnavailableSaysWhenToComeAgain(t *testing.T) {
	if f := Unavailable(errors.New("why")); f.Code != 503 || f.Kind != "audit_unavailable" || f.Sent != "no" ||
		f.RetryAfter != intentTimeout.Milliseconds() || !strings.HasSuffix(f.Message, ": why") {
		t.Errorf("%+v", f)
	}
}

// A decision is refused where a rule says so, or the request was none; else it
// was allowed, however it ended.
func TestAudit_Decisions(t *testing.T) {
	for _, test := range []struct {
		fail           reply.Error
		decision, rule string
	}{
		{reply.Error{Kind: "forbidden", Rule: "always"}, "refused", "always"},
		{reply.Error{Kind: "busy", Rule: "ACTION_RATES"}, "refused", "ACTION_RATES"},
		{reply.Error{Kind: "bad_request", Message: "why"}, "refused", "bad_request: why"},
		{reply.Error{Kind: reply.KindNoInbox, Message: "why"}, "refused", "no_inbox: why"},
		{reply.Error{Kind: "busy"}, "allowed", ""}, {reply.Error{Kind: "not_connected"}, "allowed", ""}, {reply.Error{Kind: "timeout"}, "allowed", ""},
	} {
		if decision, rule := decisionOf(&test.fail); decision != test.decision || rule != test.rule {
			t.Errorf("%+v: %s by %q", test.fail, decision, rule)
		}
	}
}
