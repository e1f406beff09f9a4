package streams

import (
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/config"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn/conntest"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// A stream of somebody else's that has some of the subjects is named, whether that keeps the bridge's from being made or is why
// this lacks them, and to check, which makes none: nats-server says only that there is one.
func TestStreams_WhoHasTheSubjectsIsNamed(t *testing.T) {
	url := natstest.Start(t, t.TempDir(), 0).ClientURL()
	_, js := natstest.Client(t, url)
	others := map[string]string{
		EventStream: "ami.events.pbx2.>", AuditStream: "ami.audit.*.Originate", StatusStream: "ami.status.pbx2.>", KeyStream: "$KV.AMI_IDEMPOTENCY.x.>", StateStream: "$KV.AMI_STATE.pbx2.>",
	}
	for name, subject := range others {
		if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER_" + name, Subjects: []string{subject}}); err != nil {
			t.Fatal(err)
		}
	}
	cfg := config.DefaultConfig()
	cfg.NATS.URL = url
	k := testStreams(&cfg, conntest.Open(t, url))
	named := func(when string, name string, says string) {
		t.Helper()
		if want := "stream OTHER_" + name + " has some of its subjects ("; !strings.Contains(says, want) || !strings.HasSuffix(says, "): take them from it, or delete it") {
			t.Errorf("%s, of %s it says %q", when, name, says)
		}
	}
	checked, err := Check(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	k.Check(t.Context())
	for name := range others {
		i := slices.IndexFunc(checked, func(r Report) bool { return r.Name == name })
		if i < 0 {
			continue // it is not made with these settings
		}
		named("to check", name, checked[i].Error)
		_, err := k.State(name)
		named("at first", name, errorText(err))
	}
	for _, want := range wantedStreams(&cfg, 0) {
		want.Subjects = []string{"elsewhere." + want.Name}
		if _, err := js.CreateStream(t.Context(), want); err != nil {
			t.Fatal(err)
		}
	}
	k.Check(t.Context())
	for _, r := range k.States() {
		for _, d := range r.Differences {
			if d.Field == "subjects" {
				named("where it is there", r.Name, d.Left)
			}
		}
	}
	k.Stored(AuditStream, &jetstream.APIError{ErrorCode: natsconn.StreamNotMatch, Description: "expected stream does not match"})
	if state, err := k.State(AuditStream); state != Missing || !strings.Contains(errorText(err), "another stream has its subject") {
		t.Errorf("%v, %v", state, err)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
