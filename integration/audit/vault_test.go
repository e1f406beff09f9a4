package audit

import (
	"encoding/json"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/replay"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/streams"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/longtest"
)

// vaulted is deploy/nats/ami-bridge.conf with what audit-vault.conf says to add.
func vaulted(t *testing.T) *harness.Secured {
	t.Helper()
	t.Setenv("AMI_KEEPER_PASSWORD", harness.Password("keeper"))
	t.Setenv("AMI_WITNESS_PASSWORD", harness.Password("witness"))
	return harness.SecuredNATS(t, harness.Adding(t, "audit-vault.conf", 3))
}

// makeMirror makes the one of audit-vault.json.
func makeMirror(s *harness.Secured) jetstream.Stream {
	s.T.Helper()
	var cfg jetstream.StreamConfig
	if err := json.Unmarshal([]byte(harness.ReadText(s.T, harness.Root(s.T), "deploy/nats/audit-vault.json")), &cfg); err != nil {
		s.T.Fatal(err)
	}
	keeper := harness.JetStream(s.T, s.Connect("keeper"))
	mirror, err := keeper.CreateStream(s.T.Context(), cfg)
	if err != nil {
		s.T.Fatal(err)
	}
	return mirror
}

// A mirror in an account of its own keeps what the bridge's operators take away,
// and the chain in it is whole.
func TestAuditVault_KeepsWhatOperatorsTakeAway(t *testing.T) {
	longtest.Mark(t, "nats-server looks for the origin of a mirror again after 10 s")
	s := vaulted(t)
	_, r, _ := s.Bridge()
	mirror := makeMirror(s)
	for range 5 {
		harness.Succeeds(t, r.Call("pbx1", "QueueStatus", ""))
	}
	r.RecordsOf(t, 5)
	inMirror := func(n uint64) func() bool {
		return func() bool {
			info, err := mirror.Info(t.Context())
			return err == nil && info.State.Msgs == n
		}
	}
	harness.Eventually(t, "the records in the mirror", inMirror(5))

	admin, stream := r.AuditStream()
	if err := r.Stop(); err != nil { // or it makes the stream anew before the operator does
		t.Fatal(err)
	}
	short := stream.CachedInfo().Config
	short.MaxMsgs, short.Discard = 1, jetstream.DiscardOld
	if _, err := admin.UpdateStream(t.Context(), short); err != nil {
		t.Fatal(err)
	}
	if info, err := stream.Info(t.Context()); err != nil || info.State.Msgs != 1 {
		t.Fatalf("the operator shortens the stream, and it holds %+v, %v", info, err)
	}
	if err := admin.DeleteStream(t.Context(), streams.AuditStream); err != nil {
		t.Fatal(err)
	}
	witness := &replay.Source{Conn: s.Connect("witness"), API: "$JS.API", Stream: streams.AuditStream}
	for _, one := range verdicts(t, witness, new(replay.Verifier)) {
		if one.Server != "pbx1" || one.Records != 5 || one.Broken > 0 || len(one.Notes) > 0 {
			t.Errorf("in the mirror: %+v", one)
		}
	}
	if !inMirror(5)() {
		t.Error("the mirror has lost something")
	}
	// Made anew, and grown past what the mirror has, it shows there as a break.
	short.MaxMsgs = -1
	if _, err := admin.CreateStream(t.Context(), short); err != nil {
		t.Fatal(err)
	}
	for range 7 {
		if _, err := admin.Publish(t.Context(), "ami.audit.pbx1.Ping", []byte(`{"server":"pbx1","node":"b1","run":"x","seq":1}`)); err != nil {
			t.Fatal(err)
		}
	}
	harness.Eventually(t, "the forged records in the mirror", inMirror(7))
	if found := verdicts(t, witness, new(replay.Verifier)); len(found) != 1 || found[0].Records != 7 || found[0].Broken == 0 {
		t.Errorf("after the forgery: %+v", found)
	}
}

