package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/longtest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// Each way for a request to end leaves one record that says so.
func TestAudit_RecordsEachEnd(t *testing.T) {
	t.Parallel()
	sim, r := harness.ChaosBridge(t, amisim.Config{}, nil)
	records := r.Subscribe("ami.audit.>")
	sim.Next("CoreShowChannels", amisim.Ignore)
	for _, step := range []struct {
		server, action, body string
		headers              []string
		want                 string
	}{
		{"pbx1", "CoreStatus", `{"X-Note":"a"}`, nil, "pbx1 outcome allowed answered yes 0"},
		{"pbx1", "CoreShowChannelMap", `{"Channel":"none"}`, nil, "pbx1 outcome allowed asterisk_error yes 422"},
		{"pbx1", "CoreShowChannels", "", []string{"Ami-Timeout", "10s"}, "pbx1 outcome allowed timeout unknown 504"},
		{"any", "CoreStatus", "", nil, "pbx1 outcome allowed answered yes 0"},
		{"all", "CoreStatus", "", nil, "pbx1 outcome allowed answered yes 0"},
		{"all", "CoreStatus", "", []string{"Ami-Group", "none"}, "all outcome refused bad_request no 400"},
		{"pbx1", "Login", "", nil, "pbx1 outcome refused forbidden no 403"},
		{"pbx1", "ping", "", nil, "pbx1 outcome refused bad_request no 400"},
		{"pbx1", "Ping", `[1]`, nil, "pbx1 outcome refused bad_request no 400"},
		{"pbx1", "Ping", `{"X":"` + strings.Repeat("x", 2000) + `"}`, nil, "pbx1 outcome refused bad_request no 400"},
		{"any", "Ping", "", []string{"Ami-Nonsense", "1"}, "any outcome refused bad_request no 400"},
	} {
		r.Call(step.server, step.action, step.body, step.headers...)
		got := r.Record(records)
		if got.End() != step.want+"\n" || (got.Decision == "refused") != (got.Rule != "") {
			t.Errorf("%s %s: %s", step.server, step.action, got.Text)
		}
		if want := "ami.audit." + got.Server + "." + step.action; got.Subject != want || got.Action != step.action {
			t.Errorf("%s %s is on %s", step.server, step.action, got.Subject)
		}
	}
	if err := r.Client.PublishRequest("ami.actions.pbx1.CoreStatus", "ami.events.pbx1.Hangup", nil); err != nil {
		t.Fatal(err)
	}
	if got := r.Record(records); got.End() != "pbx1 outcome refused no_inbox no 0\n" || got.Inbox != "ami" {
		t.Errorf("a reply subject that is no inbox: %s", got.Text)
	}
	sim.Always(amisim.Accept, amisim.Refuse)
	sim.Next("CoreSettings", amisim.Refuse)
	r.Call("pbx1", "CoreSettings", "")
	r.Call("pbx1", "Ping", "")
	// The session records how the first ended once its caller has the answer: the next may be faster.
	ends := []string{r.Record(records).End(), r.Record(records).End()}
	slices.Sort(ends)
	if want := []string{"pbx1 outcome allowed connection_lost unknown 502\n", "pbx1 outcome allowed not_connected no 503\n"}; !slices.Equal(ends, want) {
		t.Errorf("%q, want %q", ends, want)
	}
	if lost := r.Metric("audit_records_lost_total"); lost != 0 {
		t.Errorf("%v records lost", lost)
	}
}

