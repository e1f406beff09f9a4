package actions

import (
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/natsconn"
	"github.com/ami-nats-bridge/ami-nats-bridge/internal/natstest"
)

// Discovery answers to an inbox alone, as requests are: else whoever asks has the
// bridge publish where it may, an event or a record of the audit.
func TestDiscovery_AnswersToAnInboxAlone(t *testing.T) {
	a := unconnected(t, "pbx1")
	if err := a.Serve(); err != nil {
		t.Fatal(err)
	}
	elsewhere := []string{"ami.events.pbx1.Hangup", "ami.audit.pbx1.Ping", "x", natsconn.InboxPrefix("b2") + ".nuid.7"}
	sub, err := a.nc.SubscribeSync(">")
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"PING", "INFO", "STATS"} {
		for _, to := range []string{"", "." + ServiceName, "." + ServiceName + "." + a.info.ID} {
			subject := "$SRV." + verb + to
			for _, reply := range elsewhere {
				if err := a.nc.PublishRequest(subject, reply, nil); err != nil {
					t.Fatal(err)
				}
			}
			inbox := a.nc.NewInbox()
			if err := a.nc.PublishRequest(subject, inbox, nil); err != nil {
				t.Fatal(err)
			}
			for m := next(t, sub); m.Subject != inbox; m = next(t, sub) {
				if m.Subject != subject {
					t.Errorf("%s to %s is answered there: %.60s", subject, m.Subject, m.Data)
				}
			}
		}
	}
}

func next(t *testing.T, sub *nats.Subscription) *nats.Msg {
	t.Helper()
	m, err := sub.NextMsg(natstest.Patience)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