// Who keeps the mirror cannot use its way into the bridge's account.
func TestAuditVault_OpensNoOtherDoor(t *testing.T) {
	s := vaulted(t)
	for _, user := range []string{"keeper", "witness"} {
		s.MayPublish(user, false, "ami.js.CONSUMER.CREATE.AMI_AUDIT", "$JS.FC.AMI_AUDIT.x")
	}
	s.MayPublish("witness", false, "$JS.API.STREAM.DELETE.AMI_AUDIT", "$JS.API.STREAM.UPDATE.AMI_AUDIT", "ami.audit.pbx1.Ping")
	s.MaySubscribe("witness", false, ">", "ami.vault.>")
	for _, user := range []string{"reader", "auditor", "dialer", "bridge"} {
		s.MayPublish(user, false, "ami.vault.x")
	}
}

// Whoever may read a stream, and make no consumer, can replay it.
func TestSecurity_AReaderReplaysAndAnAuditorVerifies(t *testing.T) {
	s := harness.SecuredNATS(t, nil)
	sim, r, _ := s.Bridge()
	for range 600 { // more than a page
		sim.Emit("Event", "Tick")
	}
	r.Drained("pbx1", 600)
	harness.Succeeds(t, r.Call("pbx1", "QueueStatus", ""))
	r.RecordsOf(t, 1)
	source := func(user, stream string) (*replay.Source, *nats.Conn) {
		nc := s.Connect(user)
		return &replay.Source{Conn: nc, API: "ami.js", Stream: stream}, nc
	}
	reader, nc := source("reader", streams.EventStream)
	n := 0
	sel := replay.Selection{Prefix: "ami", Kind: "events", Names: []string{"T*"}}
	err := reader.Read(t.Context(), sel, replay.ReadAt, nil, func(*replay.Message) error { n++; return nil })
	if err != nil || n != 600 || nc.LastError() != nil {
		t.Errorf("%d of 600 events, %v, %v", n, err, nc.LastError())
	}
	auditor, nc := source("auditor", streams.AuditStream)
	found := verdicts(t, auditor, new(replay.Verifier))
	if len(found) != 1 || found[0].Records != 1 || found[0].Broken != 0 || nc.LastError() != nil {
		t.Errorf("%+v, %v", found, nc.LastError())
	}
}

// The commands that the pages show for each user work with the permissions of
// deploy/nats as they are written.
func TestDocs_EachUsersCommandWorks(t *testing.T) {
	binary := harness.BuildBridge(t)
	s := vaulted(t)
	_, r, _ := s.Bridge()
	mirror := makeMirror(s)
	harness.Succeeds(t, r.Call("pbx1", "QueueStatus", ""))
	r.RecordsOf(t, 1)
	harness.Eventually(t, "the record in the mirror", func() bool {
		info, err := mirror.Info(t.Context())
		return err == nil && info.State.Msgs == 1
	})
	text := harness.ReadText(t, harness.Root(t), "docs/replay.md") + harness.ReadText(t, harness.Root(t), "docs/audit.md")
	commands := regexp.MustCompile(`(?m)^    BRIDGE_NATS_USER=(\w+) +ami-nats-bridge (.*)$`).FindAllStringSubmatch(text, -1)
	if len(commands) != 3 {
		t.Fatalf("%d commands", len(commands))
	}
	for _, command := range commands {
		cmd := exec.CommandContext(t.Context(), binary, strings.Fields(command[2])...)
		cmd.Env = []string{
			"BRIDGE_NATS_URL=" + s.URL, "BRIDGE_NATS_USER=" + command[1], "BRIDGE_NATS_PASSWORD=" + harness.Password(command[1]),
			"BRIDGE_NATS_TLS_CA_FILE=" + s.CAFile,
		}
		out, err := cmd.CombinedOutput()
		if want := map[bool]string{true: "1 records in 1 runs of b1, whole", false: "events in"}[strings.Contains(command[2], "verify")]; err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v\n%s", command[0], err, out)
		}
	}
}