func TestAudit_SaysWhoAskedForWhatAndWhatCameOfIt(t *testing.T) {
	sim, r := harness.ChaosBridge(t, amisim.Config{}, nil)
	records := r.Subscribe("ami.audit.>")
	sim.Next("Hangup", amisim.Deny("No such channel"))
	reply := r.Call("pbx1", "Hangup", `{"Channel":["PJSIP/a-1"],"ActionID":"mine"}`, "Ami-Requester", "alice")
	got := r.Record(records)
	want := harness.Record{
		Phase: "outcome", Ask: got.Ask, Node: "b1", Server: "pbx1", Action: "Hangup", Inbox: "_INBOX", Requester: "alice",
		RequestID: "mine", ActionID: reply.ActionID, Decision: "allowed", Outcome: "asterisk_error", Sent: "yes",
		Response: "Error", Message: "No such channel", Code: 422, DurationMS: got.DurationMS, Run: got.Run, Prev: "genesis", Seq: 1,
		Subject: "ami.audit.pbx1.Hangup", ID: got.ID, Text: got.Text,
	}
	fields := fmt.Sprint(got.Fields)
	got.Fields = nil
	if fmt.Sprint(got) != fmt.Sprint(want) || fields != "map[ActionID:mine Channel:PJSIP/a-1]" || reply.ActionID == "" {
		t.Errorf("%s, fields %s", got.Text, fields)
	}
	if got.DurationMS <= 0 || got.Ask == "" || !strings.HasPrefix(got.ID, "b1."+got.Run+".") {
		t.Errorf("%s with the id %q", got.Text, got.ID)
	}
}

// What callers and Asterisk write of secrets is in no record.
func TestAudit_HoldsNoSecret(t *testing.T) {
	const canary = "c4n4ry"
	sim, r := harness.ChaosBridge(t, amisim.Config{}, nil)
	sim.Always("Originate", amisim.Deny("Variable CARD="+canary+" is s3cret"))
	bodies := map[string][]string{
		"Originate": {
			`{"Variable":{"CARD":"` + canary + `"}}`, `{"variable":["PIN=` + canary + `","A=b"]}`, `{"Variable":"A=b,CARD=1,` + canary + `"}`,
			`{"Channel":"PJSIP/a","Variable":{"X":"CARD=` + canary + `"}}`, `{"Secret":["` + canary + `"]}`, `{"secret":{"a":"` + canary + `"}}`,
			`{"Data":"app,password: ` + canary + `"}`, `{"CallerID":"s3cret"}`, `{"Variable":{"CARD":"` + canary + "\\r\\n" + `"}}`,
		},
		"Setvar":  {`{"Variable":"PIN","Value":"` + canary + `"}`},
		"Login":   {`{"Username":"x","Secret":"` + canary + `","Key":"` + canary + `"}`},
		"Command": {`{"Command":"database put creds pin ` + canary + `"}`},
	}
	asked := 0
	for action, all := range bodies {
		for _, body := range all {
			r.Call("pbx1", action, body, "Ami-Requester", "me, token="+canary)
			asked++
		}
	}
	all := r.RecordsOf(t, asked)
	for _, one := range all {
		if text := string(one.Text); strings.Contains(text, canary) || strings.Contains(text, "s3cret") || !strings.Contains(text, "me, token=[redacted]") {
			t.Errorf("%s", text)
		}
	}
	if err := broken(all); err != nil {
		t.Error(err)
	}
}

// A process that starts goes on where the one before it ended, which leaves
// nothing behind.
func TestAudit_ShutdownLeavesNothingAndTheChainGoesOn(t *testing.T) {
	url := harness.NATS(t)
	sim, addr := harness.Sim(t, amisim.Config{})
	var all []harness.Record
	for run := range 2 {
		r := harness.Bridge(t, url, harness.ChaosConfig, harness.ChaosServer("pbx1", addr))
		for range 20 {
			r.Call("pbx1", "CoreSettings", "")
		}
		sim.Next("CoreStatus", amisim.Delay(300*time.Millisecond))
		r.Ask("pbx1", "CoreStatus", "")
		harness.Eventually(t, "the action is asked for", func() bool { return sim.Received("CoreStatus") == run+1 })
		if err := r.Stop(); err != nil {
			t.Fatal(err)
		}
		all = r.RecordsOf(t, 21*(run+1))
	}
	if err := broken(all); err != nil || all[0].Run == all[41].Run || all[41].Action != "CoreStatus" {
		t.Errorf("%v; the last is %s", err, all[41].Text)
	}
	all[7].Text = append(all[7].Text, ' ')
	if broken(all) == nil {
		t.Error("a record that was changed does not show")
	}
	if broken(append(all[:9:9], all[10:]...)) == nil {
		t.Error("a record that is missing does not show")
	}
}

