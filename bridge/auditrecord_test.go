package bridge

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ami-nats-bridge/ami-nats-bridge/correlation"
)

// knownSecret is one of the configuration, of the length from which it is hidden
// wherever it stands; shortSecret is one byte shorter.
const knownSecret, shortSecret = "k9x7", "q9z"

// secretiveAudit is an audit of pbx1 that knows both.
func secretiveAudit() *audit {
	cfg := &Config{Node: "b1", SubjectPrefix: "ami", Servers: []ServerConfig{DefaultServerConfig(), DefaultServerConfig()}}
	cfg.Servers[0].Secret, cfg.Servers[1].Secret = knownSecret, shortSecret
	d := newAudit(cfg, bareConn(), nil, nil, zap.NewNop())
	d.chains["pbx1"] = &chain{prev: chainGenesis}
	return d
}

// askOf is a request for action on subject, answered at to, that holds text
// wherever a caller may write.
func askOf(d *audit, subject, action, to, text string) *auditRequest {
	msg := &nats.Msg{Subject: subject, Reply: to, Data: []byte(`{"Note":"` + text + `"}`), Header: nats.Header{
		"Nats-Request-Info": {`{"acc":"` + text + `","svc":"` + text + `","user":"` + text + `","name":"` + text + `","name_tag":"` + text +
			`","issuer_key":"` + text + `","host":"` + text + `","server":"` + text + `"}`},
	}}
	fields := []auditField{{name: "Note", values: []string{text}}}
	return &auditRequest{
		server: "pbx1", subject: subject, action: actionName{action}, to: to, came: time.Now(), requestID: text,
		asked: d.asked(msg, actionName{action}, text, fields, true),
	}
}

// recorded returns the records that wait to be stored, with their subjects.
func recorded(d *audit) string {
	var all strings.Builder
	for _, e := range d.journal.take(100) {
		all.WriteString(e.msg.Subject)
		all.Write(e.msg.Data)
	}
	return all.String()
}

// No text of a record, whoever wrote it, holds a secret: neither one that is
// known nor one behind a secret name. The rest of it stays.
func TestAudit_NoTextOfARecordHoldsASecret(t *testing.T) {
	for what, text := range map[string]string{"known": "say " + knownSecret, "named": "say PIN=c4n4ry"} {
		d := secretiveAudit()
		fail := &failure{Code: 400, Kind: "bad_request", Sent: "no", Message: text, rule: "ACTIONS_DENY=" + text}
		result := &correlation.Result{Response: text, Message: text}
		d.outcome(askOf(d, "ami.actions.pbx1."+text, text, text+".x", text), result, fail)
		d.outcome(askOf(d, "ami.actions.pbx1."+text, text, text+".x", text), nil, badRequest(errors.New(text))) // its rule is its text
		d.repeat(askOf(d, "ami.actions.pbx1."+text, text, text+".x", text), fail)
		d.intend(askOf(d, "ami.actions.pbx1."+text, text, text+".x", text), func(error) {})
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