func TestAudit_StreamIsProtected(t *testing.T) {
	_, r := harness.ChaosBridge(t, amisim.Config{}, nil)
	r.Call("pbx1", "CoreStatus", "")
	r.RecordsOf(t, 1)
	js, stream := r.AuditStream()
	if err := stream.DeleteMsg(t.Context(), 1); err == nil {
		t.Error("a record can be deleted")
	}
	if err := stream.Purge(t.Context()); err == nil {
		t.Error("the records can be purged")
	}
	roll := nats.NewMsg("ami.audit.pbx1.CoreStatus")
	roll.Header.Set("Nats-Rollup", "all")
	if _, err := js.PublishMsg(t.Context(), roll); err == nil {
		t.Error("the records can be rolled up")
	}
	cfg := stream.CachedInfo().Config
	cfg.DenyDelete, cfg.DenyPurge = false, false
	if _, err := js.UpdateStream(t.Context(), cfg); err == nil {
		t.Error("the protection can be taken off")
	}
	r.RecordsOf(t, 1)
}

// A stream that somebody could clear is told of, and mended as far as
// nats-server lets it be.
func TestAudit_StreamThatCouldBeCleared(t *testing.T) {
	url := harness.NATS(t)
	js := harness.JetStream(t, harness.Client(t, url))
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: streams.AuditStream, Subjects: []string{"ami.audit.>"}, AllowRollup: true, AllowMsgTTL: true,
		MaxMsgs: 10, SubjectDeleteMarkerTTL: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	_, addr := harness.Sim(t, amisim.Config{})
	wants := []string{
		config.StreamsVerify: "discard compression max_msgs allow_msg_ttl subject_delete_marker_ttl allow_rollup_hdrs " +
			"deny_delete deny_purge allow_direct",
		config.StreamsManage: "discard allow_msg_ttl",
	}
	for _, mode := range []config.Streams{config.StreamsVerify, config.StreamsManage} {
		want := wants[mode]
		core, lines := observer.New(zapcore.WarnLevel)
		r := harness.BridgeLogging(t, zap.New(core), url, func(c *config.Config) {
			harness.ChaosConfig(c)
			c.Streams, c.Delivery = mode, config.DeliverCore
		}, harness.ChaosServer("pbx1", addr))
		// What takes too long at the start is done the next time.
		harness.Eventually(t, fmt.Sprint(mode, " leaves ", want), func() bool { return r.Stands(streams.AuditStream, "differs").Fields() == want })
		told := fmt.Sprint(lines.FilterField(zap.String("stream", streams.AuditStream)).All())
		for _, part := range append(strings.Fields(want), "old, not new", "true, not false") {
			if !strings.Contains(told, part) {
				t.Errorf("%v: no %q in %s", mode, part, told)
			}
		}
		if err := r.Stop(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAudit_WithoutJetStream(t *testing.T) {
	longtest.Mark(t, "the streams are looked at again after 10 s")
	t.Parallel()
	s := natstest.Serve(t, func(o *natsserver.Options) { o.JetStream = false })
	_, addr := harness.Sim(t, amisim.Config{})
	core, lines := observer.New(zapcore.WarnLevel)
	r := harness.BridgeLogging(t, zap.New(core), s.ClientURL(), func(c *config.Config) { c.Delivery = config.DeliverCore }, harness.ChaosServer("pbx1", addr))
	records := r.Subscribe("ami.audit.>")
	r.Call("pbx1", "CoreStatus", "")
	if got := r.Record(records); got.Outcome != "answered" || got.Prev != "unknown" {
		t.Errorf("%s", got.Text)
	}
	told := func() int { return lines.FilterMessage("no JetStream: audit records are published at most once").Len() }
	harness.Eventually(t, "it is told, by the look at the streams", func() bool { return told() > 0 })
	if told() != 1 {
		t.Errorf("told: %v", lines.All())
	}
	cfg := r.Config
	cfg.Node, cfg.Audit = "b2", config.AuditStrict
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	r = harness.BridgeFor(t, zap.NewNop(), r.Client, cfg)
	if e := r.Call("pbx1", "CoreStatus", "").Error; e == nil || e.Kind != "audit_unavailable" || e.Sent != "no" {
		t.Errorf("strict without JetStream: %+v", e)
	}
	harness.EnableJetStream(t, s)
	harness.Eventually(t, "actions go out once JetStream is there", func() bool { return r.Call("pbx1", "CoreSettings", "").Error == nil })
	if first := r.Audit()[0]; first.Prev != "unknown" || first.Action != "CoreStatus" || first.Phase != "intent" {
		t.Errorf("the first record: %s", first.Text)
	}
}

// accounts are the bridge's, and one whose users reach it by a service import.
const accounts = `
listen: "127.0.0.1:-1"
jetstream { store_dir: %q }
accounts {
  PBX { jetstream: enabled, users: [{user: bridge, password: b}], exports: [{service: "ami.actions.>"}] }
  APPS { users: [{user: dialer, password: d}], imports: [{service: {account: PBX, subject: "ami.actions.>"}, share: true}] }
}`

// What nats-server says of a caller in another account is recorded in place of
// what the caller claims, and that caller is answered.
func TestAudit_KnowsACallerOfAnotherAccount(t *testing.T) {
	s := harness.NATSOf(t, fmt.Sprintf(accounts, t.TempDir()))
	login := func(user string) string { return strings.Replace(s.ClientURL(), "://", "://"+user+"@", 1) }
	_, addr := harness.Sim(t, amisim.Config{})
	r := harness.Bridge(t, login("bridge:b"), harness.ChaosConfig, harness.ChaosServer("pbx1", addr))
	records := r.Subscribe("ami.audit.>")
	dialer := &harness.Running{T: t, Client: harness.Client(t, login("dialer:d"))}
	if reply := dialer.Call("pbx1", "CoreStatus", "", "Nats-Request-Info", `{"acc":"ADMIN","user":"root"}`); reply.Error != nil {
		t.Fatalf("%+v", reply.Error)
	}
	if got := r.Record(records); got.Info == nil || got.Info.Account != "APPS" || got.Info.User != "dialer" || got.Inbox != "_R_" {
		t.Errorf("%s", got.Text)
	}
	// In the bridge's own account nobody checks it, and the inbox says that it
	// came by no import.
	r.Call("pbx1", "CoreStatus", "", "Nats-Request-Info", `{"acc":"ADMIN","user":"root"}`)
	if got := r.Record(records); got.Info == nil || got.Info.Account != "ADMIN" || got.Inbox != "_INBOX" {
		t.Errorf("%s", got.Text)
	}
	for _, nonsense := range []string{"{", "17", `{"x":1}`} {
		r.Call("pbx1", "CoreStatus", "", "Nats-Request-Info", nonsense)
		if got := r.Record(records); got.Info != nil {
			t.Errorf("%s: %s", nonsense, got.Text)
		}
	}
}

// broken says where the records, all of one server, do not follow each other.
func broken(all []harness.Record) error {
	prev, run, seq := "genesis", "", uint64(0)
	for i, one := range all {
		if one.Run != run {
			run, seq = one.Run, 0
		}
		if seq++; one.Prev != prev || one.Seq != seq {
			return fmt.Errorf("record %d, number %d of %s, follows %s, not %s", i, one.Seq, one.Run, one.Prev, prev)
		}
		sum := sha256.Sum256(one.Text)
		prev = hex.EncodeToString(sum[:])
	}
	return nil
}
